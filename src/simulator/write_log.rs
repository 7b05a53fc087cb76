//! The log of writes that came through the port, so that tests can say what was touched. Users' actions are not in it.

use jiff::Timestamp;

use super::fault::Call;
use crate::swarm::SwarmErrorKind;

/// A write that came through the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call: Call,
    /// The name of the object (its id, if there is no such object).
    pub target: String,
    /// Whether the object, as it was before the write, carries the label `swarmgate.owner` (for creations: whether the new one does).
    pub owned: bool,
    /// What came of it.
    pub effect: Effect,
    /// Removal of a config or secret: services whose previous spec or living tasks still need it.
    pub still_needed_by: Vec<String>,
}

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It took effect.
    Done,
    /// It took effect, and the caller was told that it failed.
    DoneButFailed,
    /// Swarm refused it.
    Refused(SwarmErrorKind),
    /// It failed without effect.
    FailedBefore,
}

impl Write {
    /// Whether the Swarm is another one after it.
    pub fn took_effect(&self) -> bool {
        matches!(self.effect, Effect::Done | Effect::DoneButFailed)
    }
}
