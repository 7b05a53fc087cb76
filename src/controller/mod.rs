//! The loop: observe → translate → publish → shape → plan → act → report, and again. Keyed by service cluster: one
//! cluster's trouble delays no other. `pass` is one pass, readable from top to bottom; everything else here decides *when*
//! there is one and keeps what must be remembered between two. Imports all rooms but `docker`, `simulator`, `proxy` and
//! `extension`; decides nothing about routes or fleets itself.

mod attachment;
pub mod authority;
mod board;
pub mod census;
pub mod declared;
pub mod files;
pub mod lookout;
mod looks;
mod observer;
mod own_service;
pub mod pace;
pub mod pass;
mod perform;
pub mod preview;
pub mod questions;
pub mod queue;
mod run;
pub mod settings;
pub mod signals;
pub mod spec;
pub mod status;
mod status_port;
pub mod surroundings;
mod tell;
mod thought;
pub mod wake;

pub use run::{run, stop_on_signals};
pub use status_port::RunError;
