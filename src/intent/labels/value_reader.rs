//! Reads the value of one label of a service: the checked value, or findings that say why there is none. It must never let one
//! invalid value or item change another.

use std::collections::{BTreeMap, BTreeSet};

use super::size_limits::{self, ListLimit};
use super::unknown_labels::unknown_labels;
use super::value_mistakes::{case_of_unseen, case_of_value};
use super::{PREFIX, value_grammar};
use crate::report::{Finding, FindingCase, Severity, Subject, cases};
use crate::types::{InvalidValue, first_invisible};

/// How many invalid items of one list, or unknown labels, are reported individually: a label can hold megabytes.
const LIST_FINDINGS_MAX: usize = 8;

/// The labels of one service, and the findings about them so far.
pub(super) struct ValueReader<'a> {
    service: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) findings: Vec<Finding>,
}

impl<'a> ValueReader<'a> {
    pub(super) fn new(service: &'a str, labels: &'a BTreeMap<String, String>) -> Self {
        Self { service, labels, findings: Vec::new() }
    }

    /// The value without surrounding blanks; an empty one is treated as absent.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.labels.get(&format!("{PREFIX}{name}")).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, value_grammar::boolean).unwrap_or(false)
    }

    /// The checked value of a label that is not essential: an invalid one produces a finding and is ignored.
    pub(super) fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, InvalidValue>) -> Option<T> {
        let text = self.value(name)?.to_owned();
        match size_limits::check_length(&text).and_then(|()| parse(&text)) {
            Ok(value) => Some(value),
            Err(rule) => {
                self.bad(name, &text, &rule, "the label is ignored");
                None
            }
        }
    }

    /// The items of a list within its limits. Items beyond them are reported and left out; those before are used.
    pub(super) fn list<T: Ord + Clone>(
        &mut self,
        name: &str,
        text: &str,
        cap: &ListLimit,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> (Vec<T>, Vec<(String, InvalidValue)>) {
        let (readable, cut_off) = size_limits::readable(text, cap.separator);
        if cut_off > 0 {
            self.beyond(name, &size_limits::value_too_long(text.len(), cap), cap);
        }
        let (mut good, bad) = list(readable, cap.separator, parse);
        if good.len() > cap.items {
            self.beyond(name, &size_limits::too_many(good.len(), cap), cap);
            good.truncate(cap.items);
        }
        (good, bad)
    }

    fn beyond(&mut self, name: &str, message: &str, cap: &ListLimit) {
        self.add(cap.case, name, None, message);
    }

    pub(super) fn note_list(&mut self, name: &str, bad: &[(String, InvalidValue)], follows: &str) {
        for (item, rule) in bad.iter().take(LIST_FINDINGS_MAX) {
            self.bad(name, item, rule, follows);
        }
        if bad.len() > LIST_FINDINGS_MAX {
            let more = format!("{} more items of the list are invalid and left out", bad.len() - LIST_FINDINGS_MAX);
            self.add(cases::InvalidLabelValue::More, name, None, &more);
        }
    }

    pub(super) fn bad(&mut self, name: &str, value: &str, rule: &InvalidValue, follows: &str) {
        let (message, case) = match first_invisible(value) {
            Some(unseen) => (format!("{rule}, but the value contains {unseen}; {follows}"), case_of_unseen(name, value).into()),
            None => (format!("{rule}; {follows}"), case_of_value(name, value)),
        };
        self.add(case, name, Some(value), &message);
    }

    pub(super) fn missing(&mut self, name: &str, case: cases::MissingLabel) {
        self.add(case, name, None, "the label is missing, so the service is not published");
    }

    pub(super) fn without_effect(&mut self, name: &str, message: &str, case: cases::LabelWithoutEffect) {
        let value = self.value(name).unwrap_or_default().to_owned();
        self.add(case, name, Some(&value), message);
    }

    /// `name` gets the prefix unless it is a whole label key.
    pub(super) fn add(&mut self, case: impl Into<FindingCase>, name: &str, value: Option<&str>, message: &str) {
        let field = if name.contains('.') { name.to_owned() } else { format!("{PREFIX}{name}") };
        let finding = Finding::new(case, Subject::Service(self.service.to_owned()), message);
        self.findings.push(match value {
            Some(value) => finding.with_field(field, value),
            None => Finding { field: Some(field), ..finding },
        });
    }

    /// Reports labels that look like ours but are not.
    pub(super) fn report_unknown_labels(&mut self, is_published: bool) {
        let mut unknown = 0;
        for label in unknown_labels(self.labels, is_published) {
            let is_warning = label.case.severity() == Severity::Warning;
            unknown += usize::from(is_warning);
            // Labels that close a service are always reported.
            if is_warning && unknown > LIST_FINDINGS_MAX {
                continue;
            }
            let subject = Subject::Service(self.service.to_owned());
            let finding = Finding::new(label.case, subject, label.message);
            self.findings.push(match label.value {
                Some(value) => finding.with_field(label.key, value),
                None => Finding { field: Some(label.key), ..finding },
            });
        }
        if unknown > LIST_FINDINGS_MAX {
            let message = format!("{} more labels of the service do not exist, so they have no effect", unknown - LIST_FINDINGS_MAX);
            self.add(cases::UnknownLabel::More, PREFIX, None, &message);
        }
    }
}

/// The items of a list: valid ones without duplicates in the order written, invalid ones with the rule that they break. Skips
/// empty items (a separator at the end).
fn list<T: Ord + Clone>(
    text: &str,
    separator: char,
    parse: impl Fn(&str) -> Result<T, InvalidValue>,
) -> (Vec<T>, Vec<(String, InvalidValue)>) {
    let (mut good, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for item in text.split(separator).map(str::trim).filter(|item| !item.is_empty()) {
        match parse(item) {
            Ok(value) if seen.insert(value.clone()) => good.push(value),
            Ok(_) => {}
            Err(rule) => bad.push((item.to_owned(), rule)),
        }
    }
    (good, bad)
}
