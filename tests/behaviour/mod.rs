//! Cases that hold on every Swarm, real or simulated.

pub mod bench;
pub mod calls;
pub mod networks;
pub mod rollout;
pub mod scheduling;
