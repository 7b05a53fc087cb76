//! Logs each finding once, when it appears. Decides nothing.

use std::collections::BTreeSet;

use crate::report::{Finding, Severity};

/// Logs the findings that are new; `about` names where they were found.
pub fn appeared(about: &str, before: &[Finding], after: &[Finding]) {
    for finding in new(before, after) {
        let code = finding.code.as_str();
        if finding.severity == Severity::Info {
            tracing::info!(about, code, %finding, "finding");
        } else {
            tracing::warn!(about, code, %finding, "finding");
        }
    }
}

fn new<'a>(before: &[Finding], after: &'a [Finding]) -> Vec<&'a Finding> {
    if before == after {
        return Vec::new();
    }
    let known: BTreeSet<_> = before.iter().collect();
    after.iter().filter(|finding| !known.contains(finding)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FindingCase, Subject, cases};

    #[test]
    fn only_new_findings_are_logged() {
        let finding = |case: FindingCase| Finding::new(case, Subject::Cluster("dev".to_owned()), "message");
        let (drift, gap) = (finding(cases::Drift::Field.into()), finding(cases::UpdateGap::InStack.into()));
        assert_eq!(new(&[], &[drift.clone(), gap.clone()]), [&drift, &gap]);
        assert_eq!(new(std::slice::from_ref(&gap), &[drift.clone(), gap.clone()]), [&drift]);
        assert!(new(&[drift.clone(), gap.clone()], &[gap]).is_empty());
    }
}
