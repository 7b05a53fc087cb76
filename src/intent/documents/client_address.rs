//! `spec.settings.clientAddress`: converts it to ranges, and reports values that trust no client or every client.

use super::client_limits::publish_mode;
use super::document_error::Mistakes;
use super::fields::Fields;
use crate::intent::settings_spec::ClientAddress as Spec;
use crate::report::cases::{ImpossibleCombination, InvalidValue};
use crate::route::ClientAddress;
use crate::types::{self, AddressRange, EngineLine};

const POINTER: &str = "/spec/settings/clientAddress";

/// Ranges with shorter prefixes than this are not plausible for load balancers (IPv4, IPv6).
const NARROW_ENOUGH: (u8, u8) = (8, 16);

/// Raw directives for the same purpose.
const SAME: [&str; 3] = ["set_real_ip_from", "real_ip_header", "real_ip_recursive"];

/// The load balancers in the engine's form.
pub(super) fn checked(spec: &Spec) -> Result<ClientAddress, types::InvalidValue> {
    let mut trusted = spec.trusted.iter().map(|range| AddressRange::parse(range)).collect::<Result<Vec<_>, _>>()?;
    trusted.sort_unstable();
    trusted.dedup();
    Ok(ClientAddress { trusted, from: spec.from })
}

/// Reports lists that trust no load balancer, or arbitrary clients.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let pointer = format!("{POINTER}/trusted");
    if fields.any(&pointer).is_some_and(serde_json::Value::is_array) && fields.list(&pointer).is_empty() {
        let message = "the list is empty, so no load balancer is trusted";
        mistakes.add(ImpossibleCombination::NoLoadBalancer, &pointer, message);
    }
    for (at, range) in fields.list(&pointer).iter().enumerate() {
        let range = range.as_str().and_then(|text| AddressRange::parse(text).ok());
        if let Some(message) = range.and_then(too_wide) {
            mistakes.add(InvalidValue::TrustsClients, &format!("{pointer}/{at}"), message);
        }
    }
    if fields.any(POINTER).is_some() {
        behind_the_mesh(fields, mistakes);
        report_duplicates(fields, mistakes);
    }
}

fn too_wide(range: AddressRange) -> Option<&'static str> {
    let least = if range.is_v4() { NARROW_ENOUGH.0 } else { NARROW_ENOUGH.1 };
    if range.is_any() {
        Some("every address is trusted: any client can forge its address, and claim that it used TLS")
    } else if range.prefix_len() < least {
        Some("a range this wide also contains clients: each of them can forge its address, and claim that it used TLS")
    } else {
        None
    }
}

/// The routing mesh, which is the default, gives every connection one of its own addresses.
fn behind_the_mesh(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    if publish_mode(fields) == Some("ingress") {
        let message = "behind the routing mesh proxies see addresses of the mesh, never those of load balancers, so the list matches \
                       either no connection or all of them";
        mistakes.add(InvalidValue::ClientAddressInMesh, POINTER, message);
    }
}

fn report_duplicates(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let pointer = "/spec/settings/httpOptions";
    for (at, line) in fields.list(pointer).iter().enumerate() {
        let names = line.as_str().and_then(|text| EngineLine::parse(text).ok()).map(|line| line.directives()).unwrap_or_default();
        if let Some(name) = names.iter().find(|name| SAME.contains(&name.as_str())) {
            let message = format!(
                "{name} and clientAddress both define which addresses are trusted, and this line replaces the one that Swarmgate generates"
            );
            mistakes.add(InvalidValue::ClientAddressLine, &format!("{pointer}/{at}"), message);
        }
    }
}
