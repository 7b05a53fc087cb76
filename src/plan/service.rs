//! The part of a plan that concerns one service: create, keep, update, resume, hold back, or make room for it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::display::changes;
use super::json_path::{get, strings};
use super::patch::{self, PatchedSpec};
use super::plan_builder::PlanBuilder;
use super::rollout_gate::{self, RolloutGate};
use super::step::{ChangeKind, FieldChange, PlanStep, RolloutNote, RolloutOutcome, UpdateReason};
use super::task_impact::{TaskEffect, task_effect};
use super::update_order;
use crate::fleet::{MAX_REPLICAS, Mode, REPLICAS, Role, ServiceShape, pending_name};
use crate::report::{Finding, Subject, WaitingOn, cases};
use crate::swarm::{Service, unplaceable_tasks};
use crate::types::{TaskState, UpdateOrder, UpdateState, excerpt};

impl<'a> PlanBuilder<'a> {
    /// Both services, the extension first: the proxies need what it renders.
    pub(super) fn services(&mut self) {
        let fleet = self.fleet;
        for shape in [&fleet.extension, &fleet.proxy] {
            let stale = self.stale(shape);
            self.service(shape, &stale);
            self.retire(shape, stale);
        }
    }

    fn service(&mut self, shape: &'a ServiceShape, stale: &[&'a Service]) {
        let snapshot = self.snapshot;
        match snapshot.services.values().find(|service| service.name == shape.name) {
            None if stale.iter().any(|service| ports_collide(service, shape)) => {}
            None => self.create(shape),
            Some(service) if !self.owns_service(service) => {
                self.block("service", &shape.name, "it does not have the owner labels of this cluster");
            }
            Some(service) if self.belongs_to_others(service, shape) => {
                self.block("service", &shape.name, "this operator did not create it, and its access label assigns it to another owner");
            }
            Some(service) if mode_of(service) != Some(shape.mode) => self.remake(service, shape),
            Some(service) => self.keep(service, shape),
        }
    }

    fn create(&mut self, shape: &ServiceShape) {
        if let Some(hold) = &shape.hold_creation {
            self.waiting.push(hold.clone());
        } else if !self.is_taken("service", &shape.name) {
            let spec = patch::create(shape, self.snapshot);
            self.warn_of_gap(shape, &spec);
            if self.provides(shape, &spec) {
                self.steps.push(PlanStep::CreateService { name: shape.name.clone(), spec });
            }
        }
    }

    /// Swarm cannot change the mode of a service: this pass removes it, and the next one creates it again.
    fn remake(&mut self, service: &Service, shape: &ServiceShape) {
        if let Some(hold) = shape.contested.as_ref().filter(|_| self.runs(service)) {
            return self.waiting.push(hold.clone());
        }
        let message = "Swarm cannot change the mode of a service (replicated, global, job), so the service is removed and created again; \
                       requests fail in the meantime.";
        self.findings.push(Finding::new(cases::UpdateGap::ModeChanges, Subject::Service(service.name.clone()), message));
        let reason = "its mode changes".to_owned();
        self.steps.push(PlanStep::RemoveService { id: service.id.clone(), name: service.name.clone(), reason });
    }

    fn keep(&mut self, service: &Service, shape: &ServiceShape) {
        let note = rollout_gate::rollout_note(service, shape.identity(), self.snapshot);
        if let Some(hold) = &shape.hold_update {
            self.waiting.push(hold.clone());
        } else {
            let patched = self.patched(service, shape);
            self.warn_of_gap(shape, &patched.spec);
            match self.number_first(service, shape, &patched) {
                Some(number) => {
                    self.report_drift(service, shape, &number);
                    self.write(service, shape, number.spec, UpdateReason::Differs);
                }
                None => self.write_if_due(service, shape, patched, &note),
            }
        }
        self.rollouts.push(note);
    }

    /// The wanted spec. Changes that are not worth new tasks are included if the tasks are replaced anyway.
    fn patched(&mut self, service: &Service, shape: &ServiceShape) -> PatchedSpec {
        if !self.created_here(service, shape.role) {
            return self.taken_over(service, shape);
        }
        if let Some(patched) = self.gone_back(service, shape) {
            return self.missing_first(service, patched);
        }
        let patched = self.as_declared(service, shape);
        if shape.goes_back {
            return self.missing_first(service, patched);
        }
        let is_under_way = service.update_status.as_ref().is_some_and(rollout_gate::is_under_way);
        let goes_on = is_under_way && task_effect(&service.spec, &patched.spec) == TaskEffect::Keeps;
        if shape.first_alone && !goes_on {
            // A new image may fail for reasons of its own: Swarm returns to the previous one.
            let pauses = same_image(&service.spec, &patched.spec);
            return PatchedSpec { spec: update_order::one_first(patched.spec, pauses), ..patched };
        }
        self.continued(service, patched)
    }

    /// The declared spec, with the fields that change only when tasks are replaced anyway.
    fn as_declared(&self, service: &Service, shape: &ServiceShape) -> PatchedSpec {
        let base = update_order::with_declared_order(&service.spec);
        let patched = patch::update(&base, shape, &[], self.snapshot);
        let replaces = task_effect(&service.spec, &patched.spec) == TaskEffect::Replaces;
        match &shape.when_replaced[..] {
            newer if replaces && !newer.is_empty() => patch::update(&base, shape, newer, self.snapshot),
            _ => patched,
        }
    }

    /// An update with a temporary update policy keeps it. Running tasks are replaced once no task is missing.
    fn continued(&self, service: &Service, patched: PatchedSpec) -> PatchedSpec {
        let Some(status) = service.update_status.as_ref().filter(|status| rollout_gate::is_under_way(status)) else { return patched };
        if !update_order::is_temporary(&service.spec) {
            return patched;
        }
        if task_effect(&service.spec, &patched.spec) == TaskEffect::Replaces {
            return PatchedSpec { spec: update_order::one_first(patched.spec, false), ..patched };
        }
        let is_rest = update_order::is_missing_first(&service.spec) && !rollout_gate::rolls_back(service, status, self.snapshot);
        let spec = if is_rest { update_order::one_by_one(patched.spec) } else { update_order::continued(patched.spec, &service.spec) };
        PatchedSpec { spec, ..patched }
    }

    /// If tasks stop first and one is missing, running tasks are not touched until it is back.
    fn missing_first(&self, service: &Service, patched: PatchedSpec) -> PatchedSpec {
        let is_missing = rollout_gate::tasks(service, self.snapshot).is_some() && same_image(&service.spec, &patched.spec);
        if is_missing && update_order::spec_stops_first(&patched.spec) && rollout_gate::would_stop(service, &patched.spec, self.snapshot) {
            return PatchedSpec { spec: update_order::missing_first(patched.spec), ..patched };
        }
        patched
    }

    /// A number that follows the nodes is written before changes that replace tasks: a node that joins gets its proxy
    /// whatever happens to the rollout, and a rollback does not revert the number. Not if Swarm stopped halfway: any write
    /// makes Swarm continue.
    fn number_first(&self, service: &Service, shape: &ServiceShape, patched: &PatchedSpec) -> Option<PatchedSpec> {
        let number = shape.follows_nodes.filter(|number| service.replicas != Some(*number))?;
        let status = service.update_status.as_ref();
        let is_paused = status.is_some_and(rollout_gate::is_paused);
        let is_busy =
            status.is_some_and(|status| rollout_gate::is_under_way(status) && !rollout_gate::is_over(service, status, self.snapshot));
        let goes_before = task_effect(&service.spec, &patched.spec) == TaskEffect::Replaces;
        let may = if is_busy { self.waits_for_the_number(service, number) } else { goes_before };
        if is_paused || !may || shape.goes_back || !self.created_here(service, shape.role) {
            return None;
        }
        let drift = patched.drift.iter().filter(|(field, _)| field == REPLICAS).cloned().collect();
        Some(PatchedSpec { spec: patch::number(&service.spec, number), drift })
    }

    /// Whether Swarm only removes tasks from nodes that no longer fit, and waits for a place for one of them: without a
    /// lower number it would wait forever, and it has no other spec to return to.
    fn waits_for_the_number(&self, service: &Service, number: u64) -> bool {
        let before = service.previous_spec.as_ref();
        let only_moves = before.is_some_and(|before| task_effect(before, &service.spec) != TaskEffect::Replaces);
        only_moves && service.replicas.is_some_and(|now| number < now) && !unplaceable_tasks(service, self.snapshot).is_empty()
    }

    /// The spec before the last update, if it matches the declaration. Swarm keeps the tasks that still have that spec only
    /// if the specs are equal in every detail, including a boot snapshot that is now outdated.
    fn gone_back(&self, service: &Service, shape: &ServiceShape) -> Option<PatchedSpec> {
        let before = service.previous_spec.as_ref().filter(|_| shape.goes_back)?;
        let before = update_order::with_declared_order(before);
        let spec = patch::update(&before, shape, &[], self.snapshot).spec;
        (task_effect(&before, &spec) == TaskEffect::Keeps).then(|| PatchedSpec { spec, drift: Vec::new() })
    }

    /// Takes over a service with our labels that this operator did not create, or created before it lost its authority: such
    /// a service may run a foreign program in front of ours, or be set up so that ours never runs.
    fn taken_over(&mut self, service: &Service, shape: &ServiceShape) -> PatchedSpec {
        let spec = patch::take_over(&service.spec, shape, self.snapshot);
        let lost = lost(&service.spec, &spec);
        let lost = if lost.is_empty() { String::new() } else { format!(" Current values of these fields are lost: {lost}.") };
        self.findings.push(Finding::new(
            cases::ServiceTakenOver,
            Subject::Service(service.name.clone()),
            format!(
                "The service has Swarmgate's labels, but this operator did not create it. The operator takes it over and resets fields \
                 that the document leaves out, except for replicas and for constraints that some node meets.{lost}"
            ),
        ));
        // Not drift: the service was never ours.
        PatchedSpec { spec, drift: Vec::new() }
    }

    fn write_if_due(&mut self, service: &Service, shape: &ServiceShape, patched: PatchedSpec, note: &RolloutNote) {
        let status = service.update_status.as_ref();
        if patched.spec != service.spec || status.is_some_and(rollout_gate::is_paused) {
            self.write_if_free(service, shape, patched, note);
        } else if status.is_some_and(|status| rollout_gate::is_over(service, status, self.snapshot)) {
            if let Some(hold) = self.hold_for_a_port(service, shape, &patched.spec) {
                return self.waiting.push(hold.clone());
            }
            self.write(service, shape, patched.spec, UpdateReason::Settle);
        } else if let Some(status) = status.filter(|status| rollout_gate::is_under_way(status)) {
            self.waiting.push(rollout_gate::under_way(service, status, self.snapshot));
        } else {
            self.waiting.extend(rollout_gate::tasks(service, self.snapshot));
        }
    }

    /// Writes a spec that differs, or resumes a paused rollout, unless something must come first.
    fn write_if_free(&mut self, service: &Service, shape: &ServiceShape, patched: PatchedSpec, note: &RolloutNote) {
        let reason = if patched.spec == service.spec { UpdateReason::Resume } else { UpdateReason::Differs };
        self.report_failure(service, note);
        if has_successors_waiting(service, &patched) {
            let status = service.update_status.as_ref();
            return self.waiting.extend(status.map(|status| rollout_gate::under_way(service, status, self.snapshot)));
        }
        let gate = rollout_gate::gate(service, note, reason, self.memory, self.snapshot);
        if let Some(waiting) = self.held_by_rollout(service, shape, &patched.spec, gate) {
            return self.waiting.push(waiting);
        }
        let replaces = task_effect(&service.spec, &patched.spec) == TaskEffect::Replaces;
        let hold = shape.hold_replacement.as_ref().filter(|_| replaces && !shape.goes_back);
        if let Some(hold) = hold.or_else(|| self.hold_for_a_port(service, shape, &patched.spec)) {
            return self.waiting.push(hold.clone());
        }
        self.report_drift(service, shape, &patched);
        self.write(service, shape, patched.spec, reason);
    }

    /// What to wait for because of a rollout, unless this write may interrupt it.
    fn held_by_rollout(&self, service: &Service, shape: &ServiceShape, spec: &Value, gate: RolloutGate) -> Option<WaitingOn> {
        let is_in = |state: UpdateState| service.update_status.as_ref().is_some_and(|status| status.state == state);
        let is_paused = service.update_status.as_ref().is_some_and(rollout_gate::is_paused);
        match gate {
            // Its tasks do not come up, which is the reason for this write.
            RolloutGate::UnderWay(_) if shape.goes_back && is_in(UpdateState::Updating) => None,
            RolloutGate::Failed(_) if shape.goes_back && is_in(UpdateState::Paused) => None,
            // The tasks of that rollout wait for ports that it cannot free.
            RolloutGate::UnderWay(_) if stops_first_now(&service.spec, spec) => None,
            // A foreign rollout may be set up so that it never ends.
            RolloutGate::UnderWay(_) if self.is_anothers_rollout(service, shape) => None,
            // No task is touched, so nothing is retried.
            RolloutGate::Failed(_) if !is_paused && task_effect(&service.spec, spec) == TaskEffect::Keeps => None,
            RolloutGate::UnderWay(waiting) | RolloutGate::Failed(waiting) => Some(waiting),
            RolloutGate::Open | RolloutGate::Retry => None,
        }
    }

    /// What to wait for before a running task is stopped, if another service would take its node. Does not apply to a
    /// withdrawal, nor where a foreign program may run in our place; a missing task is always restored first.
    fn hold_for_a_port<'s>(&self, service: &Service, shape: &'s ServiceShape, spec: &Value) -> Option<&'s WaitingOn> {
        let hold = shape.contested.as_ref().filter(|_| !shape.goes_back && self.created_here(service, shape.role))?;
        let moves =
            service.update_status.as_ref().is_some_and(|status| rollout_gate::is_under_way(status) || rollout_gate::is_paused(status));
        let replaces = task_effect(&service.spec, spec) == TaskEffect::Replaces;
        let stops = (replaces && self.runs(service)) || (moves && rollout_gate::would_stop(service, spec, self.snapshot));
        Some(hold).filter(|_| stops && !update_order::is_missing_first(spec))
    }

    fn runs(&self, service: &Service) -> bool {
        self.snapshot.tasks.values().any(|task| task.service == service.id && task.state == TaskState::Running)
    }

    /// Whether the current rollout belongs to a service that this operator neither created nor tried to take over.
    fn is_anothers_rollout(&self, service: &Service, shape: &ServiceShape) -> bool {
        !self.created_here(service, shape.role) && !self.memory.rollouts.contains_key(&service.name)
    }

    fn write(&mut self, service: &Service, shape: &ServiceShape, spec: Value, reason: UpdateReason) {
        if !self.provides(shape, &spec) {
            return;
        }
        let tasks = task_effect(&service.spec, &spec);
        let changes = changes(&service.spec, &spec);
        let (id, name, version) = (service.id.clone(), service.name.clone(), service.version);
        self.steps.push(PlanStep::UpdateService { id, name, version, spec, changes, tasks, reason });
    }

    /// Plans the creation of every object that the spec names by a pending id. Returns `false` if one of them is
    /// unavailable.
    fn provides(&mut self, shape: &ServiceShape, spec: &Value) -> bool {
        let mut texts = Vec::new();
        strings(spec, &mut texts);
        let pending: BTreeSet<&str> = texts.into_iter().filter_map(pending_name).collect();
        let configs: Vec<_> = shape.configs.iter().filter(|config| pending.contains(config.name.as_str())).collect();
        let provided = configs.into_iter().map(|config| self.config(config)).collect::<Vec<_>>();
        let mut tokens = self.fleet.tokens.iter().map(|token| &token.name);
        let foreign_secret = tokens.any(|name| self.blocked.contains(name) && mounts_secret(spec, name));
        provided.into_iter().all(|ok| ok) && !foreign_secret && pending.iter().all(|name| !self.blocked.contains(*name))
    }

    fn report_failure(&mut self, service: &Service, note: &RolloutNote) {
        let (RolloutOutcome::Failed(_), Some(status)) = (note.outcome, &service.update_status) else { return };
        let message = format!(
            "Swarm gave up on a rollout of this service ({}); the declared state is not in effect.",
            rollout_gate::update_message(status)
        );
        let case = cases::RolloutFailed { service: &service.name };
        self.findings.push(Finding::new(case, Subject::Service(service.name.clone()), message));
    }

    fn report_drift(&mut self, service: &Service, shape: &ServiceShape, patched: &PatchedSpec) {
        let note = rollout_gate::rollout_note(service, crate::types::Digest::of_bytes(b""), self.snapshot);
        // After a rollback the old spec is back: Swarm did that, and it has its own finding.
        if matches!(note.outcome, RolloutOutcome::Failed(_)) {
            return;
        }
        for (field, found) in &patched.drift {
            let message = "This field was changed by hand although the document sets it; the operator restores the declared value.";
            let counts_nodes = shape.follows_nodes.is_some() && (field == REPLICAS || field == MAX_REPLICAS);
            let case = if counts_nodes { cases::Drift::OneOnEachNode } else { cases::Drift::Field };
            let finding = Finding::new(case, Subject::Service(service.name.clone()), message);
            // The environment may hold passwords, and everyone who may read the status sees findings.
            let value = if field.starts_with("env.") { "(not shown)".to_owned() } else { shown(found) };
            self.findings.push(finding.with_field(field.clone(), &value));
        }
    }

    /// If the only proxy stops before its successor starts, no proxy answers requests.
    fn warn_of_gap(&mut self, shape: &ServiceShape, spec: &Value) {
        let order = get(spec, &["UpdateConfig", "Order"]).and_then(Value::as_str).unwrap_or(UpdateOrder::StopFirst.as_str());
        let replicas = get(spec, &["Mode", "Replicated", "Replicas"]).and_then(Value::as_u64).unwrap_or(1);
        if shape.role == Role::Proxy && shape.mode == Mode::Replicated && replicas == 1 && order == UpdateOrder::StopFirst.as_str() {
            let message = "The only proxy is stopped before its successor starts, so requests fail whenever it is replaced.";
            self.findings.push(Finding::new(cases::UpdateGap::OnlyProxy, Subject::Service(shape.name.clone()), message));
        }
    }
}

