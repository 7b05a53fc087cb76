//! Published vulnerabilities of an engine's version. Only the type; each engine has its own list.

/// The vulnerabilities of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerabilities {
    /// Their names, newest first.
    pub cves: Vec<&'static str>,
    /// The first versions without any of them: of the mainline, then of the stable branch.
    pub fixed_in: Vec<String>,
}
