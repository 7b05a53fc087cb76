//! The closed list of reasons for a pass. A wake-up says *that* something may have changed, never *what*: each pass
//! starts from a complete snapshot, so a lost, late or repeated wake-up costs time but never correctness.

/// The reason for a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The Swarm's event stream reported a possible change.
    SwarmHint,
    /// The poll of the tasks differs from the previous one.
    TasksChanged,
    /// A spec file may have changed.
    SpecChanged,
    /// An extension sent a new report.
    ReportChanged,
    /// Enough time has passed since the last complete snapshot.
    Resync,
    /// The Swarm answers again after an outage.
    SwarmBack,
}

impl Trigger {
    /// The name for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SwarmHint => "swarm_hint",
            Self::TasksChanged => "tasks_changed",
            Self::SpecChanged => "spec_changed",
            Self::ReportChanged => "report_changed",
            Self::Resync => "resync",
            Self::SwarmBack => "swarm_back",
        }
    }
}
