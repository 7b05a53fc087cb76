//! The port over the simulated world: each call may fail as the faults determine, and each write is logged.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream, StreamExt as _};
use rand::Rng as _;
use serde_json::Value;

use super::SimSwarm;
use super::api_error::ApiError;
use super::fault::{FaultPoint, SwarmCall};
use super::spec::{self, FileKind};
use super::world::SimState;
use super::write_log::{RecordedWrite, WriteResult};
use crate::swarm::{Hint, OWNER_LABEL, RawSnapshot, Swarm, SwarmError};
use crate::types::{ConfigId, NetworkId, SecretId, ServiceId};

/// How many older observations are kept for stale answers.
const PAST: usize = 4;

/// What the log records about a write before it is attempted.
struct WriteTarget {
    target: String,
    owned: bool,
    still_needed_by: Vec<String>,
}

impl WriteTarget {
    fn new_object(name: &str, labels: &BTreeMap<String, String>) -> Self {
        Self { target: name.to_owned(), owned: labels.contains_key(OWNER_LABEL), still_needed_by: Vec::new() }
    }
}

impl SimSwarm {
    /// Executes one write with its faults, and logs it.
    fn write<T>(
        &self,
        call: SwarmCall,
        about: impl FnOnce(&SimState) -> WriteTarget,
        work: impl FnOnce(&mut SimState) -> Result<T, ApiError>,
    ) -> Result<T, SwarmError> {
        let world = &mut *self.world();
        let about = about(world);
        let doing = format!("{call:?} {}", about.target);
        let verdict = world.verdict(call);
        let (effect, result) = match verdict {
            Some(FaultPoint::Before) => (WriteResult::FailedBefore, Err(ApiError::unavailable())),
            point => match work(world) {
                Err(refusal) => (WriteResult::Refused(refusal.kind), Err(refusal)),
                Ok(_) if point.is_some() => (WriteResult::DoneButFailed, Err(ApiError::unavailable())),
                Ok(done) => (WriteResult::Done, Ok(done)),
            },
        };
        let (at, WriteTarget { target, owned, still_needed_by }) = (SimState::timestamp(world.now), about);
        world.writes.push(RecordedWrite { at, call, target, owned, effect, still_needed_by });
        result.map_err(|refusal| refusal.while_doing(&doing))
    }

    fn create_file(
        &self,
        call: SwarmCall,
        kind: FileKind,
        name: &str,
        labels: &BTreeMap<String, String>,
        data: &[u8],
    ) -> Result<String, SwarmError> {
        self.write(call, |_| WriteTarget::new_object(name, labels), |w| w.create_file(kind, name, labels, data))
    }

    fn remove_file(&self, call: SwarmCall, kind: FileKind, id: &str) -> Result<(), SwarmError> {
        self.write(call, |w| w.about_file(kind, id), |w| w.remove_file(kind, id))
    }
}

impl SimState {
    fn verdict(&mut self, call: SwarmCall) -> Option<FaultPoint> {
        self.faults.verdict(call, &mut self.rng)
    }

    fn about_service(&self, id: &str) -> WriteTarget {
        let found = self.services.get(id);
        let target = found.map_or(id, |s| spec::name(&s.spec)).to_owned();
        let owned = found.is_some_and(|s| spec::labels(&s.spec).contains_key(OWNER_LABEL));
        WriteTarget { target, owned, still_needed_by: Vec::new() }
    }

    fn about_network(&self, id: &str) -> WriteTarget {
        let found = self.networks.get(id);
        let owned = found.is_some_and(|n| n.labels.get(OWNER_LABEL).is_some());
        WriteTarget { target: found.map_or(id, |n| &n.name).to_owned(), owned, still_needed_by: Vec::new() }
    }

    fn about_file(&self, kind: FileKind, id: &str) -> WriteTarget {
        let found = self.files(kind).get(id);
        let owned = found.is_some_and(|f| f.labels.contains_key(OWNER_LABEL));
        WriteTarget { target: found.map_or(id, |f| &f.name).to_owned(), owned, still_needed_by: self.needed_by(kind, id) }
    }

    /// The services that could not roll back, or whose tasks could not start again, without this config or secret.
    fn needed_by(&self, kind: FileKind, id: &str) -> Vec<String> {
        let refers = |template: &Value| spec::references(template, kind).any(|(used, _, _)| used == id);
        let by_task = |service: &str| self.tasks.values().any(|t| t.service == service && t.desired.wanted() && refers(&t.spec));
        let by_previous = |previous: &Option<Arc<Value>>| previous.as_ref().and_then(|p| p.get("TaskTemplate")).is_some_and(refers);
        let needing = self.services.values().filter(|s| by_previous(&s.previous) || by_task(&s.id));
        needing.map(|s| spec::name(&s.spec).to_owned()).collect()
    }

