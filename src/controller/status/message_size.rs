//! Findings for routes that exceed the size of a message: which parts are the largest, and what to do. Pure.

use super::StatusInput;
use crate::report::{Finding, Subject, cases};
use crate::route::QuarantineUnit;

/// How many of the largest parts are named.
const NAMED_MAX: usize = 3;

/// The newest routes were not sent to the extension, because it could not read them.
pub fn finding(seen: &StatusInput<'_>) -> Option<Finding> {
    let fault = seen.too_large?;
    Some(about(seen, &format!("the newest routes are not sent to the extension, so the previous routes stay in use: {fault}")))
}

/// The extension does not distribute the newest configuration, because proxies (or this operator) could not read it.
pub fn refused(seen: &StatusInput<'_>, message: &str) -> Finding {
    about(seen, &format!("the newest configuration is not distributed, so the last good one stays in use: {}", message.trim()))
}

fn about(seen: &StatusInput<'_>, what: &str) -> Finding {
    let message = format!("{what}; the largest parts are {}", largest(seen).join(", "));
    Finding::new(cases::MessageTooLarge, Subject::Cluster(seen.cluster.name.to_string()), message)
}

fn largest(seen: &StatusInput<'_>) -> Vec<String> {
    let table = &seen.desired.table;
    let mut parts: Vec<(usize, QuarantineUnit)> = table.quarantine_units().into_iter().map(|part| (table.size_of(&part), part)).collect();
    parts.sort_by(|a, b| b.cmp(a));
    parts
        .iter()
        .take(NAMED_MAX)
        .map(|(bytes, part)| format!("{} ({bytes} bytes)", super::quarantine_findings::describe_unit(part)))
        .collect()
}
