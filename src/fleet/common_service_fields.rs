//! The fields that the extension and proxy services have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::ShapeInput;
use super::container_limits;
use super::object_names;
use super::ownership_seal::{ObjectKind, SealedObject};
use super::spec_field::{ContainerArgs, DesiredValue, Equivalence, Field, FieldValue, KeyedBy, Role, WholeField, keyed, want, whole};
use crate::intent::cluster::{CONSTRAINT_AT_CREATION, Workload};
use crate::protocol::container_contract::{
    ENV_CLUSTER, ENV_ENGINE, ENV_NODE, ENV_TASK, ENV_TOKEN_FILE, LABEL_FAILED_NETWORKS, LABEL_HOST_HOLDERS, LABEL_SEAL, TOKEN_FILE, USER,
};
use crate::types::EngineKind;

/// How soon Swarm restarts a task that ended: its own default of 5 s is too long for a proxy.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Only the user of the container can read secrets.
pub(super) const SECRET_FILE_MODE: u32 = 0o400;
/// Every user may write but may not remove another user's files: tmpfs mounts belong to root, and our user is not root.
const TMPFS_MODE: u32 = 0o1777;

/// A duration in the API's form, in nanoseconds.
pub(super) fn nanos(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// The fields of both services: image, labels, environment, placement, resources.
pub(super) fn fields(input: &ShapeInput<'_>, workload: &Workload, role: Role, own_env: &[(&str, String)]) -> Vec<Field> {
    let mut fields = vec![
        labels(input, workload, role),
        image(workload),
        env(workload, own_env),
        container_labels(workload),
        constraints(workload),
        preferences(workload),
        restart(),
    ];
    fields.extend(container_limits::fields(workload, role));
    fields
}

/// The arguments: our subcommand first, unless the image is a stock image.
pub(super) fn args(workload: &Workload, subcommand: Option<&'static str>) -> Field {
    let value = FieldValue::Args(ContainerArgs { subcommand, declared: workload.args.clone() });
    Field { name: "args", path: &["TaskTemplate", "ContainerSpec", "Args"], value }
}

/// The environment that both of our own programs get.
pub(super) fn channel_env(input: &ShapeInput<'_>) -> Vec<(&'static str, String)> {
    let mut env = vec![
        (ENV_CLUSTER, input.cluster.name.to_string()),
        (ENV_TASK, "{{.Task.ID}}".to_owned()),
        (ENV_NODE, "{{.Node.Hostname}}".to_owned()),
        (ENV_TOKEN_FILE, TOKEN_FILE.to_owned()),
    ];
    env.extend(engine_env(input.cluster.engine));
    env
}

/// The default engine is not named: an additional variable would replace every proxy.
fn engine_env(engine: EngineKind) -> Option<(&'static str, String)> {
    (!engine.is_default()).then(|| (ENV_ENGINE, engine.to_string()))
}

/// The user that our own programs run as; unmanaged for a stock image.
pub(super) fn user(user: Option<&str>) -> Field {
    whole("user", &["TaskTemplate", "ContainerSpec", "User"], want(user), Value::Null)
}

/// `(uid, gid)` of our own programs.
pub(super) fn user_parts() -> (&'static str, &'static str) {
    USER.split_once(':').unwrap_or((USER, USER))
}

/// The read-only root file system of our own programs; unmanaged for a stock image.
pub(super) fn read_only(read_only: Option<bool>) -> Field {
    whole("readOnly", &["TaskTemplate", "ContainerSpec", "ReadOnly"], want(read_only), Value::Null).absent_means(json!(false))
}

/// Mounts, by target.
pub(super) fn mounts(entries: Vec<(String, Value)>) -> Field {
    keyed("mounts", &["TaskTemplate", "ContainerSpec", "Mounts"], KeyedBy::Target, entries)
}

/// A memory-backed directory that our user may write to.
pub(super) fn tmpfs(target: &str) -> (String, Value) {
    (target.to_owned(), json!({"Type": "tmpfs", "Target": target, "TmpfsOptions": {"Mode": TMPFS_MODE}}))
}

/// Mounted secrets, by file.
pub(super) fn secrets(entries: Vec<(String, Value)>) -> Field {
    keyed("secrets", &["TaskTemplate", "ContainerSpec", "Secrets"], KeyedBy::FileName, entries)
}

/// Mounted configs, by file.
pub(super) fn configs(entries: Vec<(String, Value)>) -> Field {
    keyed("configs", &["TaskTemplate", "ContainerSpec", "Configs"], KeyedBy::FileName, entries)
}

/// The attached networks, the control network first. The managed label remembers the control network by name, because its id
/// may not exist yet.
pub(super) fn networks(input: &ShapeInput<'_>, reach: ServiceNetworks, others: &[String]) -> Field {
    let name = input.channel.network().filter(|_| reach == ServiceNetworks::Control);
    let control = name.map(|name| control_network_id(input, name).unwrap_or_else(|| object_names::pending(name)));
    let others: Vec<&String> = others.iter().filter(|id| Some(*id) != control.as_ref()).collect();
    let targets = control.iter().chain(others.iter().copied()).map(|id| json!({"Target": id})).collect();
    let stand_ins = name.iter().map(|name| json!(name)).chain(others.iter().map(|id| json!(id))).collect();
    let (want, remembered_as) = (DesiredValue::Stated(Value::Array(targets)), Some(Value::Array(stand_ins)));
    let whole = WholeField { want, default: Value::Null, absent: json!([]), equivalence: Equivalence::Networks, remembered_as };
    Field { name: "networks", path: &["TaskTemplate", "Networks"], value: FieldValue::WholeField(whole) }
}

/// Whether a service is attached to the control network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceNetworks {
    /// Attached, if there is a control network: our own programs.
    Control,
    /// Not attached: stock images do not use the control network.
    Applications,
}

