//! Swarm's words for the states of tasks and of updates.

use super::word_enum;

word_enum! {
    /// The state of a task.
    TaskState {
        /// It has no addresses yet.
        New = "new",
        /// It has what it needs of the Swarm, and no node.
        Allocated = "allocated",
        /// It waits for a node.
        Pending = "pending",
        /// It has a node.
        Assigned = "assigned",
        /// Its node has taken it.
        Accepted = "accepted",
        /// Its node fetches its image and sets up its networks.
        Preparing = "preparing",
        /// It can be started.
        Ready = "ready",
        /// It is being started, or is not healthy yet.
        Starting = "starting",
        /// It runs.
        Running = "running",
        /// It has done its work.
        Complete = "complete",
        /// It was told to stop, and has.
        Shutdown = "shutdown",
        /// It has ended with an error.
        Failed = "failed",
        /// Its node could not take it.
        Rejected = "rejected",
        /// It is to be removed.
        Remove = "remove",
        /// Its node was away for too long.
        Orphaned = "orphaned",
    }
}

impl TaskState {
    /// Whether the task has come to an end by itself.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Rejected | Self::Orphaned)
    }
}

word_enum! {
    /// The state of the last update of a service.
    UpdateState {
        /// Tasks are being replaced.
        Updating = "updating",
        /// It stopped half-way.
        Paused = "paused",
        /// It is through.
        Completed = "completed",
        /// Tasks are being replaced by what was there before.
        RollbackStarted = "rollback_started",
        /// The way back stopped half-way.
        RollbackPaused = "rollback_paused",
        /// What was there before is there again.
        RollbackCompleted = "rollback_completed",
    }
}

impl UpdateState {
    /// Whether Swarm replaces tasks.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Updating | Self::RollbackStarted)
    }
}
