//! The loop: observe → translate → publish → shape → plan → act → report, and again. Keyed by service cluster: one
//! cluster's trouble delays no other. `pass` is one pass, readable from top to bottom; everything else here decides *when*
//! there is one and keeps what must be remembered between two. Imports all rooms but `docker`, `simulator`, `proxy` and
//! `extension`; decides nothing about routes or fleets itself.

mod network_attachment;
pub mod certificate_authority;
mod status_store;
pub mod instance;
pub mod label_damping;
pub mod declared;
pub mod files;
pub mod snapshot_cache;
mod query_snapshots;
mod watcher;
mod self_check;
pub mod poll_interval;
pub mod reconcile;
mod execution;
pub mod preview;
pub mod queries;
pub mod work_queue;
mod run;
pub mod options;
pub mod notifications;
pub mod spec;
pub mod status;
mod status_port;
pub mod context;
mod finding_log;
mod desired_state;
pub mod trigger;

pub use run::{run, stop_on_signals};
pub use status_port::RunError;
