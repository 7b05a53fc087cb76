//! The log of writes through the port, so that tests can check which objects were touched. Users' actions are not in it.

use jiff::Timestamp;

use super::fault::SwarmCall;
use crate::swarm::SwarmErrorKind;

/// A write through the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedWrite {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub call: SwarmCall,
    /// The name of the object (its id, if there is no such object).
    pub target: String,
    /// Whether the object had the label `swarmgate.owner` before the write (for creations: whether the new object has it).
    pub owned: bool,
    /// The outcome.
    pub effect: WriteResult,
    /// For the removal of a config or secret: the services whose previous spec or live tasks still need it.
    pub still_needed_by: Vec<String>,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// It took effect.
    Done,
    /// It took effect, but reported a failure to the caller.
    DoneButFailed,
    /// Swarm refused it.
    Refused(SwarmErrorKind),
    /// It failed without effect.
    FailedBefore,
}

impl RecordedWrite {
    /// Whether the write changed the Swarm.
    pub fn took_effect(&self) -> bool {
        matches!(self.effect, WriteResult::Done | WriteResult::DoneButFailed)
    }
}