    /// The result of an observation: the true state or, depending on the faults, an older one or a mixture.
    fn answer(&mut self) -> RawSnapshot {
        let rates = self.faults.rates;
        if rates.stale <= 0.0 && rates.torn <= 0.0 {
            return self.raw_snapshot();
        }
        let mut fresh = self.raw_snapshot();
        let old = (!self.past.is_empty()).then(|| self.past[self.rng.random_range(0..self.past.len())].clone());
        self.past.push(Arc::new(fresh.clone()));
        if self.past.len() > PAST {
            self.past.remove(0);
        }
        let Some(old) = old else { return fresh };
        if self.rng.random_bool(rates.stale.clamp(0.0, 1.0)) {
            return RawSnapshot { taken_at: fresh.taken_at, ..(*old).clone() };
        }
        if self.rng.random_bool(rates.torn.clamp(0.0, 1.0)) {
            if self.rng.random_bool(0.5) {
                fresh.services.clone_from(&old.services);
            } else {
                fresh.tasks.clone_from(&old.tasks);
            }
        }
        fresh
    }
}

#[async_trait]
impl Swarm for SimSwarm {
    async fn observe(&self) -> Result<RawSnapshot, SwarmError> {
        let world = &mut *self.world();
        match world.verdict(SwarmCall::Observe) {
            Some(_) => Err(ApiError::unavailable().while_doing("list tasks")),
            None => Ok(world.answer()),
        }
    }

    async fn running_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        let world = &mut *self.world();
        match world.verdict(SwarmCall::RunningTasks) {
            Some(_) => Err(ApiError::unavailable().while_doing("list tasks")),
            None => Ok(world.running_tasks()),
        }
    }

    async fn stopping_tasks(&self) -> Result<Vec<Value>, SwarmError> {
        let world = &mut *self.world();
        match world.verdict(SwarmCall::StoppingTasks) {
            Some(_) => Err(ApiError::unavailable().while_doing("list stopping tasks")),
            None => Ok(world.stopping_tasks()),
        }
    }

    async fn tasks_of(&self, service: &ServiceId) -> Result<Vec<Value>, SwarmError> {
        let world = &mut *self.world();
        match world.verdict(SwarmCall::RunningTasks) {
            Some(_) => Err(ApiError::unavailable().while_doing("list the tasks of a service")),
            None => Ok(world.all_tasks_of(&service.0)),
        }
    }

    fn hints(&self) -> BoxStream<'static, Result<Hint, SwarmError>> {
        let world = &mut *self.world();
        if world.faults.cut_off() {
            let error = ApiError::unavailable().while_doing("follow events");
            return stream::once(async { Err(error) }).boxed();
        }
        let (sender, receiver) = mpsc::unbounded();
        world.listeners.push(sender);
        receiver.boxed()
    }

    async fn create_network(&self, body: &Value) -> Result<NetworkId, SwarmError> {
        let about = |_: &SimState| WriteTarget::new_object(spec::name(body), &spec::labels(body));
        self.write(SwarmCall::CreateNetwork, about, |w| w.create_network(body)).map(NetworkId)
    }

    async fn create_config(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<ConfigId, SwarmError> {
        self.create_file(SwarmCall::CreateConfig, FileKind::Config, name, labels, data).map(ConfigId)
    }

    async fn create_secret(&self, name: &str, labels: &BTreeMap<String, String>, data: &[u8]) -> Result<SecretId, SwarmError> {
        self.create_file(SwarmCall::CreateSecret, FileKind::Secret, name, labels, data).map(SecretId)
    }

    async fn create_service(&self, spec: &Value) -> Result<ServiceId, SwarmError> {
        let about = |_: &SimState| WriteTarget::new_object(spec::name(spec), &spec::labels(spec));
        self.write(SwarmCall::CreateService, about, |w| w.create_service(spec)).map(ServiceId)
    }

    async fn update_service(&self, id: &ServiceId, version: u64, spec: &Value) -> Result<(), SwarmError> {
        self.write(SwarmCall::UpdateService, |w| w.about_service(&id.0), |w| w.update_service(&id.0, Some(version), spec))
    }

    async fn remove_service(&self, id: &ServiceId) -> Result<(), SwarmError> {
        self.write(SwarmCall::RemoveService, |w| w.about_service(&id.0), |w| w.remove_service(&id.0))
    }

    async fn remove_config(&self, id: &ConfigId) -> Result<(), SwarmError> {
        self.remove_file(SwarmCall::RemoveConfig, FileKind::Config, &id.0)
    }

    async fn remove_secret(&self, id: &SecretId) -> Result<(), SwarmError> {
        self.remove_file(SwarmCall::RemoveSecret, FileKind::Secret, &id.0)
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<(), SwarmError> {
        self.write(SwarmCall::RemoveNetwork, |w| w.about_network(&id.0), |w| w.remove_network(&id.0))
    }
}
