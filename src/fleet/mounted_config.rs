//! Chooses the rendered configuration that the proxy service mounts: the boot snapshot (`rollout: live`) or the
//! configuration itself (`rollout: replace`), as content-named config objects, together with the secrets that hold its
//! certificates.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::ShapeInput;
use super::config_parts::{self, ConfigPart, OBJECT_BYTES_MAX, PARTS_MAX};
use super::ownership_seal::{ObjectKind, SealedObject};
use super::spec_field::{Field, Role};
use super::{common_service_fields, enrolment_tokens, object_names, tls_mounts};
use crate::intent::cluster_spec::RolloutStrategy;
use crate::pki::ChannelRole;
use crate::protocol::boot_snapshot;
use crate::protocol::container_contract::{BOOT_FILE, LABEL_CONTENT, LABEL_MATERIAL};
use crate::protocol::messages::Bundle;
use crate::report::{Finding, Subject, cases};
use crate::swarm::{Config, Service};
use crate::types::{ClusterName, Digest};

/// A mounted boot snapshot that is older than this is replaced by the newest one, even though that replaces tasks: otherwise
/// its routes would drift ever further from the current ones. A week keeps such rollouts rare.
pub const BOOT_SNAPSHOT_AGE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A config object that may have to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigObject {
    /// Its name, which contains a digest of its content.
    pub name: String,
    /// Boot or live.
    pub role: Role,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The bundle it is made from. Encoded only when needed: most passes create nothing.
    bundle: Bundle,
    /// Its content, or its share of it, if it had to be encoded to determine the size.
    written: Option<Vec<u8>>,
}

impl ConfigObject {
    /// Its content, or its share of it.
    pub fn data(&self) -> Vec<u8> {
        self.written.clone().unwrap_or_else(|| content(self.role, &self.bundle))
    }
}

/// A boot snapshot is the whole bundle, which the agent reads; a mounted configuration is the engine's main file.
fn content(role: Role, bundle: &Bundle) -> Vec<u8> {
    match role {
        Role::Live => main_file(bundle).as_bytes().to_vec(),
        // A bundle consists of strings: serialising it cannot fail, nor can writing bytes to memory.
        _ => boot_snapshot::encode(bundle).unwrap_or_default(),
    }
}

fn main_file(bundle: &Bundle) -> &str {
    bundle.files.get(bundle.engine.main_file()).map_or("", String::as_str)
}

/// What the proxy service mounts: a configuration, together with the secrets that it names.
pub(super) struct MountedConfig {
    /// The fields `secrets` and `configs` for now. Empty if there is nothing to mount, so that the service must wait.
    pub now: Vec<Field>,
    /// The same fields with the newest content, if it differs.
    pub when_replaced: Vec<Field>,
    /// The objects that may have to be created.
    pub objects: Vec<ConfigObject>,
    /// Reports that the newest content does not fit.
    pub finding: Option<Finding>,
}

/// Chooses the configuration to mount. The secrets always change together with it: a configuration would not start without
/// its secrets.
pub(super) fn choose_config(input: &ShapeInput<'_>, service: Option<&Service>) -> MountedConfig {
    let (role, target, bundle) = match input.cluster.proxy.rollout {
        RolloutStrategy::Live => (Role::Boot, BOOT_FILE, input.boot),
        RolloutStrategy::Replace => (Role::Live, input.cluster.proxy.config_path.as_str(), input.live),
    };
    let mounted = service.and_then(|service| mounted_config(input, service, role, target));
    let news = bundle.filter(|bundle| !mounted.is_some_and(|config| holds(config, bundle)));
    let (objects, finding) = fitting(input, news.and_then(|bundle| object(input, role, bundle)));
    let mount = MountTarget { input, service, role, target };
    let latest_fields = objects.first().map(|first| fields(&mount, &first.name, None, &first.labels));
    let spare = mounted.or_else(|| newest_existing(input, role));
    let kept_fields = spare.map(|config| fields(&mount, &config.name, Some(&config.id.0), &config.labels));
    let keep = match (role, mounted) {
        (Role::Boot, Some(config)) => !is_too_old(input, config),
        _ => false,
    };
    let (now, when_replaced) = if keep { (kept_fields, latest_fields) } else { (latest_fields.or(kept_fields), None) };
    let when_replaced = when_replaced.filter(|fields| Some(fields) != now.as_ref()).unwrap_or_default();
    MountedConfig { now: now.unwrap_or_default(), when_replaced, objects, finding }
}

