//! Collects the input for decisions about the networks of a cluster's proxies, and passes on what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use super::context::Context;
use super::pass_input::PassInput;
use crate::fleet::{NetworkUpdate, host_port_conflicts};
use crate::intent::cluster::{Cluster, NETWORK_INTERVAL, NETWORK_TIMEOUT};
use crate::networks::{self, AttachmentState, NetworkDecision, NetworkInput, NetworkShortage};
use crate::plan::is_short_of_tasks;
use crate::report::{EndpointState, RouteReport};
use crate::swarm::{Service, Snapshot, Task};
use crate::translate::{Team, Translation};
use crate::types::{NetworkId, ServiceId};

/// Decides which networks the proxies declare now.
pub fn decide(
    context: &Context,
    cluster: &Cluster,
    snapshot: &Snapshot,
    translation: &Translation,
    known: PassInput<'_>,
) -> NetworkDecision {
    let update = &cluster.proxy.update;
    let contests = host_port_conflicts::of_proxies(&context.instance, cluster, &context.seals, snapshot);
    let contested = host_port_conflicts::wait(cluster.proxy.workload.service_name.as_str(), &contests).map(|waiting| waiting.to_string());
    networks::decide(
        &NetworkInput {
            instance: &context.instance,
            cluster: cluster.name.as_str(),
            service: cluster.proxy.workload.service_name.as_str(),
            control: context.channel.network(),
            snapshot,
            ended: known.ended,
            wanted: &translation.networks,
            unfit: &translation.left_out.keys().cloned().collect(),
            closed: cluster.networks.only.is_some(),
            needed_by: &needed_by(snapshot, translation),
            teams: &teams(snapshot, translation),
            named: &named(cluster, snapshot),
            short: &short(translation),
            contested: contested.as_deref(),
            serves: serves(cluster, snapshot, translation),
            interval: signed(update.network_interval.unwrap_or(NETWORK_INTERVAL)),
            timeout: signed(update.network_timeout.unwrap_or(NETWORK_TIMEOUT)),
            now: known.now,
        },
        known.networks,
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

/// By network, the teams of these services.
fn teams(snapshot: &Snapshot, translation: &Translation) -> BTreeMap<NetworkId, BTreeSet<String>> {
    let mut teams = BTreeMap::<NetworkId, BTreeSet<String>>::new();
    for (service, networks) in &translation.reached_over {
        let Some(service) = snapshot.services.get(service) else { continue };
        for network in networks {
            teams.entry(network.clone()).or_default().insert(Team::new(service).key());
        }
    }
    teams
}

/// The networks that the document names for services to share.
fn named(cluster: &Cluster, snapshot: &Snapshot) -> BTreeSet<NetworkId> {
    let named = snapshot.networks.values().filter(|network| cluster.networks.name(&network.name));
    named.map(|network| network.id.clone()).collect()
}

fn short(translation: &Translation) -> BTreeMap<NetworkId, NetworkShortage> {
    let short = translation.short.iter();
    short
        .map(|(id, short)| {
            let (by_others, message) = (short.by_others.clone(), short.message.clone());
            (id.clone(), NetworkShortage { contested: short.contested, by_others, message })
        })
        .collect()
}

/// Whether a route has an endpoint that the proxies reach with their current networks, including ports published on nodes.
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

/// The proxies that Swarm reports as ended. Queried only while some start with new networks, or one is not running: a failed task
/// disappears from every snapshot at once, and its message is the best explanation available. `None`: there was no answer.
pub async fn ended_proxies(context: &Context, cluster: &Cluster, snapshot: &Snapshot, memory: &AttachmentState) -> Option<Vec<Task>> {
    let concerns = |service: &&Service| memory.trial.is_some() || is_short_of_tasks(service, snapshot);
    let Some(service) = proxy_service(cluster, snapshot).filter(concerns) else { return Some(Vec::new()) };
    match context.swarm.tasks_of_briefly(&service.id).await {
        Ok(tasks) => Some(tasks.iter().filter_map(|task| Task::from_api(task).ok()).filter(Task::has_ended).collect()),
        Err(error) => {
            tracing::debug!(cluster = %cluster.name, %error, "cannot read why proxies ended");
            None
        }
    }
}

/// The reason for which the proxy service is updated.
pub fn update(decision: &NetworkDecision) -> NetworkUpdate {
    NetworkUpdate { attaching: decision.attaching.clone(), withdraws: decision.withdraws, remembered: decision.remembered.clone() }
}

/// The Swarm after the proxy service has left the networks that it leaves now although routes need them; `None` if it leaves no
/// such network.
pub fn snapshot_after_leaving(
    cluster: &Cluster,
    snapshot: &Snapshot,
    translation: &Translation,
    decision: &NetworkDecision,
) -> Option<Snapshot> {
    let service = proxy_service(cluster, snapshot)?;
    let leaves = |id: &NetworkId| translation.networks.contains(id) && !decision.networks.contains(id);
    if !service.networks.iter().any(leaves) {
        return None;
    }
    let networks = service.networks.iter().filter(|id| !leaves(id)).cloned().collect();
    let mut after = snapshot.clone();
    after.services.replace(Service { networks, ..service.clone() });
    Some(after)
}

/// The Swarm with the proxy service as it was before networks that failed: its mounts and labels belong to that state.
pub fn snapshot_before(cluster: &Cluster, snapshot: &Snapshot, decision: &NetworkDecision) -> Option<Snapshot> {
    let service = proxy_service(cluster, snapshot).filter(|_| decision.withdraws && decision.goes_back)?;
    let spec = service.previous_spec.clone()?;
    let mut before = snapshot.clone();
    before.services.replace(Service { spec, ..service.clone() });
    Some(before)
}
