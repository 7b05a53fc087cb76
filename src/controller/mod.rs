//! The control loop: observe → translate → render → shape → plan → execute → report, and again. Each service cluster is
//! reconciled separately, so trouble with one delays no other. `reconcile_pass::pass` is one pass, readable from top to bottom;
//! everything else here decides *when* a pass runs and keeps what must be remembered between passes. It decides nothing about
//! routes or fleets itself.

pub(crate) mod certificate_authority;
pub mod context;
mod desired_state;
pub mod instance_overview;
pub mod label_damping;
mod network_attachment;
pub mod options;
mod pass_input;
mod plan_execution;
pub(crate) mod poll_interval;
pub(crate) mod preview;
pub(crate) mod queries;
mod query_snapshots;
pub mod reconcile_pass;
mod run;
mod self_check;
pub mod snapshot_cache;
pub mod status;
mod status_port;
mod status_store;
mod swarm_watcher;
pub(crate) mod trigger;
pub(crate) mod trigger_channels;
pub(crate) mod work_queue;

pub use run::{run, stop_on_signals};
pub use status_port::RunError;