fn control_network_id(input: &ShapeInput<'_>, name: &str) -> Option<String> {
    let networks = input.snapshot.networks.values();
    networks.filter(|network| network.name == name && network.driver == "overlay").map(|n| n.id.0.clone()).next()
}

/// How Swarm restarts ended tasks: set at creation, then unmanaged.
fn restart() -> Field {
    let policy = json!({"Condition": "any", "Delay": nanos(RESTART_DELAY)});
    whole("restart", &["TaskTemplate", "RestartPolicy"], DesiredValue::Free, policy)
}

fn image(workload: &Workload) -> Field {
    let path = &["TaskTemplate", "ContainerSpec", "Image"];
    whole("image", path, want(Some(workload.image.as_str())), Value::Null).with_equivalence(Equivalence::Image)
}

fn labels(input: &ShapeInput<'_>, workload: &Workload, role: Role) -> Field {
    let mut all = workload.labels.clone().unwrap_or_default();
    let (cluster, name) = (&input.cluster.name, workload.service_name.as_str());
    let described =
        SealedObject { kind: ObjectKind::Service, instance: input.instance, cluster: cluster.as_str(), role: role.as_str(), name };
    let existing = input.snapshot.services.values().find(|service| service.name == name);
    // A preview without the authority's key keeps an existing seal unchanged.
    all.extend(existing.and_then(|service| service.labels.get_key_value(LABEL_SEAL)).map(|(key, seal)| (key.clone(), seal.clone())));
    all.extend(described.seal(input.seals, object_names::owner_labels(input.instance, Some(cluster), role)));
    let (note, remembered) = match role {
        Role::Proxy => (LABEL_FAILED_NETWORKS, input.network_update.remembered.as_deref()),
        _ => (LABEL_HOST_HOLDERS, input.remembered_hosts),
    };
    all.extend(remembered.map(|remembered| (note.to_owned(), remembered.to_owned())));
    keyed("labels", &["Labels"], KeyedBy::Name, string_entries(all))
}

fn container_labels(workload: &Workload) -> Field {
    let entries = string_entries(workload.container_labels.clone().unwrap_or_default());
    keyed("containerLabels", &["TaskTemplate", "ContainerSpec", "Labels"], KeyedBy::Name, entries)
}

/// The environment: the variables that the user states, and our own.
pub(super) fn env(workload: &Workload, own: &[(&str, String)]) -> Field {
    let mut all = workload.env.clone().unwrap_or_default();
    all.extend(own.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let entries = all.into_iter().map(|(key, value)| (key.clone(), json!(format!("{key}={value}")))).collect();
    keyed("env", &["TaskTemplate", "ContainerSpec", "Env"], KeyedBy::EnvName, entries)
}

fn string_entries(map: BTreeMap<String, String>) -> Vec<(String, Value)> {
    map.into_iter().map(|(key, value)| (key, Value::String(value))).collect()
}

fn constraints(workload: &Workload) -> Field {
    let path = &["TaskTemplate", "Placement", "Constraints"];
    whole("constraints", path, want(workload.constraints.clone()), json!([CONSTRAINT_AT_CREATION]))
        .with_equivalence(Equivalence::Constraints)
        .absent_means(json!([]))
}

fn preferences(workload: &Workload) -> Field {
    let spread = |label: &String| json!({"Spread": {"SpreadDescriptor": label}});
    let declared = workload.placement_preferences.as_ref().map(|labels| labels.iter().map(spread).collect::<Vec<_>>());
    whole("placementPreferences", &["TaskTemplate", "Placement", "Preferences"], want(declared), Value::Null).absent_means(json!([]))
}
