//! What the next pass would do, reported without doing it: by a running operator, or straight from the Docker API without
//! one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use super::desired_state;
use super::instance_overview;
use super::label_damping::HeldLabels;
use super::network_attachment;
use super::pass_input::PassInput;
use super::reconcile_pass::ClusterState;
use super::self_check;
use super::snapshot_cache::observe;
use crate::api::routes::QueryResponse;
use crate::declaration::{Declared, SpecFiles, read_once};
use crate::pki::Seals;
use crate::plan::{Plan, plan_removal};
use crate::protocol::container_contract::{LABEL_AUTHORITY, LABEL_OWNER};
use crate::report::{Finding, Severity, StatusReport, WaitingOn};
use crate::swarm::Snapshot;
use crate::types::{ClusterName, Digest, SecretId};

/// The answer in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    /// Whether there is nothing to do and nothing to wait for.
    converged: bool,
    clusters: Vec<Plan>,
    findings: Vec<Finding>,
}

/// What a running operator knows besides the snapshot.
pub struct PreviewInput {
    /// What earlier passes left for each cluster.
    pub memories: BTreeMap<ClusterName, ClusterState>,
    /// The services whose labels are held back.
    pub held: Arc<HeldLabels>,
    /// The extensions' reports, so that silence means something; `None` without an operator.
    pub status: Option<StatusReport>,
}

/// The plans of all clusters, declared and left over.
pub fn preview(context: &Context, declared: &Declared, snapshot: &Snapshot, known: &PreviewInput, now: Timestamp) -> QueryResponse {
    let overview = instance_overview::overview(&context.instance, declared, snapshot);
    let effective = known.held.applied_to(snapshot);
    let kept = declared.in_force().map(|cluster| {
        let memory = known.memories.get(&cluster.name).cloned().unwrap_or_default();
        let host_owners = desired_state::host_owners(context, cluster, snapshot, memory.host_owners.as_ref());
        let mut routes = desired_state::routes(cluster, &effective, &host_owners);
        let report = context.extensions.report(&cluster.name);
        let known_here = PassInput { report: report.as_ref(), plan: &memory.plan, networks: &memory.networks, ended: None, now };
        let decision = network_attachment::decide(context, cluster, snapshot, &routes.translation, known_here);
        desired_state::without_left_networks(cluster, &effective, &host_owners, &mut routes, &decision);
        let mut plan = desired_state::fleet_plan(context, cluster, snapshot, &routes, &decision, known_here);
        plan.findings.extend(routes.translation.findings);
        plan.findings.extend(known.held.findings(cluster, snapshot, &effective));
        // Findings of the extension cannot be derived from a snapshot.
        let status = known.status.as_ref().and_then(|status| status.clusters.get(cluster.name.as_str()));
        plan.findings.extend(status.iter().flat_map(|status| status.findings.iter().cloned()));
        plan.waiting.extend(desired_state::acceptance(report.as_ref(), &routes.desired).filter(|_| known.status.is_some()));
        as_reported(&mut plan.waiting, status.map_or(&[], |status| &status.waiting));
        plan.findings.sort();
        plan.findings.dedup();
        plan
    });
    let left = overview.leftover.iter().map(|name| plan_removal(&context.instance, name, snapshot));
    let own = self_check::findings(context.own_service.as_ref(), &context.channel, snapshot);
    let ports = self_check::contested_ports(context.own_service.as_ref(), &context.instance, &context.seals, snapshot);
    let findings = [&declared.findings[..], &overview.findings, &own, &ports].concat();
    answer(kept.chain(left).collect(), findings)
}

/// Takes the status's wording for waits on the same networks: a new snapshot would count the seconds from now, and both answers must
/// state the same time.
fn as_reported(waiting: &mut [WaitingOn], reported: &[WaitingOn]) {
    for waiting in waiting {
        let WaitingOn::Networks { networks, .. } = &*waiting else { continue };
        let same = reported.iter().find(|reported| matches!(reported, WaitingOn::Networks { networks: of, .. } if of == networks));
        if let Some(same) = same.cloned() {
            *waiting = same;
        }
    }
}

/// The same without an operator: reads the files and the Swarm once. Without the extension's report some configs are
/// unknown, and changes to them are left out.
///
/// # Errors
///
/// Explains why no document could be used, or why the Swarm could not be read completely.
pub async fn preview_offline(context: &Context, spec: &[PathBuf]) -> Result<QueryResponse, String> {
    let declared = read_once(&SpecFiles::new(spec.to_vec())).await;
    let wrong = |finding: &Finding| finding.severity == Severity::Error;
    if declared.in_force().next().is_none() && declared.findings.iter().any(wrong) {
        return Err(listed(&declared.findings));
    }
    let snapshot = observe(context.swarm.as_ref()).await.map_err(|error| {
        let notes = listed(&declared.findings);
        if notes.is_empty() { error } else { format!("{notes}\n{error}") }
    })?;
    let known = PreviewInput { memories: BTreeMap::new(), held: Arc::default(), status: None };
    let context = Context { seals: Seals::believing(authority_of(&context.instance, &snapshot)), ..context.clone() };
    Ok(preview(&context, &declared, &snapshot, &known, Timestamp::now()))
}

/// The authority of the operator whose tokens our services mount; without one, a placeholder name for the future one.
fn authority_of(instance: &str, snapshot: &Snapshot) -> Digest {
    let ours = |labels: &BTreeMap<String, String>| labels.get(LABEL_OWNER).is_some_and(|owner| owner == instance);
    let services = snapshot.services.values().filter(|service| ours(&service.labels));
    let mounts = services.filter_map(|service| service.spec.pointer("/TaskTemplate/ContainerSpec/Secrets")?.as_array());
    let ids = mounts.flatten().filter_map(|mount| mount.get("SecretID")?.as_str());
    let secrets = ids.filter_map(|id| snapshot.secrets.get(&SecretId(id.to_owned()))).filter(|secret| ours(&secret.labels));
    let newest = secrets.max_by_key(|secret| (secret.created_at, secret.id.clone()));
    let named = newest.and_then(|secret| Digest::parse(secret.labels.get(LABEL_AUTHORITY)?).ok());
    named.unwrap_or_else(|| Digest::of_bytes(b"an authority to come"))
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding:#}")).collect::<Vec<_>>().join("\n")
}

fn answer(clusters: Vec<Plan>, findings: Vec<Finding>) -> QueryResponse {
    let mut text: Vec<String> = clusters.iter().map(ToString::to_string).collect();
    text.extend(findings.iter().map(|finding| format!("{finding:#}")));
    if clusters.is_empty() {
        text.insert(0, "no cluster is declared, and no objects of earlier clusters are left".to_owned());
    }
    let converged = clusters.iter().all(Plan::is_converged);
    let preview = Preview { converged, clusters, findings };
    let json = serde_json::to_value(&preview).unwrap_or_else(|error| serde_json::Value::String(error.to_string()));
    QueryResponse { text: text.join("\n") + "\n", json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_and_status_report_the_same_time_for_the_same_networks() {
        let waits = |names: &[&str], seconds: i64| WaitingOn::Networks {
            networks: names.iter().map(ToString::to_string).collect(),
            detail: format!("until {seconds}"),
            until: Timestamp::from_second(seconds).ok(),
        };
        let mut plan = vec![waits(&["a"], 61), WaitingOn::ManagerAddress, waits(&["b", "c"], 62)];
        as_reported(&mut plan, &[waits(&["a"], 60), waits(&["b"], 70)]);
        assert_eq!(plan, [waits(&["a"], 60), WaitingOn::ManagerAddress, waits(&["b", "c"], 62)]);
    }
}
