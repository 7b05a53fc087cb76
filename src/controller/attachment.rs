//! Puts together what decides about the networks of a cluster's proxies, and hands on what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::surroundings::Surroundings;
use crate::fleet::NetworkUpdate;
use crate::intent::cluster::{Cluster, NETWORK_INTERVAL, NETWORK_TIMEOUT};
use crate::networks::{self, Decision, Input, Memory};
use crate::report::{EndpointState, RouteReport};
use crate::swarm::{Service, Snapshot};
use crate::translate::Translation;
use crate::types::{NetworkId, ServiceId};

/// Decides which networks the proxies declare now.
pub fn decide(
    around: &Surroundings,
    cluster: &Cluster,
    snapshot: &Snapshot,
    translation: &Translation,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    let update = &cluster.proxy.update;
    networks::decide(
        &Input {
            instance: &around.instance,
            cluster: cluster.name.as_str(),
            service: cluster.proxy.workload.service_name.as_str(),
            control: around.channel.network(),
            snapshot,
            wanted: &translation.networks,
            unfit: &translation.left_out.keys().cloned().collect(),
            closed: cluster.networks.only.is_some(),
            needed_by: &needed_by(snapshot, translation),
            serves: serves(cluster, snapshot, translation),
            interval: signed(update.network_interval.unwrap_or(NETWORK_INTERVAL)),
            timeout: signed(update.network_timeout.unwrap_or(NETWORK_TIMEOUT)),
            now,
        },
        memory,
    )
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// By network, the services that are reached over it, by name.
fn needed_by(snapshot: &Snapshot, translation: &Translation) -> BTreeMap<NetworkId, BTreeSet<String>> {
    let mut needed = BTreeMap::<NetworkId, BTreeSet<String>>::new();
    for (service, networks) in &translation.reached_over {
        let Some(service) = snapshot.services.get(service) else { continue };
        for network in networks {
            needed.entry(network.clone()).or_default().insert(service.name.clone());
        }
    }
    needed
}

/// Whether a route has an endpoint that the proxies reach with what they declare now, ports of nodes included.
fn serves(cluster: &Cluster, snapshot: &Snapshot, translation: &Translation) -> bool {
    let Some(proxy) = proxy_service(cluster, snapshot) else { return false };
    let declared: BTreeSet<&NetworkId> = proxy.networks.iter().collect();
    let is_reached = |id: &ServiceId| {
        let over = translation.reached_over.get(id);
        over.is_none_or(|over| over.is_empty() || over.iter().any(|network| declared.contains(network)))
    };
    let reached: BTreeSet<&str> =
        snapshot.services.values().filter(|service| is_reached(&service.id)).map(|service| service.name.as_str()).collect();
    let is_served = |route: &RouteReport| {
        route.target.is_some()
            || route.services.iter().any(|service| {
                let active = service.endpoints.iter().any(|endpoint| endpoint.state == EndpointState::Active);
                active && reached.contains(service.service.as_str())
            })
    };
    translation.routes.iter().any(is_served)
}

fn proxy_service<'a>(cluster: &Cluster, snapshot: &'a Snapshot) -> Option<&'a Service> {
    snapshot.services.values().find(|service| service.name == cluster.proxy.workload.service_name.as_str())
}

/// What the proxy service is updated for.
pub fn update(decision: &Decision) -> NetworkUpdate {
    NetworkUpdate { attaching: decision.attaching.clone(), withdraws: decision.withdraws, remembered: decision.remembered.clone() }
}

/// The Swarm with the proxy service as it was before networks that failed: what it mounts and says belongs to that.
pub fn snapshot_before(cluster: &Cluster, snapshot: &Snapshot, decision: &Decision) -> Option<Snapshot> {
    let service = proxy_service(cluster, snapshot).filter(|_| decision.withdraws)?;
    let spec = service.previous_spec.clone()?;
    let mut before = snapshot.clone();
    let service = before.services.get_mut(&service.id)?;
    service.spec = spec;
    Some(before)
}
