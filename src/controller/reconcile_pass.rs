//! One pass for one cluster, readable from top to bottom. It starts from one complete snapshot or changes nothing at all.
//! Routes are published before anything is written, so that endpoints reach the proxies whatever happens to the fleet.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::context::Context;
use super::desired_state::DesiredState;
use super::pass_input::PassInput;
use super::plan_execution::{PlanOutcome, execute_plan};
use super::snapshot_cache::ObservedSnapshot;
use super::status::{self, StatusInput};
use super::{desired_state, network_attachment};
use crate::declaration::{Declared, DeclaredCluster};
use crate::fleet::{admission, peers};
use crate::intent::cluster::Cluster;
use crate::networks;
use crate::plan::{self, Plan, plan_removal};
use crate::report::ClusterStatus;
use crate::swarm::Snapshot;
use crate::telemetry::finding_log;
use crate::translate::HostOwners;
use crate::types::ClusterName;

/// After a write the world is still changing: run again, even without an event.
const AFTER_WRITE: Duration = Duration::from_millis(500);
/// A margin, so that the next pass runs when the awaited time has certainly come.
const AFTER_WAITING: Duration = Duration::from_millis(20);
/// The world had changed before the write: the next pass is due at once, short of a busy loop.
const AFTER_SUPERSEDED: Duration = Duration::from_millis(100);

/// The subject of a pass.
#[derive(Debug, Clone)]
pub struct PassRequest {
    /// The cluster.
    pub name: ClusterName,
    /// Everything that is declared, of whichever kind. A cluster that is not in it is no longer declared.
    pub declared: Arc<Declared>,
    /// Whether the pass may write.
    pub may_write: bool,
    /// The time of the pass.
    pub now: Timestamp,
}

/// What is remembered of a cluster between passes. Losing it costs an early retry and the times of conditions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterState {
    /// What planning remembers.
    pub plan: plan::PlannerState,
    /// What is remembered of the networks of the proxies.
    pub networks: networks::AttachmentState,
    /// Which service had each host at the last pass; `None` before the first one.
    pub host_owners: Option<Arc<HostOwners>>,
    /// The status after the last pass.
    pub status: Option<ClusterStatus>,
    /// Why the last write failed, until one succeeds.
    pub failure: Option<String>,
}

/// How a pass ended, as far as it determines when the next one runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassResult {
    /// Nothing to do.
    Still,
    /// Nothing to do now: run again after this time.
    StillFor(Duration),
    /// It wrote, or the world had changed: run again after this time.
    Again(Duration),
    /// A write failed: try again after a while.
    Failed,
    /// It had no snapshot, so it proves nothing about earlier failures: run again when the next request comes.
    Blind,
    /// There was something to write, but its time had not come.
    Held,
    /// Nothing is left of a cluster that is no longer declared.
    Gone,
}

/// Runs one pass. `observed` is a complete snapshot that began after the reason for this pass, or why there is none.
pub async fn pass(
    context: &Context,
    request: &PassRequest,
    observed: Result<ObservedSnapshot, String>,
    memory: &mut ClusterState,
) -> PassResult {
    let declared = request.declared.clusters.get(&request.name);
    let observed = match (observed, declared) {
        (Ok(observed), _) => observed,
        (Err(why), Some(declared)) => {
            memory.status = Some(status::after_failed_observation(declared, &why, memory.status.as_ref(), request.now));
            return PassResult::Blind;
        }
        (Err(_), None) => return PassResult::Blind,
    };
    let Some(declared) = declared else {
        return remove(context, request, &observed.snapshot, memory).await;
    };
    let Some((_, cluster)) = &declared.in_force else {
        memory.status = Some(status::pending(declared, request.now));
        return PassResult::Still;
    };
    keep(context, request, declared, cluster, &observed, memory).await
}

