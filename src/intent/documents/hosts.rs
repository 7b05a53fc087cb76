//! `spec.hosts`: converts it to rules, and reports lists that admit no service.

use super::document_error::Mistakes;
use super::fields::Fields;
use crate::intent::hosts::{HostRule, HostRules};
use crate::intent::hosts_spec::{HostRuleSpec, HostsSpec};
use crate::report::cases::InvalidValue::EmptyList;
use crate::types::{HostGlob, InvalidValue, ServiceGlob};

/// The checked rules.
pub(super) fn checked(spec: HostsSpec) -> Result<HostRules, InvalidValue> {
    let allow = spec.allow.map(|entries| entries.into_iter().map(rule).collect()).transpose()?;
    Ok(HostRules { allow, default_backend: services(spec.default_backend)?, sharing: spec.sharing.unwrap_or_default() })
}

fn rule(spec: HostRuleSpec) -> Result<HostRule, InvalidValue> {
    match spec {
        HostRuleSpec::Pattern(host) => Ok(HostRule { host: HostGlob::parse(&host)?, services: None, networks: None }),
        HostRuleSpec::Limited(spec) => {
            Ok(HostRule { host: HostGlob::parse(&spec.host)?, services: services(spec.services)?, networks: spec.networks })
        }
    }
}

fn services(patterns: Option<Vec<String>>) -> Result<Option<Vec<ServiceGlob>>, InvalidValue> {
    patterns.map(|patterns| patterns.iter().map(|pattern| ServiceGlob::parse(pattern)).collect()).transpose()
}

/// An empty list is still a list: it admits no service, which is rarely intended.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let allow = "/spec/hosts/allow";
    let is_empty = |pointer: &str| fields.any(pointer).and_then(serde_json::Value::as_array).is_some_and(Vec::is_empty);
    if is_empty(allow) {
        let message = "the list is empty, so no service of this cluster may publish any host";
        mistakes.add(EmptyList { items: "hosts" }, allow, message);
    }
    note_sharing_without_names(fields, mistakes);
    for at in 0..fields.list(allow).len() {
        for pointer in ["services", "networks"].map(|name| format!("{allow}/{at}/{name}")) {
            if is_empty(&pointer) {
                mistakes.add(EmptyList { items: "names" }, &pointer, "the list is empty, so this entry allows no service");
            }
        }
    }
}

/// `sharing: allowed` admits the services that entries name: without entries it is the same as `sameStack`.
fn note_sharing_without_names(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let sharing = "/spec/hosts/sharing";
    let is_allowed = fields.any(sharing).and_then(serde_json::Value::as_str) == Some("allowed");
    let names = |entry: &serde_json::Value| entry.get("services").is_some() || entry.get("networks").is_some();
    let entries = fields.any("/spec/hosts/allow").and_then(serde_json::Value::as_array);
    if is_allowed && !entries.is_some_and(|entries| entries.iter().any(names)) {
        let message = "no entry of spec.hosts.allow names services or networks, so no host is shared";
        mistakes.add(EmptyList { items: "an entry with host and services" }, sharing, message);
    }
}
