//! How much one label may contain. Docker sets no limits, and every item must be read, rendered, tested and stored by all
//! components: one label with tens of thousands of items would delay the changes of all other services. A limit never discards
//! what precedes it. Only numbers and their descriptions; knows no grammar.

use crate::report::cases::InvalidLabelValue as Case;
use crate::types::InvalidValue;

/// The maximum size of a label that holds a list, in bytes: enough for a thousand hosts with the longest names.
const LIST_BYTES_MAX: usize = 256 * 1024;
/// The maximum size of every other label, in bytes: far more than any of their grammars allows.
const VALUE_BYTES_MAX: usize = 4 * 1024;

/// The limits of a list.
pub(super) struct ListLimit {
    /// What its items are, in the plural.
    pub(super) what: &'static str,
    /// How many of them are used.
    pub(super) items: usize,
    /// The separator.
    pub(super) separator: char,
    /// What happens to those that are used.
    pub(super) kept: &'static str,
    /// The case of the finding about the others.
    pub(super) case: Case<'static>,
}

/// Every host adds a pool that the engine tests and stores.
pub(super) const HOSTS: ListLimit = ListLimit { what: "hosts", items: 1_000, separator: ',', kept: "published", case: Case::TooManyHosts };

/// Every redirect adds a location or two.
pub(super) const REDIRECTS: ListLimit =
    ListLimit { what: "redirects", items: 1_000, separator: ';', kept: "used", case: Case::TooManyRedirects };

/// Every endpoint adds two locations on each host of the service, on each port.
pub(super) const WEBSOCKET_ENDPOINTS: ListLimit =
    ListLimit { what: "websocket endpoints", items: 100, separator: ',', kept: "used", case: Case::TooManyEndpoints };

/// The message for a list with more good items than are used.
pub(super) fn too_many(found: usize, cap: &ListLimit) -> String {
    let ListLimit { what, items, kept, .. } = cap;
    format!(
        "the list has {found} {what}, but a service may have at most {items}; the first {items} are {kept}, and the others are left out"
    )
}

/// The message for a list that is longer than what is read of it.
pub(super) fn value_too_long(found: usize, cap: &ListLimit) -> String {
    let ListLimit { what, kept, .. } = cap;
    format!(
        "the value has {found} bytes, but at most {LIST_BYTES_MAX} are read: the {what} up to there are {kept}, and the others are left out"
    )
}

/// The beginning of a list, up to the last whole item within the limit, and the number of bytes left out.
pub(super) fn readable(text: &str, separator: char) -> (&str, usize) {
    if text.len() <= LIST_BYTES_MAX {
        return (text, 0);
    }
    let separator = u8::try_from(separator).unwrap_or(b',');
    // One more byte, so that an item that ends exactly here is included. A separator is one byte, so the cut is between
    // characters.
    let end = text.as_bytes()[..=LIST_BYTES_MAX].iter().rposition(|byte| *byte == separator).unwrap_or(0);
    (&text[..end], text.len() - end)
}