/// A declared cluster: publishes its routes to the extension, brings its fleet to the declared state, reports its status.
async fn keep(
    context: &Context,
    request: &PassRequest,
    declared: &DeclaredCluster,
    cluster: &Cluster,
    observed: &ObservedSnapshot,
    memory: &mut ClusterState,
) -> PassResult {
    let snapshot = observed.snapshot.as_ref();
    let host_owners = desired_state::host_owners(context, cluster, snapshot, memory.host_owners.as_ref());
    let mut routes = desired_state::routes(cluster, &observed.effective, &host_owners);
    memory.host_owners = Some(Arc::new(std::mem::take(&mut routes.translation.host_owners)));
    routes.translation.findings.extend(observed.held.findings(cluster, snapshot, &observed.effective));
    let report = context.extensions.report(&request.name);
    let ended = network_attachment::ended_proxies(context, cluster, snapshot, &memory.networks).await;
    let known =
        PassInput { report: report.as_ref(), plan: &memory.plan, networks: &memory.networks, ended: ended.as_deref(), now: request.now };
    let networks = network_attachment::decide(context, cluster, snapshot, &routes.translation, known);
    desired_state::without_left_networks(cluster, &observed.effective, &host_owners, &mut routes, &networks);
    publish(context, request, cluster, observed, &routes);
    let plan = desired_state::fleet_plan(context, cluster, snapshot, &routes, &networks, known);
    memory.networks.clone_from(&networks.memory);
    let outcome = execute_checked(context, request, &plan, snapshot, memory).await;
    let seen = StatusInput {
        instance: &context.instance,
        declared,
        cluster,
        snapshot,
        desired: &routes.desired,
        too_large: routes.too_large,
        translation: &routes.translation,
        networks: &networks,
        report: report.as_ref(),
        plan: &plan,
        failure: memory.failure.as_deref(),
        now: request.now,
    };
    let status = status::after_pass(&seen, memory.status.as_ref());
    let before = memory.status.as_ref().map_or(&[][..], |status| &status.findings);
    finding_log::appeared(request.name.as_str(), before, &status.findings);
    memory.status = Some(status);
    match (verdict(&plan, &outcome), networks.due) {
        (PassResult::Still, Some(due)) => PassResult::StillFor(until(due, request.now)),
        (verdict, _) => verdict,
    }
}

/// Publishes the proxies' configuration, who may get certificates, and the peers' addresses.
fn publish(context: &Context, request: &PassRequest, cluster: &Cluster, observed: &ObservedSnapshot, routes: &DesiredState) {
    let snapshot = observed.snapshot.as_ref();
    let admission = admission(&context.instance, cluster, &context.seals, snapshot);
    match routes.too_large {
        None => context.extensions.publish(&request.name, routes.desired.clone(), admission, observed.observed_at),
        // Publishing an unreadable message would only withdraw the last good routes.
        Some(_) => context.extensions.admit(&request.name, admission),
    }
    if let Some(peers) = peers(&context.channel, &context.instance, cluster, snapshot) {
        context.extensions.publish_peers(&request.name, peers);
    }
}

/// The time from now to then, plus a margin: an earlier pass would be wasted.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default().saturating_add(AFTER_WAITING)
}

/// A cluster that is no longer declared: removes all its objects that belong to this operator, and no others.
async fn remove(context: &Context, request: &PassRequest, snapshot: &Snapshot, memory: &mut ClusterState) -> PassResult {
    context.extensions.retire(&request.name);
    let plan = plan_removal(&context.instance, &request.name, snapshot);
    if plan.is_converged() {
        *memory = ClusterState::default();
        return PassResult::Gone;
    }
    let outcome = execute_checked(context, request, &plan, snapshot, memory).await;
    memory.status = Some(status::removing(&plan, memory.failure.as_deref(), memory.status.as_ref()));
    verdict(&plan, &outcome)
}

/// Carries out the plan, unless verification finds it invalid or its time has not come.
async fn execute_checked(
    context: &Context,
    request: &PassRequest,
    plan: &Plan,
    snapshot: &Snapshot,
    memory: &mut ClusterState,
) -> PlanOutcome {
    let mut outcome = match plan::lint(plan, snapshot).first() {
        Some(violation) => PlanOutcome::Refused(violation.to_string()),
        None if request.may_write || plan.steps.is_empty() => execute_plan(context, plan).await,
        None => PlanOutcome::Held,
    };
    record_outcome(request, plan, &mut outcome, memory);
    outcome
}

/// Remembers what was applied, and why the plan failed. A service that is updated in vain is a failure, too.
fn record_outcome(request: &PassRequest, plan: &Plan, outcome: &mut PlanOutcome, memory: &mut ClusterState) {
    match outcome {
        PlanOutcome::Held => {}
        PlanOutcome::Refused(why) => {
            tracing::error!(cluster = %request.name, why, "the plan is invalid and is not executed; this is a bug in Swarmgate");
            memory.failure = Some(why.clone());
        }
        PlanOutcome::Through { applied, error } => {
            memory.plan = memory.plan.after(plan, applied, request.now);
            if error.is_none() {
                *error = memory.plan.repeated_update().map(in_vain);
            }
            memory.failure.clone_from(error);
        }
    }
}

fn in_vain(service: &str) -> String {
    format!(
        "service {service} is updated repeatedly, but the updates do not last; retrying with increasing delays. Something else may \
         be undoing them."
    )
}

fn verdict(plan: &Plan, outcome: &PlanOutcome) -> PassResult {
    match outcome {
        PlanOutcome::Held => PassResult::Held,
        PlanOutcome::Refused(_) | PlanOutcome::Through { error: Some(_), .. } => PassResult::Failed,
        PlanOutcome::Through { .. } if outcome.superseded() => PassResult::Again(AFTER_SUPERSEDED),
        PlanOutcome::Through { .. } if !plan.steps.is_empty() => PassResult::Again(AFTER_WRITE),
        PlanOutcome::Through { .. } => PassResult::Still,
    }
}
