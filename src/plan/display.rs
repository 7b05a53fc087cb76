//! Prints plans like a diff, one line per path of a spec. A plan does not hold the contents of secrets, so none can be
//! shown.

use std::fmt;

use serde_json::{Map, Value};

use super::step::{ChangeKind, FieldChange, Plan, PlanStep, UpdateReason};
use super::task_impact::TaskEffect;
use crate::protocol::container_contract::LABEL_MANAGED;

/// Longer values are truncated to keep lines readable.
const VALUE_CHARS_MAX: usize = 160;

/// How deep a new object is expanded: one line per field of a container is readable, one per field of a mount is not.
const DEPTH_OF_NEW_OBJECTS: usize = 2;

/// The differences between two specs, by path, without the label that remembers managed fields.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found.retain(|change| change.path != format!("Labels.{LABEL_MANAGED}"));
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    let mut note = |kind| found.push(FieldChange { path: path.to_owned(), kind });
    match (old, new) {
        _ if old == new => {}
        (Value::Object(was), Value::Object(is)) => {
            let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&below, was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Null, Value::Object(_)) if depth(path) <= DEPTH_OF_NEW_OBJECTS => compare(path, &Value::Object(Map::new()), new, found),
        (Value::Null, _) => note(ChangeKind::Added { to: new.clone() }),
        (_, Value::Null) => note(ChangeKind::Removed { from: old.clone() }),
        (Value::Array(was), Value::Array(is)) if has_other_members(was, is) => {
            was.iter().filter(|item| !is.contains(item)).for_each(|item| note(ChangeKind::Removed { from: item.clone() }));
            is.iter().filter(|item| !was.contains(item)).for_each(|item| note(ChangeKind::Added { to: item.clone() }));
        }
        _ => note(ChangeKind::Changed { from: old.clone(), to: new.clone() }),
    }
}

fn depth(path: &str) -> usize {
    if path.is_empty() { 0 } else { path.split('.').count() }
}

/// Lists are shown entry by entry if entries were added or removed, and as a whole if only the order or the count differs.
fn has_other_members(was: &[Value], is: &[Value]) -> bool {
    let long = was.len() + is.len() > 4 || was.iter().chain(is).any(Value::is_object);
    long && (was.iter().any(|item| !is.contains(item)) || is.iter().any(|item| !was.contains(item)))
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added { to } => write!(f, "+ {}: {}", self.path, short(to)),
            ChangeKind::Removed { from } => write!(f, "- {}: {}", self.path, short(from)),
            ChangeKind::Changed { from, to } => write!(f, "~ {}: {} → {}", self.path, short(from), short(to)),
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX { text } else { text.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect() }
}

impl fmt::Display for TaskEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keeps => "tasks keep running",
            Self::MovesMisplaced => "replaces tasks whose node no longer fits",
            Self::Replaces => "replaces tasks",
        })
    }
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork { name, .. } => write!(f, "+ network {name}"),
            Self::CreateSecret { name, .. } => write!(f, "+ secret {name} (a random token)"),
            Self::CreateConfig { name, bytes, .. } => write!(f, "+ config {name} ({bytes} bytes)"),
            Self::CreateService { name, spec } => {
                write!(f, "+ service {name}")?;
                lines(f, &changes(&Value::Null, spec))
            }
            Self::UpdateService { name, changes, tasks, reason, .. } => {
                let why = match reason {
                    UpdateReason::Differs => return update(f, name, *tasks, changes),
                    UpdateReason::Resume => "resumes its paused rollout",
                    UpdateReason::Settle => "ends a rollout that Swarm does not finish by itself",
                };
                write!(f, "~ service {name} ({why})")
            }
            Self::RemoveService { name, reason, .. } => write!(f, "- service {name} ({reason})"),
            Self::RemoveConfig { name, .. } => write!(f, "- config {name}"),
            Self::RemoveSecret { name, .. } => write!(f, "- secret {name}"),
            Self::RemoveNetwork { name, .. } => write!(f, "- network {name}"),
        }
    }
}

fn update(f: &mut fmt::Formatter<'_>, name: &str, tasks: TaskEffect, changes: &[FieldChange]) -> fmt::Result {
    write!(f, "~ service {name} ({tasks})")?;
    if changes.is_empty() {
        write!(f, "\n    (only the label {LABEL_MANAGED})")?;
    }
    lines(f, changes)
}

fn lines(f: &mut fmt::Formatter<'_>, changes: &[FieldChange]) -> fmt::Result {
    changes.iter().try_for_each(|change| write!(f, "\n    {change}"))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_converged() {
            write!(f, "cluster {}: converged, nothing to do", self.cluster)?;
        } else {
            write!(f, "cluster {}: {} to do, {} waiting", self.cluster, self.steps.len(), self.waiting.len())?;
        }
        self.steps.iter().try_for_each(|step| write!(f, "\n  {}", step.to_string().replace('\n', "\n  ")))?;
        self.waiting.iter().try_for_each(|waiting| write!(f, "\n  waiting for {waiting}"))?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding:#}"))
    }
}