/// Swarm would refuse content above its limit on every pass: a boot snapshot is mounted in parts, up to the maximum number
/// of parts.
fn fitting(input: &ShapeInput<'_>, object: Option<ConfigObject>) -> (Vec<ConfigObject>, Option<Finding>) {
    let Some(object) = object else { return (Vec::new(), None) };
    let (cluster, snapshot) = (&input.cluster.name, input.snapshot);
    let sealed = |object: ConfigObject| {
        let labels = described(input, object.role, &object.name).seal(input.seals, object.labels);
        ConfigObject { labels, ..object }
    };
    let known = snapshot.configs.values().find(|config| config.name == object.name);
    let ours = |config: &&Config| described(input, object.role, &config.name).is_sealed(input.seals, &config.labels);
    let known = known.filter(ours).filter(|config| config_parts::is_whole(config, object.role, cluster, snapshot));
    let unpacked: usize = object.bundle.files.values().map(String::len).sum();
    // An object that Swarm has accepted fits, and content that fits without compression need not be compressed to find out.
    let written = (known.is_none() && unpacked >= OBJECT_BYTES_MAX / 2).then(|| content(object.role, &object.bundle));
    let bytes = written.as_ref().map_or(0, Vec::len);
    let count = known.map_or(bytes.div_ceil(OBJECT_BYTES_MAX).max(1), |config| config_parts::count(&config.labels));
    let most = if object.role == Role::Live { 1 } else { PARTS_MAX };
    if count > most {
        return (Vec::new(), Some(too_large(input, object.role, bytes, most)));
    }
    (ConfigPart::all(count).map(|part| sealed(object.part(part, cluster, written.as_deref()))).collect(), None)
}

impl ConfigObject {
    /// The given part, if this object is the whole.
    fn part(&self, part: ConfigPart, cluster: &ClusterName, written: Option<&[u8]>) -> Self {
        let name = part.name(&self.name, self.role, cluster);
        let labels = self.labels.clone().into_iter().chain(part.labels(&self.name)).collect();
        Self { name, labels, written: written.map(|content| part.share(content)), ..self.clone() }
    }
}

fn too_large(input: &ShapeInput<'_>, role: Role, bytes: usize, objects: usize) -> Finding {
    let (what, where_to, case) = match role {
        Role::Live => ("configuration", "a Swarm config object", cases::ConfigTooLarge::Configuration),
        _ => ("packed boot snapshot", "its four config objects", cases::ConfigTooLarge::BootSnapshot),
    };
    let most = objects * OBJECT_BYTES_MAX;
    let message = format!("The {what} has {bytes} bytes, but {where_to} can hold at most {most}; the mounted one, if any, stays in use.");
    let subject = Subject::Cluster(input.cluster.name.to_string());
    Finding::new(case, subject, message)
}

/// Whether a config has the same content as a bundle, regardless of when that was accepted.
fn holds(config: &Config, bundle: &Bundle) -> bool {
    let material = config.labels.get(LABEL_MATERIAL).map_or("", String::as_str);
    let content = config.labels.get(LABEL_CONTENT);
    content.is_some_and(|content| *content == bundle.digest.to_string()) && material == material_of(bundle)
}

fn is_too_old(input: &ShapeInput<'_>, config: &Config) -> bool {
    input.now.duration_since(config.created_at) > BOOT_SNAPSHOT_AGE_MAX
}

/// Our config that the service mounts at `target`.
fn mounted_config<'a>(input: &ShapeInput<'a>, service: &Service, role: Role, target: &str) -> Option<&'a Config> {
    let mounts = service.spec.pointer("/TaskTemplate/ContainerSpec/Configs")?.as_array()?;
    let mount = mounts.iter().find(|mount| mount.pointer("/File/Name").and_then(Value::as_str) == Some(target))?;
    let id = mount.get("ConfigID")?.as_str()?;
    whole_configs(input, role).find(|config| config.id.0 == id)
}

/// The newest of our existing configs: better than none if the proxies must start while the extension is silent.
fn newest_existing<'a>(input: &ShapeInput<'a>, role: Role) -> Option<&'a Config> {
    whole_configs(input, role).max_by_key(|config| (config.created_at, config.id.clone()))
}

fn described<'a>(input: &ShapeInput<'a>, role: Role, name: &'a str) -> SealedObject<'a> {
    let cluster = input.cluster.name.as_str();
    SealedObject { kind: ObjectKind::Config, instance: input.instance, cluster, role: role.as_str(), name }
}

