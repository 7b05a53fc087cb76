//! Input of a pass besides the declaration and the snapshot: what was remembered, and what was reported.

use jiff::Timestamp;

use crate::channel::Received;
use crate::networks;
use crate::plan::PlannerState;
use crate::swarm::Task;

/// What was remembered and reported before a pass.
#[derive(Debug, Clone, Copy)]
pub struct PassInput<'a> {
    /// The newest report from the extension.
    pub report: Option<&'a Received>,
    /// What planning remembers.
    pub plan: &'a PlannerState,
    /// What is remembered of networks.
    pub networks: &'a networks::AttachmentState,
    /// The proxies that Swarm reports as ended, where that matters.
    pub ended: Option<&'a [Task]>,
    /// The time of the pass.
    pub now: Timestamp,
}
