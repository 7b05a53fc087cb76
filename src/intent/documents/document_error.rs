//! The mistakes of one document: collected in any order, reported in the order of their lines.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::yaml::{YamlMistake, YamlNode, unescaped};
use crate::report::{Finding, FindingCase, FindingCode, Severity, Subject, cases};

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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    /// 0 = the file as a whole.
    line: usize,
    pointer: String,
    case: FindingCase,
    value: Option<String>,
    message: String,
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
    pub fn add(&mut self, case: impl Into<FindingCase>, pointer: &str, message: impl Into<String>) {
        let value = self.value.pointer(pointer).filter(|value| !value.is_null()).map(shown);
        let (line, pointer) = (self.line_of(pointer), pointer.to_owned());
        self.list.push(Mistake { line, pointer, case: case.into(), value, message: message.into() });
    }

    /// Adds a mistake of the whole file.
    pub fn add_to_file(&mut self, case: impl Into<FindingCase>, message: impl Into<String>) {
        self.list.push(Mistake { line: 0, pointer: String::new(), case: case.into(), value: None, message: message.into() });
    }

    /// Adds a YAML error.
    pub fn add_yaml(&mut self, slip: YamlMistake) {
        let case: FindingCase = match slip.pointer.as_str() {
            "" => cases::UnreadableDocument::Syntax.into(),
            _ => cases::InvalidValue::DuplicateField.into(),
        };
        let YamlMistake { line, pointer, message } = slip;
        self.list.push(Mistake { line, pointer, case, value: None, message });
    }

    /// The case of a mistake that only the schema explains.
    pub fn only_in_schema(&self) -> cases::InvalidValue<'static> {
        cases::InvalidValue::Schema { kind: self.kind }
    }

    /// The line of the field at the JSON pointer.
    pub fn line_of(&self, pointer: &str) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.line_of(pointer))
    }

    /// Whether any of them keeps the document from being used.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|mistake| mistake.case.severity() == Severity::Error)
    }

    /// As findings, in the order of the lines, without duplicates.
    pub fn into_findings(self, file: &str) -> Vec<Finding> {
        let mut list = self.list;
        list.sort_by(|a, b| a.place_in_list().cmp(&b.place_in_list()));
        list.dedup();
        let more = list.len().saturating_sub(MISTAKES_MAX);
        let mut findings: Vec<_> = list.into_iter().take(MISTAKES_MAX).map(|mistake| mistake.into_finding(file)).collect();
        if more > 0 {
            let subject = Subject::Document(file.to_owned());
            let message = format!("the document has {more} more mistakes");
            findings.push(Finding::new(cases::InvalidValue::More, subject, message));
        }
        findings
    }
}

impl Mistake {
    /// By line and field; of one field, the errors first.
    fn place_in_list(&self) -> (usize, &str, Severity, &FindingCode, &str, &str) {
        (self.line, &self.pointer, self.case.severity(), self.case.code(), &self.message, self.case.remedy())
    }

    fn into_finding(self, file: &str) -> Finding {
        let position = if self.line == 0 { file.to_owned() } else { format!("{file}:{}", self.line) };
        let finding = Finding::new(self.case, Subject::Document(position), self.message);
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
