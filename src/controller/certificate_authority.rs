//! How the operator obtains its certificate authority and keeps it. The key is in a Swarm secret that only the operator's own
//! service mounts. Swarm never returns a secret's content, so the first start creates the secret, adds it to the operator's own
//! service, and lets Swarm replace the task. Only the operator's own service determines which secret that is: its spec, its
//! previous spec, and its tasks. Labels on a secret are not trusted: anyone may write them.

use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pki::{Authority, AuthorityError};
use crate::protocol::container_contract::{AUTHORITY_FILE, LABEL_AUTHORITY, LABEL_OWNER, LABEL_ROLE, LABEL_SEAL};
use crate::retry::{Retry, RetryLimits};
use crate::swarm::{Secret, Service, Snapshot, Swarm, SwarmError, SwarmErrorKind};
use crate::types::{SecretId, ServiceId};

/// The role label of the secret that holds the authority.
const ROLE_AUTHORITY: &str = "ca";
/// The prefix of the secret's name.
const NAME_PREFIX: &str = "swarmgate-ca-";
/// The role label of the secret that holds the status token.
const ROLE_STATUS_TOKEN: &str = "status-token";
/// The purpose from which the status token is derived.
const STATUS_TOKEN: &str = "status-token";
/// Limit on the operator's processes and threads; includes the threads that wait for files and name lookups.
const PROCESSES_MAX: i64 = 1024;
/// No genuine file is larger, in bytes.
const BYTES_MAX: u64 = 64 << 10;
const RETRY: RetryLimits = RetryLimits { initial: std::time::Duration::from_millis(500), max: std::time::Duration::from_secs(15) };

/// Where the authority comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySource {
    /// The mounted secret; outside a Swarm service, a file that is created if it does not exist.
    pub file: PathBuf,
    /// The operator's own service, if it is one.
    pub service: Option<ServiceId>,
}

/// The outcome of the search.
#[derive(Debug)]
pub enum EstablishedAuthority {
    /// The operator may start.
    Ready(Arc<Authority>),
    /// Swarm is replacing this task by one that has the authority.
    Remounted,
}

/// Why there is no authority. Contains nothing that was read.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError {
    /// The file cannot be read or created.
    #[error(
        "cannot use {path} for the operator's certificate authority; in a Swarm service, set SWARMGATE_SERVICE={{{{.Service.ID}}}} \
         and the operator mounts the authority itself; elsewhere, name a file in a persistent directory with --authority-file"
    )]
    File {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The file does not contain an authority.
    #[error("{path} does not contain the operator's certificate authority")]
    Content {
        /// Which file.
        path: String,
        /// What is wrong.
        source: AuthorityError,
    },
    /// There is no authority yet, and none could be created.
    #[error("creating a certificate authority")]
    Create(#[from] AuthorityError),
}

/// The token with which people and programs access the status.
pub fn status_token(authority: &Authority) -> String {
    authority.derive(STATUS_TOKEN)
}

/// Reads the authority from its mount.
pub fn read_mounted(file: &Path) -> Result<Option<Authority>, EstablishError> {
    let path = file.display().to_string();
    let read = || -> io::Result<String> {
        if std::fs::metadata(file)?.len() > BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        std::fs::read_to_string(file)
    };
    match read() {
        Ok(text) => Authority::from_pem(&text).map(Some).map_err(|source| EstablishError::Content { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EstablishError::File { path, source }),
    }
}

/// Finds the authority or creates it. Retries while the Swarm does not answer; cancel-safe.
pub async fn establish(swarm: &dyn Swarm, source: &AuthoritySource, instance: &str) -> Result<EstablishedAuthority, EstablishError> {
    if let Some(authority) = read_mounted(&source.file)? {
        return Ok(EstablishedAuthority::Ready(Arc::new(authority)));
    }
    let Some(service) = &source.service else {
        return create_file(&source.file).map(|authority| EstablishedAuthority::Ready(Arc::new(authority)));
    };
    let mut mounting = Mounting { swarm, service, instance, made: None };
    let mut retry = Retry::new(RETRY);
    loop {
        match mounting.step().await {
            Ok(()) => return Ok(EstablishedAuthority::Remounted),
            Err(MountError::Create(error)) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "the operator's service does not mount its certificate authority yet; retrying"),
        }
        tokio::time::sleep(retry.next()).await;
    }
}

fn create_file(file: &Path) -> Result<Authority, EstablishError> {
    let authority = Authority::create(Timestamp::now())?;
    let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).and_then(|mut opened| {
        opened.write_all(authority.to_pem().as_bytes())?;
        opened.sync_all()
    });
    written.map_err(|source| EstablishError::File { path: file.display().to_string(), source })?;
    tracing::info!(file = %file.display(), "created a new certificate authority");
    Ok(authority)
}

