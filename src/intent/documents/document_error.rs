//! The mistakes of one document: collected in any order, reported in the order of their lines.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::yaml::{YamlMistake, YamlNode, unescaped};
use crate::report::{Finding, FindingCode, Severity, Subject};

/// More mistakes than a person reads; a generated document can have as many as it has bytes.
const MISTAKES_MAX: usize = 100;

/// The mistakes of one document, and what is needed to locate them.
#[derive(Default)]
pub(super) struct Mistakes {
    tree: Option<YamlNode>,
    /// The kind whose schema the fields follow.
    kind: &'static str,
    /// The document as plain values, from which findings quote.
    pub value: Value,
    list: Vec<Mistake>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    /// 0 = the file as a whole.
    line: usize,
    pointer: String,
    severity: Severity,
    code: FindingCode,
    value: Option<String>,
    message: String,
    remedy: MistakeRemedy,
}

/// The remedy of a mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum MistakeRemedy {
    /// This sentence.
    Own(String),
    /// The catalogue's, with this value for this name.
    Data(&'static str, String),
}

impl Mistakes {
    /// Starts without mistakes, for the document of this tree and kind.
    pub fn new(tree: Option<YamlNode>, kind: &'static str) -> Self {
        Self { tree, kind, ..Self::default() }
    }

    /// The document's tree.
    pub fn tree(&self) -> Option<&YamlNode> {
        self.tree.as_ref()
    }

    /// Adds a mistake in the field at the JSON pointer; looks up its line and value.
    pub fn add(&mut self, code: FindingCode, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add_as(code.severity(), code, pointer, message, remedy);
    }

    /// The same, with this severity.
    pub fn add_as(&mut self, severity: Severity, code: FindingCode, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(severity, code, pointer, message.into(), MistakeRemedy::Own(remedy.into()));
    }

    /// Adds a mistake whose remedy in the catalogue needs this value for this name.
    pub fn add_with_data(&mut self, code: FindingCode, pointer: &str, message: &str, (name, value): (&'static str, String)) {
        self.push(code.severity(), code, pointer, message.to_owned(), MistakeRemedy::Data(name, value));
    }

    fn push(&mut self, severity: Severity, code: FindingCode, pointer: &str, message: String, remedy: MistakeRemedy) {
        let value = self.value.pointer(pointer).filter(|value| !value.is_null()).map(shown);
        let (line, pointer) = (self.line_of(pointer), pointer.to_owned());
        self.list.push(Mistake { line, pointer, severity, code, value, message, remedy });
    }

    /// Adds fields that exclude or require each other.
    pub fn add_impossible(&mut self, pointer: &str, message: &str, remedy: &str) {
        self.add(FindingCode::ImpossibleCombination, pointer, message, remedy);
    }

    /// Adds a warning about a value that Swarm accepts but that makes no sense.
    pub fn add_implausible(&mut self, pointer: &str, message: &str, remedy: &str) {
        self.add_as(Severity::Warning, FindingCode::InvalidValue, pointer, message, remedy);
    }

    /// Adds a mistake that concerns no field.
    pub fn add_bare(&mut self, severity: Severity, code: FindingCode, line: usize, message: &str, remedy: &str) {
        let (message, remedy) = (message.to_owned(), MistakeRemedy::Own(remedy.to_owned()));
        self.list.push(Mistake { line, pointer: String::new(), severity, code, value: None, message, remedy });
    }

    /// Adds a YAML error.
    pub fn add_yaml(&mut self, slip: YamlMistake) {
        let (code, remedy) = if slip.pointer.is_empty() {
            (FindingCode::UnreadableDocument, "Correct this line or the one before it; check the indentation.")
        } else {
            (FindingCode::InvalidValue, "Remove one of the two.")
        };
        let YamlMistake { line, pointer, message } = slip;
        let (severity, remedy) = (code.severity(), MistakeRemedy::Own(remedy.to_owned()));
        self.list.push(Mistake { line, pointer, severity, code, value: None, message, remedy });
    }

    /// The remedy for a mistake that only the schema explains.
    pub fn schema_remedy(&self) -> String {
        format!("Compare the document with `swarmgate schema {}`.", self.kind)
    }

    /// The line of the field at the JSON pointer.
    pub fn line_of(&self, pointer: &str) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.line_of(pointer))
    }

    /// Whether any of them keeps the document from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|mistake| mistake.severity == Severity::Error)
    }

    /// As findings, in the order of the lines, without duplicates.
    pub fn into_findings(self, file: &str) -> Vec<Finding> {
        let mut list = self.list;
        list.sort();
        list.dedup();
        let more = list.len().saturating_sub(MISTAKES_MAX);
        let mut findings: Vec<_> = list.into_iter().take(MISTAKES_MAX).map(|mistake| mistake.into_finding(file)).collect();
        if more > 0 {
            let subject = Subject::Document(file.to_owned());
            let message = format!("the document has {more} more mistakes");
            findings.push(Finding::new(FindingCode::InvalidValue, subject, message).with_remedy("Correct the mistakes above first."));
        }
        findings
    }
}

impl Mistake {
    fn into_finding(self, file: &str) -> Finding {
        let position = if self.line == 0 { file.to_owned() } else { format!("{file}:{}", self.line) };
        let finding = Finding::new(self.code, Subject::Document(position), self.message).with_severity(self.severity);
        let finding = match self.remedy {
            MistakeRemedy::Own(remedy) => finding.with_remedy(remedy),
            MistakeRemedy::Data(name, value) => finding.with_data(&[(name, &value)]),
        };
        let field = (!self.pointer.is_empty()).then(|| path_of(&self.pointer));
        match (field, self.value) {
            (Some(field), Some(value)) => finding.with_field(field, &value),
            (field, _) => Finding { field, ..finding },
        }
    }
}

/// A value as its author wrote it: text unchanged, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A JSON pointer in path notation: `spec.proxy.constraints[0]`, `spec.proxy.labels["org.example.x"]`.
pub(super) fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for segment in pointer.split('/').skip(1).map(unescaped) {
        let plain =
            !segment.is_empty() && segment.len() <= 64 && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if plain && segment.bytes().all(|b| b.is_ascii_digit()) {
            let _ = write!(path, "[{segment}]");
        } else if plain {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(&segment);
        } else {
            let short: String = segment.chars().take(64).collect();
            let _ = write!(path, "[{}]", Value::String(short));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn json_pointers_are_shown_as_paths() {
        for (pointer, path) in [
            ("/spec/proxy/constraints/0", "spec.proxy.constraints[0]"),
            ("/spec/proxy/labels/org.example.x", "spec.proxy.labels[\"org.example.x\"]"),
            ("/a~1b", "[\"a/b\"]"),
            ("", ""),
        ] {
            assert_eq!(path_of(pointer), path);
        }
    }
}
