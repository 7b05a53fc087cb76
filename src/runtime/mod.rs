//! Proxy engines as programs: only this room knows how to test, start, change, drain and watch an engine. The extension and the
//! proxy agent use an engine through [`Engine`] and [`EngineProcess`] and must not know which one it is. Imports no routes and no
//! messages, and decides no policy: pacing of reloads, limits for workers and reports belong to the proxy.
//!
//! # Adding an engine
//!
//! In this room:
//! - `runtime/ENGINE/mod.rs`: a type that implements [`Engine`];
//! - `runtime/ENGINE/process.rs`: a type that implements [`EngineProcess`]. `procfs.rs` and `message_redaction.rs` have what every engine needs;
//! - one arm in [`engine`].
//!
//! Elsewhere, for testing and running an engine:
//! - `types/engine_kind.rs`: its row;
//! - `cli/extension.rs` and `cli/proxy.rs`: the default of the option that names the program;
//! - nothing in `extension/` and `proxy/`: they name no engine.

mod config_files;
mod error;
mod message_redaction;
pub(crate) mod nginx;
mod procfs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;
use nix::unistd::Pid;

use crate::types::EngineKind;

pub use config_files::write_secret_files;
pub use error::{ChangeError, EngineError};
pub use message_redaction::last_bytes;
pub use procfs::zombies_of;

/// The files of a configuration: plain file names and contents.
pub type ConfigFiles = BTreeMap<String, String>;

/// The engine of this kind. `program` is looked up in `PATH` unless it is a path; everything the engine writes goes below `prefix`.
pub fn engine(kind: EngineKind, program: &Path, prefix: &Path) -> Arc<dyn Engine> {
    match kind {
        EngineKind::Nginx => Arc::new(nginx::NginxEngine::new(program, prefix)),
    }
}

/// An engine's program, and the meaning of its configurations.
///
/// A configuration is a directory. The engine reads its file [`Self::main_file`], and all files that this names.
#[async_trait]
pub trait Engine: Debug + Send + Sync {
    /// The file in a configuration with which the engine is started.
    fn main_file(&self) -> &'static str;

    /// Creates the directories that the engine writes to.
    async fn prepare(&self) -> Result<(), EngineError>;

    /// The version as the program states it, such as `nginx/1.31.3`.
    async fn version(&self) -> Result<String, EngineError>;

    /// Writes the files of a configuration into a new directory, adapted to what this machine supports.
    async fn write_config(&self, directory: &Path, files: &ConfigFiles) -> Result<(), EngineError>;

    /// Asks the program whether it accepts a configuration. Serves and changes nothing.
    ///
    /// `Ok`: accepted. [`EngineError::Refused`]: the engine will refuse it again until it changes. Any other error says nothing
    /// about the configuration: the program could not be asked.
    async fn test(&self, directory: &Path) -> Result<(), EngineError>;

    /// Starts the engine with the configuration in `directory`, usually a link that later leads to another one. `hidden`:
    /// directories that must not appear in messages.
    fn start(&self, directory: &Path, hidden: Vec<PathBuf>) -> Result<Arc<dyn EngineProcess>, EngineError>;

    /// The meaning of a refusal for TLS material, for a configuration with nothing else in it. Never quotes the program, which may
    /// quote the material.
    fn certificate_fault(&self, refusal: &str) -> CertificateFault;

    /// Keeps large request bodies on this volume instead of in memory. Without a usable volume they stay in memory.
    fn keep_request_bodies_on(&self, volume: &Path);

    /// The directory of large request bodies; `None` for an engine that writes none to disk.
    fn request_body_directory(&self) -> Option<PathBuf>;

    /// The same files for one load. Anything that an engine would carry over to the next load, but must not, gets a name with this
    /// number, which no other load of this process has.
    fn files_for_load(&self, files: &ConfigFiles, number: u64) -> ConfigFiles;

    /// The same files with these endpoints out of use.
    fn without_endpoints(&self, files: &ConfigFiles, endpoints: &BTreeSet<SocketAddr>) -> ConfigFiles;