/// Adds the secret to the operator's own service.
struct Mounting<'a> {
    swarm: &'a dyn Swarm,
    service: &'a ServiceId,
    instance: &'a str,
    /// The secret that an earlier step of this process created.
    made: Option<(SecretId, String)>,
}

#[derive(Debug, thiserror::Error)]
enum MountError {
    #[error(transparent)]
    Swarm(#[from] SwarmError),
    #[error("cannot read the Swarm: {0}")]
    Read(String),
    #[error("service {0}, which SWARMGATE_SERVICE names as the operator's own service, does not exist in the Swarm")]
    NoService(ServiceId),
    #[error(transparent)]
    Create(#[from] AuthorityError),
}

impl Mounting<'_> {
    async fn step(&mut self) -> Result<(), MountError> {
        let snapshot = Snapshot::from_raw(&self.swarm.observe().await?).map_err(|error| MountError::Read(error.to_string()))?;
        let service = snapshot.services.get(self.service).ok_or_else(|| MountError::NoService(self.service.clone()))?;
        if authority_of(&service.spec).is_some() {
            // Another task of this service was faster, or the update is in progress.
            return Ok(());
        }
        let (id, name) = match self.former(service, &snapshot).await? {
            Some(former) => former,
            None => self.made().await?,
        };
        let spec = with_mount(&service.spec, &id, &name);
        self.swarm.update_service(self.service, service.version, &spec).await?;
        tracing::info!(secret = name, "the operator's service now mounts its certificate authority; Swarm replaces this task");
        Ok(())
    }

    /// The secret that this service mounted before: `docker stack deploy` rewrites the service without it.
    async fn former(&self, service: &Service, snapshot: &Snapshot) -> Result<Option<(SecretId, String)>, SwarmError> {
        let mut tasks = self.swarm.tasks_of(self.service).await?;
        let created_at = |task: &Value| task.get("CreatedAt").and_then(Value::as_str).map(str::to_owned);
        tasks.sort_by_key(|task| std::cmp::Reverse(created_at(task)));
        let of_tasks = tasks.iter().filter_map(|task| authority_in(task.get("Spec")?));
        let before = service.previous_spec.as_ref().and_then(authority_of);
        let ids = before.into_iter().chain(of_tasks).map(|id| SecretId(id.to_owned()));
        let mut secrets = ids.filter_map(|id| snapshot.secrets.get(&id)).filter(|secret| looks_like_an_authority(secret));
        Ok(secrets.next().map(|secret| (secret.id.clone(), secret.name.clone())))
    }

    async fn made(&mut self) -> Result<(SecretId, String), MountError> {
        if let Some(made) = &self.made {
            return Ok(made.clone());
        }
        let authority = Authority::create(Timestamp::now())?;
        let name = format!("{NAME_PREFIX}{}", authority.root().fingerprint().short());
        let labels = labels(&authority, self.instance, ROLE_AUTHORITY, &name);
        let id = self.swarm.create_secret(&name, &labels, authority.to_pem().as_bytes()).await?;
        tracing::info!(secret = name, "created a new certificate authority");
        Ok(self.made.insert((id, name)).clone())
    }
}

/// The history may contain a mistake: if another secret was once mounted, it would otherwise be mounted again forever.
fn looks_like_an_authority(secret: &Secret) -> bool {
    secret.name.starts_with(NAME_PREFIX) || secret.labels.get(LABEL_ROLE).is_some_and(|role| role == ROLE_AUTHORITY)
}

fn labels(authority: &Authority, instance: &str, role: &str, name: &str) -> std::collections::BTreeMap<String, String> {
    let seal = authority.seals().seal(&["secret", instance, "", role, name, ""]);
    let always =
        [(LABEL_OWNER, instance.to_owned()), (LABEL_ROLE, role.to_owned()), (LABEL_AUTHORITY, authority.root().fingerprint().to_string())];
    always.into_iter().chain(seal.map(|seal| (LABEL_SEAL, seal))).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The id of the secret that a service spec mounts as the authority.
fn authority_of(spec: &Value) -> Option<&str> {
    authority_in(spec.get("TaskTemplate")?)
}

fn authority_in(template: &Value) -> Option<&str> {
    let secrets = template.pointer("/ContainerSpec/Secrets")?.as_array()?;
    let mount = secrets.iter().find(|mount| mount.pointer("/File/Name").and_then(Value::as_str) == Some(AUTHORITY_FILE))?;
    mount.get("SecretID")?.as_str()
}

fn with_mount(spec: &Value, id: &SecretId, name: &str) -> Value {
    // Only the operator's own processes run in its container; its user differs from host to host.
    let file = json!({"Name": AUTHORITY_FILE, "UID": "0", "GID": "0", "Mode": 0o444});
    let mount = json!({"File": file, "SecretID": id.0, "SecretName": name});
    let mut spec = spec.clone();
    if let Some(container) = spec.pointer_mut("/TaskTemplate/ContainerSpec").and_then(Value::as_object_mut) {
        match container.get_mut("Secrets").and_then(Value::as_array_mut) {
            Some(secrets) => secrets.push(mount),
            None => drop(container.insert("Secrets".to_owned(), json!([mount]))),
        }
    }
    bound_processes(&mut spec);
    spec
}

/// Stack files of version 3.8 cannot set the number of processes, so the limit is added with the mount. An existing limit is kept.
fn bound_processes(spec: &mut Value) {
    let limits = spec.get("TaskTemplate").and_then(|template| template.pointer("/Resources/Limits"));
    let mut limits = limits.and_then(Value::as_object).cloned().unwrap_or_default();
    if limits.get("Pids").and_then(Value::as_i64).unwrap_or(0) == 0 {
        limits.insert("Pids".to_owned(), json!(PROCESSES_MAX));
        spec["TaskTemplate"]["Resources"]["Limits"] = Value::Object(limits);
    }
}

/// Ensures that the secret with the status token exists if the operator derived that token, and removes the
/// secrets of other authorities unless a service mounts them. Failed writes are logged; the operator works without them.
pub async fn remove_stale_secrets(swarm: &dyn Swarm, authority: &Authority, instance: &str, own_token: bool) {
    if let Err(error) = try_tidy(swarm, authority, instance, own_token).await {
        tracing::warn!(%error, "cannot update the secrets of the certificate authority and of the status token");
    }
}

async fn try_tidy(swarm: &dyn Swarm, authority: &Authority, instance: &str, own_token: bool) -> Result<(), MountError> {
    let snapshot = Snapshot::from_raw(&swarm.observe().await?).map_err(|error| MountError::Read(error.to_string()))?;
    let name = format!("swarmgate-status-token-{}", authority.root().fingerprint().short());
    if own_token && !snapshot.secrets.values().any(|secret| secret.name == name) {
        let labels = labels(authority, instance, ROLE_STATUS_TOKEN, &name);
        swarm.create_secret(&name, &labels, status_token(authority).as_bytes()).await?;
    }
    let fingerprint = authority.root().fingerprint().to_string();
    let is = |secret: &Secret, key: &str, value: &str| secret.labels.get(key).is_some_and(|found| found == value);
    let has_role = |secret: &Secret| [ROLE_AUTHORITY, ROLE_STATUS_TOKEN].iter().any(|role| is(secret, LABEL_ROLE, role));
    let of_others = |secret: &&Secret| is(secret, LABEL_OWNER, instance) && has_role(secret) && !is(secret, LABEL_AUTHORITY, &fingerprint);
    for secret in snapshot.secrets.values().filter(of_others) {
        match swarm.remove_secret(&secret.id).await {
            Ok(()) => tracing::info!(secret = secret.name, "removed a secret of a certificate authority that this operator does not use"),
            // Still needed by a service that mounts it, or for a rollback.
            Err(error) if matches!(error.kind, SwarmErrorKind::Invalid | SwarmErrorKind::InUse | SwarmErrorKind::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
