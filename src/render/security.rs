//! What is published about the faults of an engine's version. Only the type; each engine has its own list.

/// The faults of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Their names, the newest first.
    pub cves: Vec<&'static str>,
    /// The first versions without any of them: of the mainline, then of the stable branch.
    pub fixed_in: Vec<String>,
}