    /// A configuration for the change from addresses to names: requests go to the addresses of `live` while the engine resolves the
    /// names of `by_name`, and the engine takes the results over into the next load. `None` if no such step is needed.
    fn resolving_beside_addresses(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> Option<ResolverWarmup>;

    /// A configuration that resolves the names of `by_name` and accepts no requests. `None` if no such step is needed.
    fn resolving_only(&self, by_name: &ConfigFiles) -> Option<ResolverWarmup>;

    /// For each name in `by_name`, in lower case: the addresses that `live` has in the same pools.
    fn addresses_by_name(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> BTreeMap<String, BTreeSet<IpAddr>>;
}

/// A configuration whose purpose is that the engine resolves names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverWarmup {
    /// The files.
    pub files: ConfigFiles,
    /// How many names the engine resolves; at least one.
    pub names: usize,
}

/// A running engine.
///
/// Dropping it does not end the engine in order: call [`Self::drain`] and wait for [`Self::exited`].
#[async_trait]
pub trait EngineProcess: Send + Sync {
    /// Waits until the engine serves.
    async fn ready(&self) -> Result<(), EngineError>;

    /// Whether a change of this scope makes the engine load its whole configuration and replace its workers.
    fn needs_reload(&self, scope: ChangeScope) -> bool;

    /// Applies a configuration and returns once it is in effect; on an error, the former one stays in effect.
    async fn apply(&self, change: ConfigChange<'_>) -> Result<ApplyMode, ChangeError>;

    /// Finish open requests, then exit.
    fn drain(&self);

    /// Exit at once.
    fn stop(&self);

    /// Waits until the engine's main process has exited.
    async fn exited(&self) -> ExitStatus;

    /// After an unexpected exit: ends the remaining processes of the engine, and returns the last lines that it wrote.
    fn clean_up(&self) -> String;

    /// The workers that are alive, of this configuration and of earlier ones.
    fn workers(&self) -> Vec<Worker>;

    /// The memory in bytes that becomes free when this worker ends.
    fn memory_of(&self, worker: Worker) -> u64;

    /// The disk space in bytes of this worker's request bodies.
    fn request_bodies_of(&self, worker: Worker) -> u64;

    /// Makes a worker of an earlier configuration close its connections and exit. `false` if it is not such a worker, or no longer.
    fn retire(&self, worker: Worker, how: WorkerStop) -> bool;
}

/// A worker of a running engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Its process id.
    pub pid: Pid,
    /// Its start time in ticks of the kernel. With the process id, this is unique to one process.
    pub started: u64,
    /// It finishes connections of an earlier configuration and accepts no new ones.
    pub retiring: bool,
}

/// How to end a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerStop {
    /// It closes its connections and exits.
    Terminate,
    /// It did not react, so the kernel kills it.
    Kill,
}

/// The difference between the running configuration and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeScope {
    /// Only addresses of endpoints.
    Endpoints,
    /// Anything, or unknown, or a complete reload was requested without any difference.
    Everything,
}

/// A change of a running engine's configuration. The engine's directory already leads to the new one.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "nginx loads everything anew; an engine that changes while it runs compares the two configurations")]
pub struct ConfigChange<'a> {
    /// What differs.
    pub scope: ChangeScope,
    /// The running configuration, if known.
    pub before: Option<&'a Path>,
    /// The configuration to apply.
    pub after: &'a Path,
}

/// How a change was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyMode {
    /// The engine loaded its whole configuration; new workers serve.
    Reloaded,
    /// The engine changed while it ran; the same workers serve. What changed, such as `2 servers of app.example.org`.
    #[cfg_attr(not(test), expect(dead_code, reason = "nginx always reloads"))]
    InPlace(String),
}

/// A fault of TLS material, as reported by an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFault {
    /// The kind of fault.
    pub kind: CertificateFaultKind,
    /// The fault in this project's wording.
    pub message: String,
}

/// Kinds of faults of TLS material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFaultKind {
    /// The engine cannot use it as a certificate.
    Certificate,
    /// The key cannot be used.
    Key,
    /// The key belongs to another certificate.
    Mismatch,
}
