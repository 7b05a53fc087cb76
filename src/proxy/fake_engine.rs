//! An engine for tests: accepts every configuration, and changes endpoints without a reload. It starts no process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::runtime::{
    ApplyMode, CertificateFault, CertificateFaultKind, ChangeError, ChangeScope, ConfigChange, ConfigFiles, Engine, EngineError,
    EngineProcess, ResolverWarmup, Worker, WorkerStop,
};

#[derive(Debug, Default)]
pub(super) struct FakeEngine;

#[async_trait]
impl Engine for FakeEngine {
    fn main_file(&self) -> &'static str {
        "main.conf"
    }

    async fn prepare(&self) -> Result<(), EngineError> {
        Ok(())
    }

    async fn version(&self) -> Result<String, EngineError> {
        Ok("fake/1".to_owned())
    }

    async fn write_config(&self, directory: &Path, files: &ConfigFiles) -> Result<(), EngineError> {
        std::fs::create_dir_all(directory).unwrap();
        for (name, content) in files {
            std::fs::write(directory.join(name), content).unwrap();
        }
        Ok(())
    }

    async fn test(&self, _: &Path) -> Result<(), EngineError> {
        Ok(())
    }

    fn start(&self, _: &Path, _: Vec<PathBuf>) -> Result<Arc<dyn EngineProcess>, EngineError> {
        Ok(Arc::new(FakeProcess::default()))
    }

    fn certificate_fault(&self, refusal: &str) -> CertificateFault {
        CertificateFault { kind: CertificateFaultKind::Certificate, message: refusal.to_owned() }
    }

    fn keep_request_bodies_on(&self, _: &Path) {}

    fn request_body_directory(&self) -> Option<PathBuf> {
        None
    }

    fn files_for_load(&self, files: &ConfigFiles, _: u64) -> ConfigFiles {
        files.clone()
    }

    fn without_endpoints(&self, files: &ConfigFiles, _: &BTreeSet<SocketAddr>) -> ConfigFiles {
        files.clone()
    }

    fn resolving_beside_addresses(&self, _: &ConfigFiles, _: &ConfigFiles) -> Option<ResolverWarmup> {
        None
    }

    fn resolving_only(&self, _: &ConfigFiles) -> Option<ResolverWarmup> {
        None
    }

    fn addresses_by_name(&self, _: &ConfigFiles, _: &ConfigFiles) -> BTreeMap<String, BTreeSet<IpAddr>> {
        BTreeMap::new()
    }
}

/// A process with the workers that a test sets. It records its calls.
#[derive(Default)]
pub(super) struct FakeProcess {
    state: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    workers: Vec<Worker>,
    /// By the start of a worker.
    request_bodies: BTreeMap<u64, u64>,
    retired: Vec<WorkerStop>,
    changes: Vec<ChangeScope>,
}

impl FakeProcess {
    pub(super) fn set_workers(&self, workers: &[Worker]) {
        self.state().workers = workers.to_vec();
    }

    pub(super) fn set_request_bodies(&self, worker: Worker, bytes: u64) {
        self.state().request_bodies.insert(worker.started, bytes);
    }

    pub(super) fn retired(&self) -> Vec<WorkerStop> {
        self.state().retired.clone()
    }

    pub(super) fn changes(&self) -> Vec<ChangeScope> {
        self.state().changes.clone()
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl EngineProcess for FakeProcess {
    async fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn needs_reload(&self, scope: ChangeScope) -> bool {
        scope == ChangeScope::Everything
    }

    async fn apply(&self, change: ConfigChange<'_>) -> Result<ApplyMode, ChangeError> {
        assert!(change.after.join("main.conf").is_file());
        self.state().changes.push(change.scope);
        Ok(if self.needs_reload(change.scope) { ApplyMode::Reloaded } else { ApplyMode::InPlace("endpoints".to_owned()) })
    }

    fn drain(&self) {}

    fn stop(&self) {}

    async fn exited(&self) -> ExitStatus {
        std::future::pending().await
    }

    fn clean_up(&self) -> String {
        String::new()
    }

    fn workers(&self) -> Vec<Worker> {
        self.state().workers.clone()
    }

    fn memory_of(&self, _: Worker) -> u64 {
        0
    }

    fn request_bodies_of(&self, worker: Worker) -> u64 {
        self.state().request_bodies.get(&worker.started).copied().unwrap_or_default()
    }

    fn retire(&self, worker: Worker, how: WorkerStop) -> bool {
        let mut state = self.state();
        let is_alive = state.workers.contains(&worker);
        if is_alive {
            state.retired.push(how);
        }
        is_alive
    }
}
