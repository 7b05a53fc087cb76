//! What a simulated Swarm is made of, and how unreliable it is.

/// What a simulated Swarm is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many nodes, managers included (`node1`, `node2`, ...).
    pub nodes: usize,
    /// How many of them are managers (the first ones).
    pub managers: usize,
    /// The release of the nodes' engines: 20 is the oldest that is supported, 25 the first that keeps `NoNewPrivileges`.
    pub docker_release: u32,
    /// How unreliable the API is, to begin with.
    pub faults: Faults,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { seed: 0, nodes: 3, managers: 1, docker_release: 20, faults: Faults::NONE }
    }
}

/// How often, from 0 (never) to 1 (always), the API or Swarm itself misbehaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// A call fails and has no effect.
    pub fails_before: f64,
    /// A write takes effect and fails all the same.
    pub fails_after: f64,
    /// A look gives an older complete answer.
    pub stale: f64,
    /// A look gives services and tasks of different moments, the rest fresh.
    pub torn: f64,
    /// A hint is lost.
    pub hint_lost: f64,
    /// A hint comes twice.
    pub hint_doubled: f64,
    /// While a rollback replaces a task on a port of its node, Swarm makes another one in its place and tells the first to
    /// stop: who gets the port first decides whether the rollback ever ends.
    pub rollback_doubled: f64,
    /// While a rollback replaces a task stop-first, it never lets the new one begin.
    pub rollback_hangs: f64,
}

impl Faults {
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
