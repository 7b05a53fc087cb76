//! Whether Swarm treats two values of a field as the same. Too strict a comparison replaces tasks for nothing; too lax a
//! comparison leaves drift.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fleet::Equivalence;
use crate::swarm::Snapshot;

/// Whether the existing value is equivalent to the wanted one.
pub(super) fn are_equivalent(how: Equivalence, have: &Value, want: &Value, snapshot: &Snapshot) -> bool {
    match how {
        Equivalence::Contains => contains(have, want),
        Equivalence::Exactly => without_empty(have) == without_empty(want),
        Equivalence::Image => image_fits(have.as_str().unwrap_or(""), want.as_str().unwrap_or("")),
        Equivalence::Constraints => constraints(have) == constraints(want),
        Equivalence::Networks => network_ids(have, snapshot) == network_ids(want, snapshot),
        Equivalence::Ports => ports(have) == ports(want),
    }
}

/// Whether everything that is wanted is present. Members that Swarm (or a newer engine) added are ignored.
pub(super) fn contains(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Object(have), Value::Object(want)) => {
            want.iter().all(|(key, wanted)| have.get(key).is_some_and(|found| contains(found, wanted)))
        }
        _ => have == want,
    }
}

/// The value without empty members.
fn without_empty(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let members = map.iter().map(|(key, member)| (key.clone(), without_empty(member)));
    let is_set = |member: &Value| !member.is_null() && member.as_object().is_none_or(|map| !map.is_empty());
    Value::Object(members.filter(|(_, member)| is_set(member)).collect())
}

/// `docker service update` pins the digest that a tag has at that moment. Removing the pin would replace all tasks for the
/// image that they already run, so the declared tag with a pinned digest is treated as the declared image.
fn image_fits(have: &str, want: &str) -> bool {
    if have == want {
        return true;
    }
    let Some((tagged, _)) = have.split_once("@sha256:") else { return false };
    tagged == want || (!has_tag(want) && tagged.strip_suffix(":latest") == Some(want))
}

fn has_tag(image: &str) -> bool {
    image.rsplit('/').next().is_some_and(|last| last.contains(':') || last.contains('@'))
}

fn constraints(value: &Value) -> BTreeSet<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts
        .map(|text| {
            text.split("==").map(str::trim).collect::<Vec<_>>().join("==").split("!=").map(str::trim).collect::<Vec<_>>().join("!=")
        })
        .collect()
}

/// The id of the network that an attachment names, either by id or (which Swarm accepts) by name.
pub(super) fn network_id(attachment: &Value, snapshot: &Snapshot) -> Option<String> {
    let target = attachment.get("Target")?.as_str()?;
    let by_name = || snapshot.networks.values().find(|network| network.name == target).map(|network| network.id.0.clone());
    let is_id = snapshot.networks.keys().any(|id| id.0 == target);
    Some(if is_id { target.to_owned() } else { by_name().unwrap_or_else(|| target.to_owned()) })
}

fn network_ids(value: &Value, snapshot: &Snapshot) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(|attachment| network_id(attachment, snapshot)).collect()
}

/// `(protocol, target, published, mode)` with Swarm's defaults.
fn ports(value: &Value) -> BTreeSet<(String, u64, u64, String)> {
    let text = |port: &Value, key: &str, default: &str| port.get(key).and_then(Value::as_str).unwrap_or(default).to_owned();
    let number = |port: &Value, key: &str| port.get(key).and_then(Value::as_u64).unwrap_or(0);
    let read = |port: &Value| {
        (text(port, "Protocol", "tcp"), number(port, "TargetPort"), number(port, "PublishedPort"), text(port, "PublishMode", "ingress"))
    };
    value.as_array().into_iter().flatten().map(read).collect()
}
