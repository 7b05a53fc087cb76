//! What Swarm rejects in a service spec by itself, and in names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::api_error::ApiError;
use super::constraint::PlacementConstraint;
use super::references::{FileKind, references};
use crate::types::ServiceName;

/// Rejects what Swarm rejects, regardless of other objects.
pub fn check(spec: &Value) -> Result<(), ApiError> {
    let template = spec.get("TaskTemplate").unwrap_or(&Value::Null);
    let container = template.get("ContainerSpec").ok_or_else(|| ApiError::invalid("mismatched Runtime and *Spec fields"))?;
    if container.get("Image").and_then(Value::as_str).unwrap_or("").is_empty() {
        return Err(ApiError::invalid("ContainerSpec: image reference must be provided"));
    }
    let constraints = template.get("Placement").and_then(|p| p.get("Constraints")).and_then(Value::as_array);
    for constraint in constraints.into_iter().flatten() {
        PlacementConstraint::parse(constraint.as_str().unwrap_or(""))?;
    }
    check_targets(template, FileKind::Config)?;
    check_targets(template, FileKind::Secret)?;
    check_endpoint(spec.get("EndpointSpec").unwrap_or(&Value::Null))
}

/// Two files of one container cannot have the same target.
fn check_targets(template: &Value, kind: FileKind) -> Result<(), ApiError> {
    let mut targets = BTreeSet::new();
    for (_, name, target) in references(template, kind) {
        if target.is_empty() {
            return Err(ApiError::invalid(format!("invalid {}: File must be set", kind.word())));
        }
        if !targets.insert(target) {
            return Err(ApiError::invalid(format!("{} references '{name}' have a conflicting target: '{target}'", kind.word())));
        }
    }
    Ok(())
}

fn check_endpoint(endpoint: &Value) -> Result<(), ApiError> {
    let dnsrr = endpoint.get("Mode").and_then(Value::as_str) == Some("dnsrr");
    let ports = endpoint.get("Ports").and_then(Value::as_array).into_iter().flatten();
    let mut seen = BTreeSet::new();
    for port in ports {
        let text =
            |key: &str, absent: &'static str| port.get(key).and_then(Value::as_str).filter(|s| !s.is_empty()).unwrap_or(absent).to_owned();
        let published = port.get("PublishedPort").and_then(Value::as_u64).unwrap_or(0);
        if dnsrr && text("PublishMode", "ingress") != "host" {
            return Err(ApiError::invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode"));
        }
        if published != 0 && !seen.insert((published, text("Protocol", "tcp"), text("PublishMode", "ingress"))) {
            return Err(ApiError::invalid("EndpointSpec: duplicate published ports provided"));
        }
    }
    Ok(())
}

/// A service's name must be a DNS label.
pub fn check_service_name(name: &str) -> Result<(), ApiError> {
    ServiceName::parse(name).map(|_| ()).map_err(|_| ApiError::invalid("name must be valid as a DNS name component"))
}

/// Checks the name of a config or a secret.
pub fn check_file_name(name: &str) -> Result<(), ApiError> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    if name.len() <= 64 && name.bytes().all(inner) && edge(name.bytes().next()) && edge(name.bytes().last()) {
        return Ok(());
    }
    Err(ApiError::invalid("invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]"))
}
