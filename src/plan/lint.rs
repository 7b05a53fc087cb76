//! A second check: verifies a plan against the snapshot without knowing how the plan was made. Runs in tests and, in front
//! of `execute`, in production. A violation is a bug in Swarmgate; such a plan must not be carried out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json_path::{get, strings};
use super::references::{self, ReferencedIds};
use super::step::{Plan, PlanStep};
use super::task_impact::{endpoint_differs, placement_differs};
use crate::fleet::pending_name;
use crate::protocol::container_contract::LABEL_OWNER;
use crate::swarm::{Service, Snapshot};

/// A step that must not be carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refusing to {step}: {why}")]
pub struct Violation {
    /// The step's title.
    pub step: String,
    /// Why.
    pub why: String,
}

/// All violations in the plan; empty for a valid plan.
pub fn lint(plan: &Plan, snapshot: &Snapshot) -> Vec<Violation> {
    let usage = ReferencedIds::new(snapshot);
    let mut created = BTreeSet::new();
    let mut written = BTreeSet::new();
    let mut violations = Vec::new();
    for step in &plan.steps {
        let mut check = |why: Option<&str>| {
            violations.extend(why.map(|why| Violation { step: step.title(), why: why.to_owned() }));
        };
        check(foreign(step, &plan.instance, snapshot));
        check(in_use(step, &usage, plan, snapshot));
        check(hides_ports(step, snapshot));
        check(stale(step, snapshot));
        check(without_placement(step));
        check(needs_missing(step, &created));
        if matches!(step, PlanStep::UpdateService { .. } | PlanStep::CreateService { .. } | PlanStep::RemoveService { .. }) {
            check((!written.insert(step.name())).then_some("a service may have at most one step"));
        }
        created.insert(step.name());
    }
    violations
}

/// Checks that nothing without our owner label is changed or removed, and that no name is taken twice.
fn foreign(step: &PlanStep, instance: &str, snapshot: &Snapshot) -> Option<&'static str> {
    let labels = match step {
        PlanStep::UpdateService { id, .. } | PlanStep::RemoveService { id, .. } => snapshot.services.get(id).map(|found| &found.labels),
        PlanStep::RemoveConfig { id, .. } => snapshot.configs.get(id).map(|found| &found.labels),
        PlanStep::RemoveSecret { id, .. } => snapshot.secrets.get(id).map(|found| &found.labels),
        PlanStep::RemoveNetwork { id, .. } => snapshot.networks.get(id).map(|found| &found.labels),
        PlanStep::CreateNetwork { name, .. }
        | PlanStep::CreateSecret { name, .. }
        | PlanStep::CreateConfig { name, .. }
        | PlanStep::CreateService { name, .. } => return name_taken(step, name, snapshot),
    };
    let owner = labels.map(|labels| labels.get(LABEL_OWNER).map(String::as_str));
    match owner {
        None => Some("the object is not in the snapshot"),
        Some(owner) if owner != Some(instance) => Some("the object does not belong to this operator"),
        Some(_) => None,
    }
}

/// Checks that the name of a new object is free.
fn name_taken(step: &PlanStep, name: &str, snapshot: &Snapshot) -> Option<&'static str> {
    let (is_taken, why) = match step {
        PlanStep::CreateNetwork { .. } => (snapshot.networks.values().any(|found| found.name == name), "a network of that name exists"),
        PlanStep::CreateSecret { .. } => (snapshot.secrets.values().any(|found| found.name == name), "a secret of that name exists"),
        PlanStep::CreateConfig { .. } => (snapshot.configs.values().any(|found| found.name == name), "a config of that name exists"),
        PlanStep::CreateService { .. } => (snapshot.services.values().any(|found| found.name == name), "a service of that name exists"),
        _ => return None,
    };
    is_taken.then_some(why)
}

/// Checks that no object is removed that a service, its rollback or a task uses, or that this plan mounts.
fn in_use(step: &PlanStep, usage: &ReferencedIds, plan: &Plan, snapshot: &Snapshot) -> Option<&'static str> {
    let id = match step {
        PlanStep::RemoveConfig { id, .. } => &id.0,
        PlanStep::RemoveSecret { id, .. } => &id.0,
        PlanStep::RemoveNetwork { id, .. } => &id.0,
        _ => return None,
    };
    let planned = plan.steps.iter().filter_map(spec_of).filter_map(|spec| spec.get("TaskTemplate"));
    let planned = planned.flat_map(|template| references::ids(template, snapshot)).any(|used| used == *id);
    (usage.has(id) || planned).then_some("the object is in use")
}

/// Placement and endpoint change together without a raised `ForceUpdate`: Swarm would silently keep the old ports.
fn hides_ports(step: &PlanStep, snapshot: &Snapshot) -> Option<&'static str> {
    let PlanStep::UpdateService { id, spec, .. } = step else { return None };
    let old = &snapshot.services.get(id)?.spec;
    let counter = |spec: &Value| get(spec, &["TaskTemplate", "ForceUpdate"]).and_then(Value::as_u64).unwrap_or(0);
    let hides = endpoint_differs(old, spec) && placement_differs(old, spec) && counter(old) == counter(spec);
    hides.then_some("placement and published ports change together without an increased ForceUpdate")
}

/// An engine that compares tasks with a service without any placement crashes, and takes the Swarm's managers with it.
fn without_placement(step: &PlanStep) -> Option<&'static str> {
    let placement = get(spec_of(step)?, &["TaskTemplate", "Placement"]);
    placement.is_none_or(|placement| !placement.is_object()).then_some("the spec has no placement, which can crash managers")
}

/// An update must refer to the version it was computed from, and must keep name and mode.
fn stale(step: &PlanStep, snapshot: &Snapshot) -> Option<&'static str> {
    let PlanStep::UpdateService { id, version, spec, .. } = step else { return None };
    let service: &Service = snapshot.services.get(id)?;
    let mode = |spec: &Value| get(spec, &["Mode", "Global"]).is_some();
    if service.version != *version {
        Some("the update was computed from another version")
    } else if spec.get("Name") != service.spec.get("Name") || mode(spec) != mode(&service.spec) {
        Some("Swarm can change neither name nor mode of a service")
    } else {
        None
    }
}

fn needs_missing(step: &PlanStep, created: &BTreeSet<&str>) -> Option<&'static str> {
    let mut texts = Vec::new();
    strings(spec_of(step)?, &mut texts);
    let missing = texts.into_iter().filter_map(pending_name).any(|name| !created.contains(name));
    missing.then_some("the spec refers to an object that no earlier step creates")
}

fn spec_of(step: &PlanStep) -> Option<&Value> {
    match step {
        PlanStep::CreateService { spec, .. } | PlanStep::UpdateService { spec, .. } => Some(spec),
        _ => None,
    }
}