/// The maximum number of lost fields that a message names.
const LOST_MAX: usize = 12;
/// Paths contain label keys, which can be long.
const PATH_CHARS_MAX: usize = 100;

/// The paths of the fields that were changed or removed. Their values may be passwords.
fn lost(old: &Value, new: &Value) -> String {
    let gone = |change: &FieldChange| !matches!(change.kind, ChangeKind::Added { .. });
    let changed = changes(old, new);
    let paths: BTreeSet<&str> = changed.iter().filter(|change| gone(change)).map(|change| change.path.as_str()).collect();
    let named: Vec<String> = paths.iter().take(LOST_MAX).map(|path| excerpt(path, PATH_CHARS_MAX)).collect();
    let more = paths.len().saturating_sub(LOST_MAX);
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn mounts_secret(spec: &Value, name: &str) -> bool {
    let secrets = get(spec, &["TaskTemplate", "ContainerSpec", "Secrets"]).and_then(Value::as_array);
    secrets.into_iter().flatten().any(|secret| secret.get("SecretName").and_then(Value::as_str) == Some(name))
}

/// Our services are never jobs.
fn mode_of(service: &Service) -> Option<Mode> {
    match service.spec.get("Mode").and_then(Value::as_object)?.keys().next()?.as_str() {
        "Global" => Some(Mode::Global),
        "Replicated" => Some(Mode::Replicated),
        _ => None,
    }
}

/// Whether a write changes the update order so that old tasks stop before new ones start.
fn stops_first_now(old: &Value, new: &Value) -> bool {
    let [old, new] = [old, new].map(|spec| get(spec, &["UpdateConfig", "Order"]).and_then(Value::as_str));
    old == Some(UpdateOrder::StartFirst.as_str()) && new == Some(UpdateOrder::StopFirst.as_str())
}

/// Whether successors wait for the ports of all running tasks. Any write that creates no new tasks makes Swarm give them
/// those ports immediately.
fn has_successors_waiting(service: &Service, patched: &PatchedSpec) -> bool {
    let is_waiting = |spec: &Value| update_order::is_missing_first(spec);
    let keeps = || task_effect(&service.spec, &patched.spec) == TaskEffect::Keeps;
    service.update_status.as_ref().is_some_and(rollout_gate::is_under_way)
        && is_waiting(&service.spec)
        && is_waiting(&patched.spec)
        && keeps()
}

fn same_image(a: &Value, b: &Value) -> bool {
    let image = |spec: &Value| get(spec, &["TaskTemplate", "ContainerSpec", "Image"]).cloned();
    image(a) == image(b)
}

/// Whether the new service cannot exist while the old one does: Swarm refuses to publish a port twice.
fn ports_collide(old: &Service, shape: &ServiceShape) -> bool {
    let published = |spec: &Value| -> BTreeSet<u64> {
        let ports = get(spec, &["EndpointSpec", "Ports"]).and_then(Value::as_array);
        ports.into_iter().flatten().filter_map(|port| port.get("PublishedPort").and_then(Value::as_u64)).filter(|port| *port != 0).collect()
    };
    let wanted = shape.fields.iter().find(|field| field.name == "ports").map(crate::fleet::Field::declared_value);
    let wanted = wanted.flatten().map(|ports| published(&serde_json::json!({"EndpointSpec": {"Ports": ports}}))).unwrap_or_default();
    !published(&old.spec).is_disjoint(&wanted)
}
