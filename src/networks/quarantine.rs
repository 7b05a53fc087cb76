//! Networks with which proxies did not come up: not tried again until something about them changes, or until a growing delay
//! has passed. They are also remembered on the proxy service, because every attempt costs a proxy.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::observation::ObservedProxies;
use super::timings::{doubled, later};
use super::{AttachmentState, NetworkInput, QuarantinedNetwork};
use crate::protocol::container_contract::LABEL_FAILED_NETWORKS;
use crate::swarm::Service;
use crate::types::{Digest, NetworkId};

/// In intervals: the delay after the first failure, and the longest one. Five minutes and six hours, unless the document
/// says otherwise.
const DELAY_INTERVALS: i32 = 5;
const DELAY_INTERVALS_MAX: i32 = 360;
/// After a change, the delay is divided by this. It is not dropped altogether, because users may change their own labels all
/// the time.
const SHORTER_AFTER_CHANGE: i32 = 6;
/// Otherwise the label would grow without bound if services have many networks.
const REMEMBERED_MAX: usize = 20;

/// A network in the label of the proxy service.
#[derive(Serialize, Deserialize)]
struct QuarantineEntry {
    id: NetworkId,
    #[serde(flatten)]
    state: QuarantinedNetwork,
}

/// Records that a network failed alone in a rollout that began at `began`.
pub(super) fn add(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    id: &NetworkId,
    began: Timestamp,
    message: String,
) {
    let before = memory.quarantine.get(id);
    // A snapshot may be older than the previous one: the same failure is not recorded twice.
    if before.is_some_and(|before| before.failed_at >= began) {
        return;
    }
    insert(input, seen, memory, id, message, false);
}

/// Records that the proxies leave a network for lack of addresses.
pub(super) fn add_full(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    id: &NetworkId,
    message: String,
) {
    insert(input, seen, memory, id, message, true);
}

/// Records that a node cannot set up a network that proxies had before.
pub(super) fn add_stuck(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &mut AttachmentState,
    id: &NetworkId,
    message: String,
) {
    insert(input, seen, memory, id, message, false);
}

fn insert(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState, id: &NetworkId, message: String, full: bool) {
    let tries = memory.quarantine.get(id).map_or(1, |before| before.tries.saturating_add(1));
    let state = state_of(input, seen, id);
    memory.quarantine.insert(id.clone(), QuarantinedNetwork { failed_at: input.now, tries, state, message, full });
}

/// Forgets networks that no longer exist.
pub(super) fn prune(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    let networks = &input.snapshot.networks;
    memory.quarantine.retain(|id, _| networks.contains_key(id));
    memory.settled.retain(|id| networks.contains_key(id));
    memory.withdrawn.retain(|id| networks.contains_key(id) || seen.declared.contains(id));
    let wanted: BTreeSet<&NetworkId> = input.wanted.iter().collect();
    for part in &mut memory.parts {
        part.retain(|id| wanted.contains(id));
    }
    memory.parts.retain(|part| !part.is_empty());
}

/// When a network in quarantine is retried.
pub(super) fn retry_at(
    input: &NetworkInput<'_>,
    seen: &ObservedProxies<'_>,
    memory: &AttachmentState,
    id: &NetworkId,
) -> Option<Timestamp> {
    let held = memory.quarantine.get(id)?;
    let delay =
        input.interval.saturating_mul(DELAY_INTERVALS.saturating_mul(doubled(held.tries.saturating_sub(1))).min(DELAY_INTERVALS_MAX));
    let unchanged = held.state == state_of(input, seen, id);
    let delay = if unchanged { delay } else { delay.checked_div(SHORTER_AFTER_CHANGE).unwrap_or(SignedDuration::ZERO) };
    Some(later(held.failed_at, delay))
}

/// Whether a network is in quarantine and not yet due for a retry.
pub(super) fn holds(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState, id: &NetworkId) -> bool {
    retry_at(input, seen, memory, id).is_some_and(|at| at > input.now)
}

/// Digest of everything visible in the Swarm that determines whether proxies come up on a network: the network, the services
/// on it that our routes need, and the nodes.
fn state_of(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, id: &NetworkId) -> Digest {
    let network = input.snapshot.networks.get(id).map(|network| json!([network.name, network.driver, network.labels]));
    let nodes: Vec<_> = input.snapshot.nodes.values().map(|node| json!([node.id, node.state, node.availability, node.labels])).collect();
    let mut services: Vec<&Service> = input.needed_by.get(id).into_iter().flatten().filter_map(|name| seen.service_named(name)).collect();
    services.sort_by(|a, b| a.id.cmp(&b.id));
    let services: Vec<_> = services.iter().map(|service| json!([service.id, service.labels, service.networks, service.replicas])).collect();
    Digest::of_json(&json!([network, nodes, services]))
}

/// The value of the label on the proxy service; `None` if there is nothing to remember.
pub(super) fn to_label(memory: &AttachmentState) -> Option<String> {
    let mut entries: Vec<QuarantineEntry> =
        memory.quarantine.iter().map(|(id, state)| QuarantineEntry { id: id.clone(), state: state.clone() }).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.state.failed_at));
    entries.truncate(REMEMBERED_MAX);
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    (!entries.is_empty()).then(|| serde_json::to_string(&entries).unwrap_or_default())
}

/// Reads that label. Invalid content is ignored: the worst consequence is an early attempt.
pub(super) fn restore_from_label(seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    let label = seen.service.and_then(|service| service.labels.get(LABEL_FAILED_NETWORKS));
    let entries: Vec<QuarantineEntry> = label.and_then(|label| serde_json::from_str(label).ok()).unwrap_or_default();
    let absent = entries.into_iter().filter(|entry| !seen.declared.contains(&entry.id));
    memory.quarantine = absent.map(|entry| (entry.id, entry.state)).collect();
}
