//! One pass for one cluster, readable from top to bottom. Starts from one complete snapshot or changes nothing at all.
//! Routes are published before anything is written, so that endpoints reach the proxies whatever becomes of the fleet.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::context::Surroundings;
use super::desired_state::Routes;
use super::execution::{Performed, perform};
use super::pass_input::Recollection;
use super::snapshot_cache::Sighted;
use super::status::{self, Seen};
use super::{desired_state, network_attachment};
use crate::declaration::DeclaredCluster;
use crate::fleet::{admission, peers};
use crate::intent::cluster::Cluster;
use crate::networks;
use crate::plan::{self, Plan, plan_removal};
use crate::report::ClusterStatus;
use crate::swarm::Snapshot;
use crate::telemetry::finding_log;
use crate::translate::Register;
use crate::types::ClusterName;

/// After a write the world is still moving: look again, even if no event says so.
const AFTER_WRITE: Duration = Duration::from_millis(500);
/// What waits for a moment is looked at when that moment has surely come.
const AFTER_WAITING: Duration = Duration::from_millis(20);
/// The world had moved before the write: the next look is due at once, short of a busy loop.
const AFTER_SUPERSEDED: Duration = Duration::from_millis(100);

/// What a pass is about.
#[derive(Debug, Clone)]
pub struct Job {
    /// The cluster.
    pub name: ClusterName,
    /// What is declared about it; nothing: it left the declaration.
    pub declared: Option<DeclaredCluster>,
    /// Whether the pass may write.
    pub may_write: bool,
    /// The time of the pass.
    pub now: Timestamp,
}

/// What is remembered of a cluster from one pass to the next. Losing it costs an early retry and the times of conditions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// What planning remembers.
    pub plan: plan::Memory,
    /// What is remembered of the networks of the proxies.
    pub networks: networks::Memory,
    /// Whose hosts were at the last pass; none before the first one.
    pub register: Option<Arc<Register>>,
    /// What the last pass had to say.
    pub status: Option<ClusterStatus>,
    /// Why the last write failed, until one succeeds.
    pub failure: Option<String>,
}

/// How a pass ended, as far as it decides when there is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Still,
    /// Nothing to do now: look again after this time.
    StillFor(Duration),
    /// It wrote, or the world had moved: look again after this time.
    LookAgain(Duration),
    /// A write failed: try again after a while.
    Failed,
    /// It could not look, so it says nothing about what failed before: look again when somebody asks.
    Blind,
    /// There was something to write, and the time for it had not come.
    Held,
    /// Nothing is left of a cluster that left the declaration.
    Gone,
}

/// One pass. `sighted` is a complete look that began after the reason for this pass, or why there is none.
pub async fn pass(around: &Surroundings, job: &Job, sighted: Result<Sighted, String>, memory: &mut Memory) -> Verdict {
    let sighted = match (sighted, &job.declared) {
        (Ok(sighted), _) => sighted,
        (Err(why), Some(declared)) => {
            memory.status = Some(status::after_blindness(declared, &why, memory.status.as_ref(), job.now));
            return Verdict::Blind;
        }
        (Err(_), None) => return Verdict::Blind,
    };
    let Some(declared) = &job.declared else {
        return remove(around, job, &sighted.snapshot, memory).await;
    };
    let Some((_, cluster)) = &declared.in_force else {
        memory.status = Some(status::pending(declared, job.now));
        return Verdict::Still;
    };
    keep(around, job, declared, cluster, &sighted, memory).await
}

