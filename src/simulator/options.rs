//! The composition of a simulated Swarm, and how unreliable it is.

/// The composition of a simulated Swarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimOptions {
    /// Determines everything that is random.
    pub seed: u64,
    /// The number of nodes, including managers (`node1`, `node2`, ...).
    pub nodes: usize,
    /// The number of managers among them (the first ones).
    pub managers: usize,
    /// The release of the nodes' engines: 20 is the oldest that is supported, 25 the first that keeps `NoNewPrivileges`.
    pub docker_release: u32,
    /// How unreliable the API is initially.
    pub faults: FaultRates,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { seed: 0, nodes: 3, managers: 1, docker_release: 20, faults: FaultRates::NONE }
    }
}

/// How often, from 0 (never) to 1 (always), the API or Swarm itself misbehaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultRates {
    /// A call fails and has no effect.
    pub fails_before: f64,
    /// A write takes effect but reports a failure.
    pub fails_after: f64,
    /// An observation returns an older complete state.
    pub stale: f64,
    /// An observation returns either services or tasks of an older moment, the rest fresh.
    pub torn: f64,
    /// A hint is lost.
    pub hint_lost: f64,
    /// A hint is delivered twice.
    pub hint_doubled: f64,
    /// While a rollback replaces a task on a port of its node, Swarm creates another task in its place and asks the first to
    /// stop: which one gets the port first determines whether the rollback ever ends.
    pub rollback_doubled: f64,
    /// While a rollback replaces a task stop-first, it never starts the new one.
    pub rollback_hangs: f64,
}

impl FaultRates {
    /// A reliable API.
    pub const NONE: Self = Self {
        fails_before: 0.0,
        fails_after: 0.0,
        stale: 0.0,
        torn: 0.0,
        hint_lost: 0.0,
        hint_doubled: 0.0,
        rollback_doubled: 0.0,
        rollback_hangs: 0.0,
    };
    /// An API on a very bad day.
    pub const ROUGH: Self = Self {
        fails_before: 0.1,
        fails_after: 0.1,
        stale: 0.1,
        torn: 0.1,
        hint_lost: 0.3,
        hint_doubled: 0.1,
        rollback_doubled: 0.5,
        rollback_hangs: 0.1,
    };
}
