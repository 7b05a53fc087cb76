//! What a pass takes into account besides what is declared and the snapshot: what was remembered, and what was heard.

use jiff::Timestamp;

use crate::channel::Received;
use crate::networks;
use crate::plan::PlanMemory;
use crate::swarm::Task;

/// What was remembered and heard before a pass.
#[derive(Debug, Clone, Copy)]
pub struct PassInput<'a> {
    /// What the extension last said.
    pub report: Option<&'a Received>,
    /// What planning remembers.
    pub plan: &'a PlanMemory,
    /// What is remembered of networks.
    pub networks: &'a networks::NetworkMemory,
    /// The proxies that Swarm says have ended, where that matters.
    pub ended: Option<&'a [Task]>,
    /// The time of the pass.
    pub now: Timestamp,
}
