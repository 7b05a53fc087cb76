//! Findings: declarations that do not have the effect that their author may expect, where they are, and what to do about them.

use super::finding_catalog::{FindingCase, FindingCode, Severity};
use crate::types::{visible, without_private_key};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a finding is about. Serialised flat: exactly one kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "kind", content = "name")]
pub enum Subject {
    /// A Swarm service, by name.
    Service(String),
    /// A spec file and, where known, the line: `clusters.yaml:12`.
    Document(String),
    /// A service cluster, by name.
    Cluster(String),
    /// A network, config, secret or node, by name.
    Object(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Self::Service(name) => ("service", name),
            Self::Document(name) => ("document", name),
            Self::Cluster(name) => ("cluster", name),
            Self::Object(name) => ("object", name),
        };
        write!(f, "{kind} {name}")
    }
}

/// One finding: what is wrong and where, the consequence, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code.
    pub code: FindingCode,
    /// What it is about.
    pub subject: Subject,
    /// The label key or document path (`spec.proxy.replicas`) concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The value, truncated to 120 characters, with control characters escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong and the consequence, in one sentence.
    pub message: String,
    /// What to do about it, in one sentence.
    pub remedy: String,
}

impl Finding {
    /// A finding without field and value. Its code, severity, and remedy are those of a case of the catalogue.
    pub fn new(case: impl Into<FindingCase>, subject: Subject, message: impl Into<String>) -> Self {
        let FindingCase { severity, code, remedy } = case.into();
        Self { severity, code, subject, field: None, value: None, message: message.into(), remedy }
    }

    /// Sets the severity, where it depends on more than the case and the catalogue allows several.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        debug_assert!(self.code.severities().contains(&severity), "{:?} is never {severity:?}", self.code);
        self.severity = severity;
        self
    }

    /// Sets the field and the value found, escaped for display.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, value: &str) -> Self {
        self.field = Some(field.into());
        self.value = Some(shorten(value));
        self
    }
}

/// One line for logs, or with `{:#}` three lines for people: `error InvalidLabelValue service app (com.docker.lb.port = http): what. -> Remedy.`
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", format!("{:?}", self.severity).to_lowercase(), self.code, self.subject)?;
        match (&self.field, &self.value) {
            (Some(field), Some(value)) => write!(f, " ({field} = {value})")?,
            (Some(field), None) => write!(f, " ({field})")?,
            _ => {}
        }
        let (message, remedy) = (&self.message, &self.remedy);
        if f.alternate() { write!(f, "\n      {message}\n      -> {remedy}") } else { write!(f, ": {message} -> {remedy}") }
    }
}

/// Longer values are truncated for display: a label can hold megabytes.
const VALUE_CHARS_MAX: usize = 120;

fn shorten(value: &str) -> String {
    let escaped = visible(without_private_key(value));
    if escaped.chars().count() <= VALUE_CHARS_MAX {
        return escaped;
    }
    escaped.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect()
}
