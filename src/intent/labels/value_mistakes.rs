//! Which mistake an invalid value of a label probably is, so that its finding has a remedy as specific as possible. A remedy
//! never repeats the value.

use crate::report::FindingCase;
use crate::report::cases::InvalidLabelValue;

/// The case of invisible characters. Line breaks between hosts are visible enough to be named.
pub(super) fn case_of_unseen(name: &str, value: &str) -> InvalidLabelValue<'static> {
    if name == "hosts" && value.trim().contains(['\n', '\r', '\t']) { InvalidLabelValue::HostLines } else { InvalidLabelValue::Invisible }
}

/// The case of an invalid value, as specific as possible.
pub(super) fn case_of_value(name: &str, value: &str) -> FindingCase {
    let case = match name {
        _ if value.contains('$') => InvalidLabelValue::Variable,
        "hosts" => return case_of_host(value),
        "port" => InvalidLabelValue::Port,
        "context_root" | "websocket_endpoints" => InvalidLabelValue::Path,
        "redirects" => InvalidLabelValue::Redirects,
        "fail_timeout" => InvalidLabelValue::Duration,
        _ => InvalidLabelValue::Other,
    };
    case.into()
}

fn case_of_host(value: &str) -> FindingCase {
    let case = match value {
        _ if value.trim() == "*" => InvalidLabelValue::EveryHost,
        _ if value.contains("://") => InvalidLabelValue::HostWithScheme,
        _ if value.contains('/') => InvalidLabelValue::HostWithPath,
        _ if value.contains(':') => InvalidLabelValue::HostWithPort,
        _ => InvalidLabelValue::Hosts,
    };
    match value.chars().find(|c| !c.is_ascii()) {
        Some(strange) => InvalidLabelValue::HostLetters { character: &format!("U+{:04X}", u32::from(strange)) }.into(),
        None => case.into(),
    }
}
