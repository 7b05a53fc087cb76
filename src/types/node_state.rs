//! Swarm's names for the states of nodes.

use super::word_enum;

word_enum! {
    /// The state of a node, as the managers see it.
    NodeState {
        /// It sends heartbeats and runs tasks.
        Ready = "ready",
        /// A new leading manager has not heard from it yet.
        Unknown = "unknown",
        /// It sends no heartbeats; Swarm starts its tasks elsewhere.
        Down = "down",
        /// It has ended its session with the managers.
        Disconnected = "disconnected",
    }
}

word_enum! {
    /// Whether a node takes tasks.
    NodeAvailability {
        /// It takes new tasks.
        Active = "active",
        /// It keeps its tasks and takes no new ones.
        Pause = "pause",
        /// It takes no tasks, and Swarm moves those that it has.
        Drain = "drain",
    }
}
