//! Swarm's names for the states of tasks and of updates.

use super::word_enum;

word_enum! {
    /// The state of a task.
    TaskState {
        /// It has no addresses yet.
        New = "new",
        /// It has its resources from Swarm, but no node.
        Allocated = "allocated",
        /// It waits for a node.
        Pending = "pending",
        /// It has a node.
        Assigned = "assigned",
        /// Its node has accepted it.
        Accepted = "accepted",
        /// Its node is pulling its image and setting up its networks.
        Preparing = "preparing",
        /// It is ready to start.
        Ready = "ready",
        /// It is being started, or is not healthy yet.
        Starting = "starting",
        /// It runs.
        Running = "running",
        /// It has completed its work.
        Complete = "complete",
        /// It was stopped on request.
        Shutdown = "shutdown",
        /// It has ended with an error.
        Failed = "failed",
        /// Its node could not run it.
        Rejected = "rejected",
        /// It is to be removed.
        Remove = "remove",
        /// Its node was unreachable for too long.
        Orphaned = "orphaned",
    }
}

impl TaskState {
    /// Whether the task has ended by itself.
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
        /// It is complete.
        Completed = "completed",
        /// The previous tasks are being restored.
        RollbackStarted = "rollback_started",
        /// The rollback stopped half-way.
        RollbackPaused = "rollback_paused",
        /// The previous tasks are restored.
        RollbackCompleted = "rollback_completed",
        /// The service was never updated. Only reports use this word; Swarm omits the state.
        NeverUpdated = "none",
    }
}

impl UpdateState {
    /// Whether Swarm is replacing tasks.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Updating | Self::RollbackStarted)
    }
}
