//! Cases that hold on every Swarm, real or simulated.

pub mod api_calls;
pub mod network_addresses;
pub mod rollout;
pub mod scheduling;
pub mod test_swarm;
