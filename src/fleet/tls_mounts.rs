//! Mounts of secrets and configs with TLS material: each under its id, so that the content of a mount never changes. They
//! are foreign objects: mounted by id, never created, changed or removed.

use serde_json::{Value, json};

use super::ShapeInput;
use super::common_service_fields::{self, SECRET_FILE_MODE};
use super::spec_field::{Field, Role};
use crate::intent::cluster_spec::RolloutStrategy;
use crate::protocol::container_contract::material_file;
use crate::swarm::{Service, Snapshot};
use crate::types::{ConfigId, SecretId};

/// The user that reads the files in the container: `(uid, gid)`.
pub(super) type ContainerUser = (&'static str, &'static str);

/// The reader in a role's containers: our own user, or root in a stock image, whose engine reads keys as root.
pub(super) fn reader(input: &ShapeInput<'_>, role: Role) -> ContainerUser {
    match (role, input.cluster.proxy.rollout) {
        (Role::Proxy, RolloutStrategy::Replace) => ("0", "0"),
        _ => common_service_fields::user_parts(),
    }
}

/// The fields `secrets` and `configs` of the extension: `own`, and all objects that the routes name.
pub(super) fn route_mounts(input: &ShapeInput<'_>, own: Vec<(String, Value)>) -> [Field; 2] {
    let ids = input.material.iter().filter_map(|object| object.id.as_deref());
    let name = input.cluster.extension.service_name.as_str();
    let existing = input.snapshot.services.values().find(|service| service.name == name);
    let mounts = mounts(input.snapshot, existing, ids, reader(input, Role::Extension));
    let secrets = own.into_iter().chain(mounts.secrets).collect();
    [common_service_fields::secrets(secrets), common_service_fields::configs(mounts.configs)]
}

/// Mounts by file, as entries of the fields `secrets` and `configs`.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub secrets: Vec<(String, Value)>,
    pub configs: Vec<(String, Value)>,
}

/// The mounts of the objects with these ids. An object that does not exist (any more) cannot be mounted: Swarm would refuse
/// the whole service, so its routes go without. But an object that the service already mounts exists even if the snapshot
/// does not show it, because Swarm removes nothing that is mounted.
pub(super) fn mounts<'a>(
    snapshot: &Snapshot,
    service: Option<&Service>,
    ids: impl Iterator<Item = &'a str>,
    reader: ContainerUser,
) -> Mounts {
    let mut mounts = Mounts::default();
    for id in ids {
        let file = || json!({"Name": material_file(id), "UID": reader.0, "GID": reader.1, "Mode": SECRET_FILE_MODE});
        if let Some(secret) = snapshot.secrets.get(&SecretId(id.to_owned())) {
            mounts.secrets.push((material_file(id), json!({"File": file(), "SecretID": id, "SecretName": secret.name})));
        } else if let Some(config) = snapshot.configs.get(&ConfigId(id.to_owned())) {
            mounts.configs.push((material_file(id), json!({"File": file(), "ConfigID": id, "ConfigName": config.name})));
        } else {
            mounts.secrets.extend(mounted(service, "Secrets", id));
            mounts.configs.extend(mounted(service, "Configs", id));
        }
    }
    mounts
}

/// Whether a configuration may mount this object: current routes name it, or the service already mounts it for earlier
/// routes.
pub(super) fn is_granted(input: &ShapeInput<'_>, service: Option<&Service>, id: &str) -> bool {
    let named = input.material.iter().any(|object| object.id.as_deref() == Some(id));
    named || ["Secrets", "Configs"].into_iter().any(|list| mounted(service, list, id).is_some())
}

/// The entry with which the service already mounts the object, if it does.
fn mounted(service: Option<&Service>, list: &str, id: &str) -> Option<(String, Value)> {
    let file = material_file(id);
    let entries = service?.spec.pointer("/TaskTemplate/ContainerSpec")?.get(list)?.as_array()?;
    let entry = entries.iter().find(|entry| entry.pointer("/File/Name").and_then(Value::as_str) == Some(&file))?;
    Some((file, entry.clone()))
}
