//! Which rendered configuration the proxy service mounts: the boot snapshot (`rollout: live`) or the configuration
//! itself (`rollout: replace`), as content-named config objects.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::ShapeInput;
use super::field::{Entries, Field, FieldValue, KeyedBy, Role};
use super::names;
use crate::channel::boot;
use crate::channel::contract::{BOOT_FILE, ENGINE_MAIN_FILE, LABEL_CONTENT};
use crate::channel::wire::Bundle;
use crate::intent::cluster_spec::Rollout;
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::{Config, Service};
use crate::types::Digest;

/// A mounted boot snapshot that is older than this is replaced by the newest one, even though that replaces tasks: its
/// routes would otherwise drift ever further from the truth. A week keeps such a rollout rare.
pub const BOOT_SNAPSHOT_AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Swarm's limit for the content of a config object, in bytes.
pub const OBJECT_BYTES_MAX: usize = 1_023_999;

/// A config object that may have to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigObject {
    /// Its name, which holds a digest of its content.
    pub name: String,
    /// Boot or live.
    pub role: Role,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is made of. Written out only when it is needed: most passes create nothing.
    bundle: Bundle,
}

impl ConfigObject {
    /// Its content: a boot snapshot is the whole bundle, read by the agent; a mounted configuration is the engine's main file.
    pub fn data(&self) -> Vec<u8> {
        match self.role {
            Role::Live => main_file(&self.bundle).as_bytes().to_vec(),
            // A bundle is made of strings: nothing in it fails to serialise, and memory does not fail to take bytes.
            _ => boot::encode(&self.bundle).unwrap_or_default(),
        }
    }
}

fn main_file(bundle: &Bundle) -> &str {
    bundle.files.get(ENGINE_MAIN_FILE).map_or("", String::as_str)
}

/// What the proxy service mounts.
pub(super) struct Mounted {
    /// The field `configs` as it must be now; `None`: there is nothing to mount, so the service must wait.
    pub now: Option<Field>,
    /// The field with the newest content, if that is another.
    pub when_replaced: Option<Field>,
    /// The object that may have to be created.
    pub object: Option<ConfigObject>,
    /// That the newest content does not fit into an object, if so.
    pub finding: Option<Finding>,
}

/// Chooses the config to mount.
pub(super) fn choose(input: &ShapeInput<'_>, service: Option<&Service>) -> Mounted {
    let (role, target, bundle) = match input.cluster.proxy.rollout {
        Rollout::Live => (Role::Boot, BOOT_FILE, input.boot),
        Rollout::Replace => (Role::Live, input.cluster.proxy.config_path.as_str(), input.live),
    };
    let mounted = service.and_then(|service| mounted_config(input, service, role, target));
    let news = bundle.filter(|bundle| !mounted.is_some_and(|config| holds(config, bundle)));
    let (newest, finding) = fitting(input, news.and_then(|bundle| object(input, role, bundle)));
    let latest_field = newest.as_ref().map(|object| field(target, &object.name, &id_of(input, &object.name)));
    let spare = mounted.or_else(|| newest_existing(input, role));
    let kept_field = spare.map(|config| field(target, &config.name, &config.id.0));
    let keep = match (role, mounted) {
        (Role::Boot, Some(config)) => !is_too_old(input, config),
        _ => false,
    };
    let (now, when_replaced) = if keep { (kept_field, latest_field) } else { (latest_field.or(kept_field), None) };
    Mounted { when_replaced: when_replaced.filter(|field| Some(field) != now.as_ref()), now, object: newest, finding }
}

/// A mounted configuration that exceeds Swarm's limit would be refused on every pass. A boot snapshot is compressed.
fn fitting(input: &ShapeInput<'_>, object: Option<ConfigObject>) -> (Option<ConfigObject>, Option<Finding>) {
    let bytes = object.as_ref().map_or(0, |object| main_file(&object.bundle).len());
    match object {
        Some(object) if object.role == Role::Live && bytes > OBJECT_BYTES_MAX => (None, Some(too_large(input, bytes))),
        object => (object, None),
    }
}

fn too_large(input: &ShapeInput<'_>, bytes: usize) -> Finding {
    Finding::new(
        Severity::Error,
        FindingCode::ConfigTooLarge,
        Subject::Cluster(input.cluster.name.to_string()),
        format!("The configuration has {bytes} bytes and a Swarm config object at most {OBJECT_BYTES_MAX}; the mounted one stays."),
        "Use `rollout: live`, or spread the services over several clusters.",
    )
}

/// Whether a config says the same as a bundle, whenever that was accepted.
fn holds(config: &Config, bundle: &Bundle) -> bool {
    config.labels.get(LABEL_CONTENT).is_some_and(|content| *content == bundle.digest.to_string())
}

fn is_too_old(input: &ShapeInput<'_>, config: &Config) -> bool {
    input.now.duration_since(config.created_at) > BOOT_SNAPSHOT_AGE_MAX
}

/// The config of ours that the service mounts at `target`.
fn mounted_config<'a>(input: &ShapeInput<'a>, service: &Service, role: Role, target: &str) -> Option<&'a Config> {
    let mounts = service.spec.pointer("/TaskTemplate/ContainerSpec/Configs")?.as_array()?;
    let mount = mounts.iter().find(|mount| mount.pointer("/File/Name").and_then(Value::as_str) == Some(target))?;
    let id = mount.get("ConfigID")?.as_str()?;
    own_configs(input, role).find(|config| config.id.0 == id)
}

/// The newest config of ours that is there: better than none when the proxies must start while the extension is silent.
fn newest_existing<'a>(input: &ShapeInput<'a>, role: Role) -> Option<&'a Config> {
    own_configs(input, role).max_by_key(|config| (config.created_at, config.id.clone()))
}

fn own_configs<'a>(input: &ShapeInput<'a>, role: Role) -> impl Iterator<Item = &'a Config> {
    let wanted = names::owner_labels(input.instance, Some(&input.cluster.name), role);
    let configs = input.snapshot.configs.values();
    configs.filter(move |config| wanted.iter().all(|(key, value)| config.labels.get(key) == Some(value)))
}

fn object(input: &ShapeInput<'_>, role: Role, bundle: &Bundle) -> Option<ConfigObject> {
    if bundle.cluster != input.cluster.name || !bundle.files.contains_key(ENGINE_MAIN_FILE) {
        return None;
    }
    // The time belongs to the name: an object that was mounted earlier would tell proxies a time that is too early.
    let content = Digest::of_json(&(bundle.version, &bundle.digest, bundle.accepted_at));
    let name = names::config_object(role, &input.cluster.name, &content);
    let mut labels = names::owner_labels(input.instance, Some(&input.cluster.name), role);
    labels.insert(LABEL_CONTENT.to_owned(), bundle.digest.to_string());
    Some(ConfigObject { name, role, labels, bundle: bundle.clone() })
}

fn id_of(input: &ShapeInput<'_>, name: &str) -> String {
    let known = input.snapshot.configs.values().find(|config| config.name == name);
    known.map_or_else(|| names::pending(name), |config| config.id.0.clone())
}

fn field(target: &str, name: &str, id: &str) -> Field {
    let file = json!({"Name": target, "UID": "0", "GID": "0", "Mode": 0o444});
    let entry = json!({"File": file, "ConfigID": id, "ConfigName": name});
    Field {
        name: "configs",
        path: &["TaskTemplate", "ContainerSpec", "Configs"],
        value: FieldValue::Keyed(Entries { by: KeyedBy::FileName, entries: vec![(target.to_owned(), entry)] }),
    }
}
