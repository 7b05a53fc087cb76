//! The secrets with which tasks of our services obtain their first certificate: one for each role of a cluster, created and
//! sealed by the operator and mounted by its own services. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ShapeInput;
use super::common_service_fields::{SECRET_FILE_MODE, user_parts};
use super::object_names;
use super::ownership_seal::{ObjectKind, SealedObject};
use super::spec_field::Role;
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::RolloutStrategy;
use crate::pki::{ChannelRole, Seals};
use crate::protocol::container_contract::{LABEL_AUTHORITY, LABEL_TOKEN_DIGEST, TOKEN_FILE};
use crate::protocol::{AdmittedTasks, AdmittedToken};
use crate::swarm::{Secret, Service, Snapshot};
use crate::types::{Digest, SecretId};

/// A secret that must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// The role of the tasks that use it.
    pub role: ChannelRole,
    /// Its name.
    pub name: String,
    /// Its labels, without the token's digest and the seal, which are added together with the token.
    pub labels: BTreeMap<String, String>,
}

/// The secrets that the fleet of a cluster needs. Stock images need none, because they do not use the channel.
pub(super) fn needed_tokens(input: &ShapeInput<'_>) -> Vec<TokenSecret> {
    let is_live = input.cluster.proxy.rollout == RolloutStrategy::Live;
    let roles = [ChannelRole::Extension].into_iter().chain(is_live.then_some(ChannelRole::Proxy));
    roles.map(|role| secret(input, role)).collect()
}

fn secret(input: &ShapeInput<'_>, role: ChannelRole) -> TokenSecret {
    let (cluster, authority) = (&input.cluster.name, input.seals.authority());
    let mut labels = object_names::owner_labels(input.instance, Some(cluster), object_names::token_role(role));
    labels.insert(LABEL_AUTHORITY.to_owned(), authority.to_string());
    TokenSecret { role, name: object_names::token_secret(role, cluster, authority), labels }
}

/// The mount of the secret in the service of a role.
pub(super) fn mount(input: &ShapeInput<'_>, role: ChannelRole) -> (String, Value) {
    let name = object_names::token_secret(role, &input.cluster.name, input.seals.authority());
    let known = input.snapshot.secrets.values().find(|secret| secret.name == name);
    let id = known.map_or_else(|| object_names::pending(&name), |secret| secret.id.0.clone());
    let (uid, gid) = user_parts();
    let file = json!({"Name": TOKEN_FILE, "UID": uid, "GID": gid, "Mode": SECRET_FILE_MODE});
    (TOKEN_FILE.to_owned(), json!({"File": file, "SecretID": id, "SecretName": name}))
}

/// Determines which tasks get certificates for a cluster: the tasks of our own services, with tokens from secrets that this
/// operator created for the role and that the role's own service, or a running task of it, mounts. A secret or a service
/// with the right labels alone is not admitted.
pub fn admission(instance: &str, cluster: &Cluster, seals: &Seals, snapshot: &Snapshot) -> AdmittedTasks {
    let mut admission = AdmittedTasks::default();
    for role in [ChannelRole::Extension, ChannelRole::Proxy] {
        let is_ours = |kind, role: Role, name: &str, labels: &BTreeMap<String, String>| {
            SealedObject { kind, instance, cluster: cluster.name.as_str(), role: role.as_str(), name }.is_sealed(seals, labels)
        };
        let (service_name, service_role) = match role {
            ChannelRole::Extension => (&cluster.extension.service_name, Role::Extension),
            ChannelRole::Proxy => (&cluster.proxy.workload.service_name, Role::Proxy),
        };
        let found = snapshot.services.values().find(|service| service.name == service_name.as_str());
        let service = found.filter(|service| is_ours(ObjectKind::Service, service_role, &service.name, &service.labels));
        let Some(service) = service else { continue };
        let sealed = |secret: &&Secret| is_ours(ObjectKind::Secret, object_names::token_role(role), &secret.name, &secret.labels);
        let secrets = mounted_tokens(service, snapshot);
        let digests = secrets.into_iter().filter(sealed).filter_map(digest_of);
        admission.tokens.extend(digests.map(|sha256| AdmittedToken { role, sha256 }));
        let tasks = snapshot.tasks.values().filter(|task| task.service == service.id);
        admission.tasks.extend(tasks.map(|task| (role, task.id.0.clone())));
    }
    admission
}

/// The secrets that a service, or one of its tasks, mounts as its token.
fn mounted_tokens<'a>(service: &Service, snapshot: &'a Snapshot) -> Vec<&'a Secret> {
    let tasks = snapshot.tasks.values().filter(|task| task.service == service.id).map(|task| Some(&task.spec));
    let templates = [service.spec.get("TaskTemplate")].into_iter().chain(tasks).flatten();
    let mut ids: Vec<&str> = templates.filter_map(mounted_token).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().filter_map(|id| snapshot.secrets.get(&SecretId(id.to_owned()))).collect()
}

fn digest_of(secret: &Secret) -> Option<Digest> {
    Digest::parse(secret.labels.get(LABEL_TOKEN_DIGEST)?).ok()
}

/// The id of the secret that a task template mounts as its token.
fn mounted_token(template: &Value) -> Option<&str> {
    let secrets = template.pointer("/ContainerSpec/Secrets")?.as_array()?;
    let mount = secrets.iter().find(|mount| mount.pointer("/File/Name").and_then(Value::as_str) == Some(TOKEN_FILE))?;
    mount.get("SecretID")?.as_str()
}