fn whole_configs<'a>(input: &ShapeInput<'a>, role: Role) -> impl Iterator<Item = &'a Config> {
    let wanted = object_names::owner_labels(input.instance, Some(&input.cluster.name), role);
    let (snapshot, cluster) = (input.snapshot, &input.cluster.name);
    let ours = snapshot.configs.values().filter(move |config| wanted.iter().all(|(key, value)| config.labels.get(key) == Some(value)));
    // Another party may create a config with our labels that holds an old configuration.
    let ours = ours.filter(move |config| described(input, role, &config.name).is_sealed(input.seals, &config.labels));
    ours.filter(move |config| config_parts::is_whole(config, role, cluster, snapshot))
}

fn object(input: &ShapeInput<'_>, role: Role, bundle: &Bundle) -> Option<ConfigObject> {
    let is_of_cluster = bundle.cluster == input.cluster.name && bundle.engine == input.cluster.engine;
    if !is_of_cluster || !bundle.files.contains_key(bundle.engine.main_file()) {
        return None;
    }
    // The name covers the time, because an object that was mounted earlier would give proxies a time that is too early. It
    // also covers the material, because the same files may name a certificate that is now in another secret.
    let material = material_of(bundle);
    let content = Digest::of_json(&(bundle.version, &bundle.digest, bundle.accepted_at, bundle.generation, &material));
    let name = object_names::config_object(role, &input.cluster.name, &content);
    let mut labels = object_names::owner_labels(input.instance, Some(&input.cluster.name), role);
    labels.insert(LABEL_CONTENT.to_owned(), bundle.digest.to_string());
    labels.extend((!material.is_empty()).then(|| (LABEL_MATERIAL.to_owned(), material)));
    Some(ConfigObject { name, role, labels, bundle: bundle.clone(), written: None })
}

/// The ids of the objects whose contents the bundle's files need, as the label lists them.
fn material_of(bundle: &Bundle) -> String {
    let ids: BTreeSet<&str> = bundle.material.values().map(|material| material.secret.as_str()).collect();
    ids.into_iter().collect::<Vec<_>>().join(",")
}

fn id_of(input: &ShapeInput<'_>, role: Role, name: &str) -> String {
    // A config that this operator did not create is ignored: its name is then taken, which is reported.
    let sealed = |config: &&Config| described(input, role, &config.name).is_sealed(input.seals, &config.labels);
    let known = input.snapshot.configs.values().find(|config| config.name == name).filter(sealed);
    known.map_or_else(|| object_names::pending(name), |config| config.id.0.clone())
}

/// Where the proxies' configuration is mounted.
struct MountTarget<'a> {
    input: &'a ShapeInput<'a>,
    service: Option<&'a Service>,
    role: Role,
    target: &'a str,
}

/// The fields `secrets` and `configs` with the configuration whose first object has this name, and the material that its
/// labels list.
fn fields(mount: &MountTarget<'_>, name: &str, id: Option<&str>, labels: &BTreeMap<String, String>) -> Vec<Field> {
    let MountTarget { input, service, role, target } = mount;
    let config = |part: ConfigPart| {
        let (target, name) = (part.target(target), part.name(name, *role, &input.cluster.name));
        let id = id.filter(|_| part.index == 0).map_or_else(|| id_of(input, *role, &name), str::to_owned);
        let file = json!({"Name": target, "UID": "0", "GID": "0", "Mode": 0o444});
        (target, json!({"File": file, "ConfigID": id, "ConfigName": name}))
    };
    let configs = ConfigPart::all(config_parts::count(labels)).map(config);
    let material = labels.get(LABEL_MATERIAL).into_iter().flat_map(|ids| ids.split(','));
    // The extension decides what a configuration requests, but only material that services were granted may be mounted.
    let granted = material.filter(|id| tls_mounts::is_granted(input, *service, id));
    let mounts = tls_mounts::mounts(input.snapshot, *service, granted, tls_mounts::reader(input, Role::Proxy));
    let token = (input.cluster.proxy.rollout == RolloutStrategy::Live).then(|| enrolment_tokens::mount(input, ChannelRole::Proxy));
    let secrets = token.into_iter().chain(mounts.secrets).collect();
    vec![common_service_fields::secrets(secrets), common_service_fields::configs(configs.chain(mounts.configs).collect())]
}
