//! The pure middle of a pass: translate → shape → plan. Shared by the pass that acts and by the preview that only tells.

use jiff::{SignedDuration, Timestamp};

use super::attachment;
use super::surroundings::Surroundings;
use crate::channel::Received;
use crate::channel::wire::{Delivery, Desired};
use crate::fleet::{ShapeInput, shape};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::Rollout;
use crate::networks;
use crate::plan::{Memory, Plan, plan};
use crate::report::WaitingOn;
use crate::route::MaterialRef;
use crate::swarm::Snapshot;
use crate::translate::{Translation, translate};

/// An extension that said nothing for longer is not at work on anything. It reports every few seconds.
const ANSWERS_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// What the proxies of a cluster must say, before anybody asks which fleet that needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes {
    /// The translation.
    pub translation: Translation,
    /// The same as a message to the extension.
    pub desired: Desired,
}

/// What services ask for.
pub fn routes(cluster: &Cluster, snapshot: &Snapshot) -> Routes {
    let translation = translate(cluster, snapshot);
    let desired = Desired::new(delivery_of(cluster), translation.table.clone());
    Routes { translation, desired }
}

fn delivery_of(cluster: &Cluster) -> Delivery {
    match cluster.proxy.rollout {
        Rollout::Live => Delivery::Live,
        Rollout::Replace => Delivery::Replace,
    }
}

/// What was remembered, and is thought upon in a pass beside the world.
#[derive(Debug, Clone, Copy)]
pub struct Recollection<'a> {
    /// What the extension last said.
    pub report: Option<&'a Received>,
    /// What planning remembers.
    pub plan: &'a Memory,
    /// What is remembered of networks.
    pub networks: &'a networks::Memory,
    /// The time of the pass.
    pub now: Timestamp,
}

/// Which networks the proxies declare, and what must be done so that the fleet is as declared.
pub fn fleet_plan(
    around: &Surroundings,
    cluster: &Cluster,
    snapshot: &Snapshot,
    routes: &Routes,
    known: Recollection<'_>,
) -> (networks::Decision, Plan) {
    let Recollection { report, plan: memory, now, .. } = known;
    let decision = attachment::decide(around, cluster, snapshot, &routes.translation, known.networks, now);
    let before = attachment::snapshot_before(cluster, snapshot, &decision);
    let material: Vec<MaterialRef> = routes.desired.table.material().into_iter().cloned().collect();
    let mut fleet = shape(&ShapeInput {
        instance: &around.instance,
        cluster,
        snapshot: before.as_ref().unwrap_or(snapshot),
        networks: &decision.networks,
        network_update: &attachment::update(&decision),
        material: &material,
        boot: report.and_then(|received| received.report.boot.as_ref()),
        live: report.and_then(|received| received.report.live.as_ref()),
        channel: &around.channel,
        seals: &around.seals,
        now,
    });
    fleet.waiting.extend(decision.waiting.iter().cloned());
    fleet.findings.extend(decision.findings.iter().cloned());
    let awaited = delivery_of(cluster) == Delivery::Live && report.is_some_and(|received| is_at_work(received, &routes.desired, now));
    let fleet = if awaited { fleet.awaiting_newest_snapshot() } else { fleet };
    let plan = plan(&fleet, snapshot, memory);
    (decision, plan)
}

/// What keeps the newest routes from the proxies, if the extension does.
pub fn acceptance(report: Option<&Received>, desired: &Desired) -> Option<WaitingOn> {
    let waits = |detail: &str| Some(WaitingOn::Acceptance { detail: detail.to_owned() });
    let Some(Received { report, .. }) = report else { return waits("nothing was heard of it yet") };
    if report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == desired.digest) {
        return None;
    }
    match report.refused.as_ref().filter(|refusal| refusal.digest == desired.digest) {
        Some(refusal) if refusal.undecided => waits(&refusal.words),
        Some(_) => waits("the engine refused them"),
        None => waits("it renders and tests them"),
    }
}

/// Whether the extension is alive and has not answered the newest routes yet.
fn is_at_work(received: &Received, desired: &Desired, now: Timestamp) -> bool {
    let report = &received.report;
    let accepted = report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == desired.digest);
    let refused = report.refused.as_ref().is_some_and(|refusal| refusal.digest == desired.digest);
    !accepted && !refused && now.duration_since(received.at) <= ANSWERS_WITHIN
}