/// A declared cluster: its routes to the extension, its fleet as declared, its status told.
async fn keep(
    around: &Surroundings,
    job: &Job,
    declared: &DeclaredCluster,
    cluster: &Cluster,
    sighted: &Sighted,
    memory: &mut Memory,
) -> Verdict {
    let snapshot = sighted.snapshot.as_ref();
    let register = desired_state::register(around, cluster, snapshot, memory.register.as_ref());
    let mut routes = desired_state::routes(cluster, &sighted.counts, &register);
    memory.register = Some(Arc::new(std::mem::take(&mut routes.translation.register)));
    routes.translation.findings.extend(sighted.held.findings(cluster, snapshot, &sighted.counts));
    let report = around.line.report(&job.name);
    let ended = network_attachment::ended(around, cluster, snapshot, &memory.networks).await;
    let known =
        Recollection { report: report.as_ref(), plan: &memory.plan, networks: &memory.networks, ended: ended.as_deref(), now: job.now };
    let networks = network_attachment::decide(around, cluster, snapshot, &routes.translation, known);
    desired_state::leave(cluster, &sighted.counts, &register, &mut routes, &networks);
    publish(around, job, cluster, sighted, &routes);
    let plan = desired_state::fleet_plan(around, cluster, snapshot, &routes, &networks, known);
    memory.networks.clone_from(&networks.memory);
    let performed = act(around, job, &plan, snapshot, memory).await;
    let seen = Seen {
        instance: &around.instance,
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
        now: job.now,
    };
    let told = status::after_pass(&seen, memory.status.as_ref());
    let before = memory.status.as_ref().map_or(&[][..], |status| &status.findings);
    finding_log::appeared(job.name.as_str(), before, &told.findings);
    memory.status = Some(told);
    match (verdict(&plan, &performed), networks.due) {
        (Verdict::Still, Some(due)) => Verdict::StillFor(until(due, job.now)),
        (verdict, _) => verdict,
    }
}

/// Hands out what proxies must say, who may ask, and where everybody is.
fn publish(around: &Surroundings, job: &Job, cluster: &Cluster, sighted: &Sighted, routes: &Routes) {
    let snapshot = sighted.snapshot.as_ref();
    let admission = admission(&around.instance, cluster, &around.seals, snapshot);
    match routes.too_large {
        None => around.line.publish(&job.name, routes.desired.clone(), admission, sighted.looked),
        // What nobody can read would only take the last good routes from those who ask.
        Some(_) => around.line.admit(&job.name, admission),
    }
    if let Some(peers) = peers(&around.channel, &around.instance, cluster, snapshot) {
        around.line.introduce(&job.name, peers);
    }
}

/// From now to then, and a little more: a look before its time would be for nothing.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default().saturating_add(AFTER_WAITING)
}

/// A cluster that left the declaration: everything that is ours and its own goes, nobody else's.
async fn remove(around: &Surroundings, job: &Job, snapshot: &Snapshot, memory: &mut Memory) -> Verdict {
    around.line.retire(&job.name);
    let plan = plan_removal(&around.instance, &job.name, snapshot);
    if plan.is_converged() {
        *memory = Memory::default();
        return Verdict::Gone;
    }
    let performed = act(around, job, &plan, snapshot, memory).await;
    memory.status = Some(status::removing(&plan, memory.failure.as_deref(), memory.status.as_ref()));
    verdict(&plan, &performed)
}

/// Carries the plan out, unless a second pair of eyes finds something wrong with it or the time has not come.
async fn act(around: &Surroundings, job: &Job, plan: &Plan, snapshot: &Snapshot, memory: &mut Memory) -> Performed {
    let mut performed = match plan::lint(plan, snapshot).first() {
        Some(violation) => Performed::Refused(violation.to_string()),
        None if job.may_write || plan.steps.is_empty() => perform(around, plan).await,
        None => Performed::Held,
    };
    match &mut performed {
        Performed::Held => {}
        Performed::Refused(why) => {
            tracing::error!(cluster = %job.name, why, "a plan of ours is wrong and is not carried out");
            memory.failure = Some(why.clone());
        }
        Performed::Through { applied, error } => {
            memory.plan = memory.plan.after(plan, applied, job.now);
            if error.is_none() {
                *error = memory.plan.without_effect().map(in_vain);
            }
            memory.failure.clone_from(error);
        }
    }
    performed
}

fn in_vain(service: &str) -> String {
    format!("the service {service} is updated again and again and does not stay so; trying ever more slowly. Something else may undo it.")
}

fn verdict(plan: &Plan, performed: &Performed) -> Verdict {
    match performed {
        Performed::Held => Verdict::Held,
        Performed::Refused(_) | Performed::Through { error: Some(_), .. } => Verdict::Failed,
        Performed::Through { .. } if performed.superseded() => Verdict::LookAgain(AFTER_SUPERSEDED),
        Performed::Through { .. } if !plan.steps.is_empty() => Verdict::LookAgain(AFTER_WRITE),
        Performed::Through { .. } => Verdict::Still,
    }
}
