//! `spec.networks`: from what was typed to rules, and what the schema cannot say about them.

use serde_json::Value;

use super::combinations::Look;
use super::mistake::Mistakes;
use crate::intent::networks::NetworkRules;
use crate::intent::networks_spec::{NetworkRulesSpec, NetworksSpec};
use crate::types::{AddressRange, NetworkName, Refused};

/// The rules as they are meant.
pub(super) fn checked(spec: Option<NetworksSpec>) -> Result<NetworkRules, Refused> {
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

/// An empty closed list reaches nobody, a name that stands twice is a slip, and what is preferred must be possible.
pub(super) fn check(look: &Look<'_>, mistakes: &mut Mistakes) {
    let field = "/spec/networks";
    let only = if look.any(field).is_some_and(Value::is_array) { field.to_owned() } else { format!("{field}/only") };
    let (preferred, reserved) = (format!("{field}/preferred"), format!("{field}/reserved"));
    if look.any(&only).is_some_and(|names| names.as_array().is_some_and(Vec::is_empty)) {
        let message = "a closed list without networks: the proxies reach no service by overlay";
        mistakes.doubtful(&only, message, "Name networks, or leave the field out.");
    }
    named_twice(look, &only, "the network is named twice", mistakes);
    named_twice(look, &preferred, "the network is named twice", mistakes);
    named_twice(look, &reserved, "the range is named twice", mistakes);
    outside_the_list(look, &only, &preferred, mistakes);
    everything_reserved(look, &reserved, mistakes);
}

fn named_twice(look: &Look<'_>, pointer: &str, message: &str, mistakes: &mut Mistakes) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, name) in look.list(pointer).iter().enumerate() {
        if name.as_str().is_some_and(|name| !seen.insert(name)) {
            mistakes.doubtful(&format!("{pointer}/{at}"), message, "Remove one.");
        }
    }
}

fn outside_the_list(look: &Look<'_>, only: &str, preferred: &str, mistakes: &mut Mistakes) {
    if look.any(only).is_none() {
        return;
    }
    for (at, name) in look.list(preferred).iter().enumerate() {
        let is_name = name.as_str().is_some_and(|name| NetworkName::parse(name).is_ok());
        if is_name && !look.list(only).contains(name) {
            let message = "the closed list does not have this network, so no service is ever reached over it";
            mistakes.impossible(&format!("{preferred}/{at}"), message, "Add it to only, or remove it here.");
        }
    }
}

/// A range that holds every address that applications can have leaves no network.
fn everything_reserved(look: &Look<'_>, reserved: &str, mistakes: &mut Mistakes) {
    for (at, text) in look.list(reserved).iter().enumerate() {
        let whole = text.as_str().and_then(|text| AddressRange::parse(text).ok()).is_some_and(|range| range.is_everybody());
        if whole {
            let message = "every address is reserved: the proxies are attached to no network of this family";
            mistakes.doubtful(&format!("{reserved}/{at}"), message, "Name the ranges of clients, offices and VPNs.");
        }
    }
}
