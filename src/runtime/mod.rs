//! Proxy engines as programs: the only room that knows how an engine is tested, started, changed, drained and watched. Extension and
//! proxy agent use an engine through [`Engine`] and [`EngineProcess`] and must not know which one it is. Imports no routes and no
//! messages, and decides no policy: pacing of reloads, bounds for workers and reports belong to the proxy.
//!
//! # Adding an engine
//!
//! In this room:
//! - `runtime/ENGINE/mod.rs`: a type that implements [`Engine`];
//! - `runtime/ENGINE/process.rs`: a type that implements [`EngineProcess`]. `procfs.rs` and `messages.rs` have what every engine needs;
//! - one arm in [`engine`].
//!
//! Elsewhere, as far as testing and running an engine are concerned:
//! - `types/engine_kind.rs`: its row;
//! - `cli/extension.rs` and `cli/proxy.rs`: the default of the option that names the program;
//! - nothing in `extension/` and `proxy/`: they name no engine.

mod config_files;
mod error;
mod messages;
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
pub use messages::last_bytes;
pub use procfs::zombies_of;

/// The files of a configuration: plain file names and contents.
pub type ConfigFiles = BTreeMap<String, String>;

/// The engine of this kind. `program` is looked up in `PATH` unless it is a path; everything the engine writes goes below `prefix`.
pub fn engine(kind: EngineKind, program: &Path, prefix: &Path) -> Arc<dyn Engine> {
    match kind {
        EngineKind::Nginx => Arc::new(nginx::Nginx::new(program, prefix)),
    }
}

/// An engine's program, and what its configurations mean.
///
/// Configurations are directories. The engine reads the file [`Self::main_file`] in them, and whatever that names.
#[async_trait]
pub trait Engine: Debug + Send + Sync {
    /// The file in a configuration that the engine is started with.
    fn main_file(&self) -> &'static str;

    /// Creates the directories that the engine writes to.
    async fn prepare(&self) -> Result<(), EngineError>;

    /// The version as the program states it, such as `nginx/1.31.3`.
    async fn version(&self) -> Result<String, EngineError>;

    /// Writes the files of a configuration into a new directory, adapted to what this machine supports.
    async fn write_config(&self, directory: &Path, files: &ConfigFiles) -> Result<(), EngineError>;

    /// Asks the program whether it accepts a configuration. Serves and changes nothing.
    ///
    /// `Ok`: accepted. [`EngineError::Refused`]: it will be refused again until it changes. Any other error says nothing about the
    /// configuration: the program could not be asked.
    async fn test(&self, directory: &Path) -> Result<(), EngineError>;

    /// Starts the engine with the configuration in `directory`, which is usually a link that later names another one. `hidden`:
    /// directories that must not appear in messages.
    fn start(&self, directory: &Path, hidden: Vec<PathBuf>) -> Result<Arc<dyn EngineProcess>, EngineError>;

    /// What a refusal says about TLS material, for a configuration that has nothing else in it. Never quotes the program, because it
    /// may quote the material.
    fn certificate_fault(&self, refusal: &str) -> CertificateFault;

    /// Keeps large request bodies on this volume instead of in memory. Without a usable volume they stay in memory.
    fn keep_request_bodies_on(&self, volume: &Path);

    /// Where large request bodies are; `None` for an engine that writes none to disk.
    fn request_body_directory(&self) -> Option<PathBuf>;

    /// The same files for one load. What an engine would carry over from one load to the next and must not, gets a name with this
    /// number, which no other load of this process has.
    fn files_for_load(&self, files: &ConfigFiles, number: u64) -> ConfigFiles;

    /// The same files with these endpoints out of use.
    fn without_endpoints(&self, files: &ConfigFiles, endpoints: &BTreeSet<SocketAddr>) -> ConfigFiles;

    /// A configuration for the change from addresses to names: requests go to the addresses of `live` while the engine resolves the
    /// names of `by_name`, and the engine takes the results over into the next load. `None` if no such step is needed.
    fn resolving_beside_addresses(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> Option<Resolving>;

    /// A configuration that resolves the names of `by_name` and accepts no requests. `None` if no such step is needed.
    fn resolving_only(&self, by_name: &ConfigFiles) -> Option<Resolving>;

    /// For each name in `by_name`, in lower case: the addresses that `live` has in the same pools.
    fn addresses_by_name(&self, live: &ConfigFiles, by_name: &ConfigFiles) -> BTreeMap<String, BTreeSet<IpAddr>>;
}

/// A configuration whose purpose is that the engine resolves names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolving {
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

    /// Whether a change of this scope makes the engine load its whole configuration anew and replace its workers.
    fn needs_reload(&self, scope: ChangeScope) -> bool;

    /// Brings a configuration into force and returns once it is, or leaves the one before in force.
    async fn apply(&self, change: Change<'_>) -> Result<Applied, ChangeError>;

    /// Finish open requests, then exit.
    fn drain(&self);

    /// Exit at once.
    fn stop(&self);

    /// Waits until the engine's main process has exited.
    async fn exited(&self) -> ExitStatus;

    /// After an exit nobody asked for: ends what is left of the engine, and returns the last lines it wrote.
    fn clean_up(&self) -> String;

    /// The workers that are alive, of this configuration and of earlier ones.
    fn workers(&self) -> Vec<Worker>;

    /// The memory in bytes that the end of this worker would free.
    fn memory_of(&self, worker: Worker) -> u64;

    /// The disk space in bytes that request bodies of this worker take.
    fn request_bodies_of(&self, worker: Worker) -> u64;

    /// Has a worker of an earlier configuration close its connections and exit. `false`: it is not such a worker, or no longer one.
    fn retire(&self, worker: Worker, how: Retire) -> bool;
}

/// A worker of a running engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Its process id.
    pub pid: Pid,
    /// When it was started, in ticks of the kernel. Together with the process id it never names another process.
    pub started: u64,
    /// It finishes connections of an earlier configuration and accepts no new ones.
    pub retiring: bool,
}

/// How a worker is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retire {
    /// It closes its connections and exits.
    Terminate,
    /// It did not react: the kernel ends it.
    Kill,
}

/// What differs between the configuration in force and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeScope {
    /// Only addresses of endpoints.
    Endpoints,
    /// Anything, or it is not known, or everything is to be loaded again although nothing differs.
    Everything,
}

/// A change of a running engine's configuration. The directory that the engine was started with names the new one already.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What differs.
    pub scope: ChangeScope,
    /// The configuration in force, if it is known.
    pub before: Option<&'a Path>,
    /// The configuration to bring into force.
    pub after: &'a Path,
}

/// How a change came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The engine loaded its whole configuration; new workers serve.
    Reloaded,
    /// The engine changed while it ran; the same workers serve. What changed, such as `2 servers of app.example.org`.
    InPlace(String),
}

/// What is wrong with TLS material according to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFault {
    /// Which kind of fault.
    pub kind: CertificateFaultKind,
    /// The fault in this project's words.
    pub message: String,
}

/// Kinds of faults of TLS material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFaultKind {
    /// It is not a certificate that the engine can use.
    Certificate,
    /// The key cannot be used.
    Key,
    /// The key belongs to another certificate.
    Mismatch,
}
