//! The loop: observe → translate → publish → shape → plan → act → report, and again. Keyed by service cluster: one
//! cluster's trouble delays no other. `pass` is one pass, readable from top to bottom; everything else here decides *when*
//! there is one and keeps what must be remembered between two. Imports all rooms but `docker`, `simulator`, `proxy` and
//! `extension`; decides nothing about routes or fleets itself.

pub mod lookout;
pub mod observer;
pub mod pace;
pub mod queue;
pub mod signals;
pub mod wake;
