//! `spec.networks`: converts it to rules, and checks what the schema cannot express.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::document_error::Mistakes;
use super::fields::Fields;
use crate::intent::networks::NetworkRules;
use crate::intent::networks_spec::{NetworkRulesSpec, NetworksSpec};
use crate::report::cases;
use crate::types::{AddressRange, InvalidValue, NetworkName};

/// Docker's default pool for overlay networks (`docker swarm init --default-addr-pool`).
const DEFAULT_POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);

/// Networks that exist on every node, and Docker's name for the routing mesh.
const DOCKERS_OWN: [&str; 5] = ["ingress", "docker_gwbridge", "bridge", "host", "none"];

/// The checked rules.
pub(super) fn checked(spec: Option<NetworksSpec>) -> Result<NetworkRules, InvalidValue> {
    let spec = match spec {
        None => return Ok(NetworkRules::default()),
        Some(NetworksSpec::Only(names)) => NetworkRulesSpec { only: Some(names), ..NetworkRulesSpec::default() },
        Some(NetworksSpec::Rules(rules)) => rules,
    };
    let reserved = spec.reserved.iter().map(|text| AddressRange::parse(text)).collect::<Result<_, _>>()?;
    Ok(NetworkRules { only: spec.only.map(sorted), preferred: spec.preferred, reserved })
}

fn sorted(mut names: Vec<NetworkName>) -> Vec<NetworkName> {
    names.sort();
    names.dedup();
    names
}

/// An empty closed list reaches no service, a duplicate name is a mistake, and preferred networks must be possible.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let field = "/spec/networks";
    let only = if fields.any(field).is_some_and(Value::is_array) { field.to_owned() } else { format!("{field}/only") };
    let (preferred, reserved) = (format!("{field}/preferred"), format!("{field}/reserved"));
    if fields.any(&only).is_some_and(|names| names.as_array().is_some_and(Vec::is_empty)) {
        let message = "the list is empty, so the proxies reach no service on an overlay network";
        mistakes.add(cases::InvalidValue::EmptyList { items: "networks" }, &only, message);
    }
    named_twice(fields, &only, "the network is listed twice", mistakes);
    named_twice(fields, &preferred, "the network is listed twice", mistakes);
    named_twice(fields, &reserved, "the range is listed twice", mistakes);
    outside_the_list(fields, &only, &preferred, mistakes);
    not_for_applications(fields, &only, mistakes);
    not_for_applications(fields, &preferred, mistakes);
    everything_reserved(fields, &reserved, mistakes);
}

fn named_twice(fields: &Fields<'_>, pointer: &str, message: &str, mistakes: &mut Mistakes) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, name) in fields.list(pointer).iter().enumerate() {
        if name.as_str().is_some_and(|name| !seen.insert(name)) {
            mistakes.add(cases::InvalidValue::DuplicateEntry, &format!("{pointer}/{at}"), message);
        }
    }
}

fn outside_the_list(fields: &Fields<'_>, only: &str, preferred: &str, mistakes: &mut Mistakes) {
    if fields.any(only).is_none() {
        return;
    }
    for (at, name) in fields.list(preferred).iter().enumerate() {
        let is_name = name.as_str().is_some_and(|name| NetworkName::parse(name).is_ok());
        if is_name && !fields.list(only).contains(name) {
            let message = "the network is not in the list of allowed networks, so no service is ever reached on it";
            mistakes.add(cases::ImpossibleCombination::PreferredButNotListed, &format!("{preferred}/{at}"), message);
        }
    }
}

/// Docker's own networks carry no application traffic.
fn not_for_applications(fields: &Fields<'_>, pointer: &str, mistakes: &mut Mistakes) {
    for (at, name) in fields.list(pointer).iter().enumerate() {
        if name.as_str().is_some_and(|name| DOCKERS_OWN.contains(&name)) {
            let message = "this is one of Docker's own networks, to which the proxies are never attached";
            mistakes.add(cases::InvalidValue::DockerNetwork, &format!("{pointer}/{at}"), message);
        }
    }
}

/// A range that contains every address that applications have, or get by default, leaves no usable network.
fn everything_reserved(fields: &Fields<'_>, reserved: &str, mistakes: &mut Mistakes) {
    for (at, text) in fields.list(reserved).iter().enumerate() {
        let Some(range) = text.as_str().and_then(|text| AddressRange::parse(text).ok()) else { continue };
        let field = format!("{reserved}/{at}");
        if range.is_any() {
            let message = "every address is reserved, so the proxies are not attached to any network of this address family";
            mistakes.add(cases::InvalidValue::EverythingReserved, &field, message);
        } else if range.net().contains(&IpNet::V4(DEFAULT_POOL)) {
            let message = "all of 10.0.0.0/8 is reserved, from which Docker takes the addresses of overlay networks by default: the proxies \
                           are not attached to any of these networks";
            mistakes.add(cases::InvalidValue::DefaultPoolReserved, &field, message);
        }
    }
}
