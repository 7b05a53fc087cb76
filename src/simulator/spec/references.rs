//! The configs and secrets to which a spec refers.

use serde_json::Value;

/// Configs or secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Config,
    Secret,
}

impl FileKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secret => "secret",
        }
    }

    fn keys(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Config => ("Configs", "ConfigID", "ConfigName"),
            Self::Secret => ("Secrets", "SecretID", "SecretName"),
        }
    }
}

/// The id, name and target file of each reference in a task template.
pub fn references(template: &Value, kind: FileKind) -> impl Iterator<Item = (&str, &str, &str)> {
    let (list, id, name) = kind.keys();
    let all = template.get("ContainerSpec").and_then(|c| c.get(list)).and_then(Value::as_array);
    all.into_iter().flatten().map(move |r| (text(r.get(id)), text(r.get(name)), text(r.get("File").and_then(|f| f.get("Name")))))
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("")
}