/// Whether a value that is not a list is short enough to be read.
pub(super) fn check_length(text: &str) -> Result<(), InvalidValue> {
    if text.len() <= VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(InvalidValue(format!("the value has {} bytes, but at most {VALUE_BYTES_MAX} are read", text.len())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::intent::labels::{LabelReading, ReadLabels, ServiceLabels, read_labels};
    use crate::report::{FindingCode, Severity};

    fn read(labels: &[(&str, &str)]) -> ReadLabels {
        let base = [("hosts", "h"), ("port", "80")].into_iter().chain(labels.iter().copied());
        let labels: BTreeMap<String, String> = base.map(|(name, value)| (format!("com.docker.lb.{name}"), value.to_owned())).collect();
        read_labels("app", &labels)
    }

    fn published(read: &ReadLabels) -> &ServiceLabels {
        let LabelReading::Published(labels) = &read.reading else { panic!("{read:?}") };
        labels
    }

    fn items(count: usize, separator: &str, item: impl Fn(usize) -> String) -> String {
        (0..count).map(item).collect::<Vec<_>>().join(separator)
    }

    /// The number of used items of a list, and its only finding.
    fn check(label: &str, value: &str, counted: fn(&ServiceLabels) -> usize, expected: usize, texts: &[&str]) {
        let read = read(&[(label, value)]);
        assert_eq!(counted(published(&read)), expected, "{label}");
        let messages: Vec<_> = read.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages.is_empty(), texts.is_empty(), "{label}: {messages:?}");
        for finding in &read.findings {
            assert_eq!((finding.severity, &finding.code), (Severity::Error, &FindingCode::InvalidLabelValue));
            assert_eq!(finding.field.as_deref(), Some(format!("com.docker.lb.{label}").as_str()));
        }
        for text in texts {
            assert!(messages.iter().any(|message| message.contains(text)), "{label}: {text:?} is not in {messages:?}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_keeps_its_first_items_and_reports_their_number() {
        let host = |n: usize| format!("h{n}");
        check("hosts", &items(1000, ",", host), |labels| labels.hosts.len(), 1000, &[]);
        check("hosts", &items(1001, ",", host), |labels| labels.hosts.len(), 1000, &["1001 hosts", "the first 1000 are published"]);
        let path = |n: usize| format!("/ws{n}");
        let endpoints = |labels: &ServiceLabels| labels.websocket_endpoints.len();
        check("websocket_endpoints", &items(100, ",", path), endpoints, 100, &[]);
        check("websocket_endpoints", &items(101, ",", path), endpoints, 100, &["101 websocket endpoints", "the first 100 are used"]);
        let redirect = |n: usize| format!("http://h/p{n},http://t/q{n}");
        let redirects = |labels: &ServiceLabels| labels.redirects.len();
        check("redirects", &items(1000, ";", redirect), redirects, 1000, &[]);
        check("redirects", &items(1001, ";", redirect), redirects, 1000, &["1001 redirects", "the first 1000 are used"]);
    }

    #[test]
    fn duplicate_items_are_counted_once() {
        let twice = items(2000, ",", |n| format!("h{}", n / 2));
        check("hosts", &twice, |labels| labels.hosts.len(), 1000, &[]);
    }

    #[test]
    fn a_list_of_a_megabyte_is_read_up_to_the_last_complete_item() {
        let value = items(95_000, ",", |n| format!("/socket-{n}"));
        let texts = [&*format!("the value has {} bytes, but at most 262144 are read", value.len()), "the first 100 are used"];
        check("websocket_endpoints", &value, |labels| labels.websocket_endpoints.len(), 100, &texts);
        let long = format!("h,{}", "x".repeat(1 << 20));
        check("hosts", &long, |labels| labels.hosts.len(), 1, &["the value has 1048578 bytes"]);
        // The last item within the limit is complete, whatever it consists of.
        let odd = format!("h,{},ä", "ä".repeat(LIST_BYTES_MAX));
        check("hosts", &odd, |labels| labels.hosts.len(), 1, &["but at most"]);
    }

    #[test]
    fn a_list_ends_with_the_last_item_that_fits() {
        for beyond in [0, 1, 2] {
            let text = format!("{},b", "a".repeat(LIST_BYTES_MAX - 2 + beyond));
            let (read, left) = readable(&text, ',');
            assert_eq!(read.len(), [LIST_BYTES_MAX, LIST_BYTES_MAX - 1, LIST_BYTES_MAX][beyond], "{beyond}");
            assert_eq!(left, text.len() - read.len());
        }
        assert_eq!(readable(&"a".repeat(LIST_BYTES_MAX + 1), ','), ("", LIST_BYTES_MAX + 1));
    }

    #[test]
    fn a_value_of_megabytes_of_any_other_label_is_invalid_and_reported() {
        let long = "a".repeat(2 << 20);
        for info in crate::intent::labels::LABELS {
            let is_list = matches!(info.name, "hosts" | "redirects" | "websocket_endpoints");
            if is_list || info.name == "service_cluster" {
                continue;
            }
            let labels = [("ssl_backend", "true"), (info.name, long.as_str())];
            let read = read(&labels);
            let reported = read.findings.iter().any(|finding| finding.message.contains("2097152 bytes"));
            assert!(reported, "{}: {:?}", info.name, read.findings);
            assert!(read.findings.iter().all(|finding| finding.message.len() < 500));
        }
    }

    #[test]
    fn thousands_of_unknown_labels_produce_few_findings() {
        let names: Vec<String> = (0..5000).map(|n| format!("odd-{n:04}")).collect();
        let labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let read = read(&labels);
        assert_eq!(read.findings.len(), 9);
        assert!(read.findings.iter().any(|finding| finding.message.contains("4992 more labels")), "{:?}", read.findings);
        published(&read);
    }
}
