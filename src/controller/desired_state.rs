//! The pure middle of a pass: translate → shape → plan. Shared by the pass, which acts, and by the preview, which does not.

use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::network_attachment;
use super::pass_input::PassInput;
use crate::channel::Received;
use crate::fleet::{ObjectKind, Role, SealedObject, ShapeInput, shape};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::networks;
use crate::plan::{Plan, plan};
use crate::protocol::messages::{Delivery, Desired};
use crate::protocol::size_limits::{self, TooLarge};
use crate::protocol::timings::NOT_WORKING_AFTER;
use crate::report::WaitingOn;
use crate::route::MaterialRef;
use crate::swarm::Snapshot;
use crate::translate::{HostOwners, Translation, translate_after};

/// What the proxies of a cluster must serve, regardless of the fleet that this needs.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredState {
    /// The translation.
    pub translation: Translation,
    /// The same as a message to the extension.
    pub desired: Desired,
    /// Why the extension could not read that message, if it could not.
    pub too_large: Option<TooLarge>,
}

/// The routes that services ask for. `host_owners`: which service had each host before.
pub fn routes(cluster: &Cluster, snapshot: &Snapshot, host_owners: &HostOwners) -> DesiredState {
    let translation = translate_after(cluster, snapshot, host_owners);
    let desired = Desired::new(delivery_of(cluster), translation.table.clone());
    let too_large = size_limits::check_desired(&desired).err();
    DesiredState { translation, desired, too_large }
}

/// The same while proxies leave networks that are still needed: the endpoints there are removed first, because the next proxies have
/// no interface on those networks. The networks to attach stay the same.
pub fn without_left_networks(
    cluster: &Cluster,
    snapshot: &Snapshot,
    host_owners: &HostOwners,
    routes: &mut DesiredState,
    decision: &networks::NetworkDecision,
) {
    let Some(snapshot) = network_attachment::snapshot_after_leaving(cluster, snapshot, &routes.translation, decision) else { return };
    let left = self::routes(cluster, &snapshot, host_owners);
    (routes.desired, routes.too_large) = (left.desired, left.too_large);
    (routes.translation.table, routes.translation.routes) = (left.translation.table, left.translation.routes);
}

/// Which service had each host before: from the last pass, or as recorded on the extension service if that belongs to this operator.
/// Anybody who may create services could have created one of its name earlier.
pub fn host_owners(context: &Context, cluster: &Cluster, snapshot: &Snapshot, last: Option<&Arc<HostOwners>>) -> Arc<HostOwners> {
    let (instance, name) = (context.instance.as_str(), cluster.extension.service_name.as_str());
    let role = Role::Extension.as_str();
    let described = SealedObject { kind: ObjectKind::Service, instance, cluster: cluster.name.as_str(), role, name };
    let is_ours = || snapshot.services.values().any(|service| service.name == name && described.is_sealed(&context.seals, &service.labels));
    let recalled = || if is_ours() { HostOwners::from_label(cluster, snapshot) } else { HostOwners::default() };
    last.map_or_else(|| Arc::new(recalled()), Arc::clone)
}

fn delivery_of(cluster: &Cluster) -> Delivery {
    match cluster.proxy.rollout {
        RolloutStrategy::Live => Delivery::Live,
        RolloutStrategy::Replace => Delivery::Replace,
    }
}

/// The steps that make the fleet as declared, with the networks that were decided on.
pub fn fleet_plan(
    context: &Context,
    cluster: &Cluster,
    snapshot: &Snapshot,
    routes: &DesiredState,
    decision: &networks::NetworkDecision,
    known: PassInput<'_>,
) -> Plan {
    let PassInput { report, plan: memory, now, .. } = known;
    let before = network_attachment::snapshot_before(cluster, snapshot, decision);
    let material: Vec<MaterialRef> = routes.desired.table.material().into_iter().cloned().collect();
    let mut fleet = shape(&ShapeInput {
        instance: &context.instance,
        cluster,
        snapshot: before.as_ref().unwrap_or(snapshot),
        networks: &decision.networks,
        network_update: &network_attachment::update(decision),
        remembered_hosts: routes.translation.remembered_hosts.as_deref(),
        material: &material,
        boot: report.and_then(|received| received.report.boot.as_ref()),
        live: report.and_then(|received| received.report.live.as_ref()),
        channel: &context.channel,
        seals: &context.seals,
        now,
    });
    fleet.waiting.extend(decision.waiting.iter().cloned());
    fleet.findings.extend(decision.findings.iter().cloned());
    let awaited = delivery_of(cluster) == Delivery::Live && report.is_some_and(|received| is_at_work(received, &routes.desired, now));
    let fleet = if awaited { fleet.awaiting_newest_snapshot() } else { fleet };
    plan(&fleet, snapshot, memory)
}

/// Why the extension withholds the newest routes from the proxies, if it does.
pub fn acceptance(report: Option<&Received>, desired: &Desired) -> Option<WaitingOn> {
    let waits = |detail: &str| Some(WaitingOn::Acceptance { detail: detail.to_owned() });
    let Some(Received { report, .. }) = report else { return waits("it has not reported yet") };
    if report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == desired.digest) {
        return None;
    }
    match report.refused.as_ref().filter(|refusal| refusal.digest == desired.digest) {
        Some(refusal) if refusal.undecided => waits(&refusal.message),
        Some(refusal) if refusal.too_large => waits("the configuration is too large for proxies to read"),
        Some(_) => waits("the engine refused them"),
        None => waits("it is rendering and testing them"),
    }
}

/// Whether the extension is alive but has not answered the newest routes yet.
fn is_at_work(received: &Received, desired: &Desired, now: Timestamp) -> bool {
    let report = &received.report;
    let accepted = report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == desired.digest);
    let refused = report.refused.as_ref().is_some_and(|refusal| refusal.digest == desired.digest);
    !accepted && !refused && now.duration_since(received.at) <= NOT_WORKING_AFTER
}
