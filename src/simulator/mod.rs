//! An in-memory Swarm behind the same port: seeded, with its own clock, users and faults. Behaves like the real one
//! (`tests/swarm_behavior.rs` runs the same cases on both). Must never wait, and never depend on anything but its seed and the
//! calls made to it.

mod agent;
mod allocator;
mod api_error;
mod api_json;
mod fault;
mod inspect;
mod model;
mod options;
mod orchestrator;
mod scheduler;
mod spec;
mod store;
mod swarm_impl;
#[cfg(test)]
mod tests;
mod updater;
mod user_actions;
mod world;
mod write_log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use fault::{FaultPoint, SwarmCall};
pub use model::{Availability, ImageBehaviour, NetworkBehaviour};
pub use options::{FaultRates, SimOptions};
pub use write_log::{RecordedWrite, WriteResult};

use world::SimState;

/// A simulated Swarm. Cheap to clone: clones share one world. Its futures never wait.
#[derive(Clone)]
pub struct SimSwarm {
    world: Arc<Mutex<SimState>>,
}

impl SimSwarm {
    /// A Swarm with ready nodes, the routing-mesh network and nothing else. Equal options give equal histories.
    pub fn new(options: SimOptions) -> Self {
        Self { world: Arc::new(Mutex::new(SimState::new(options))) }
    }

    fn world(&self) -> MutexGuard<'_, SimState> {
        // A panic in a test's thread must not hide the state that the test wants to print.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
