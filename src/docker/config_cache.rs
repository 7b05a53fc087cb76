//! The known configs. Docker returns a config with its content or not at all, and its filters match prefixes of names. So an
//! unchanged config is never requested twice, other owners' configs are requested one by one, and contents are dropped as they
//! arrive (`list_stream`); see `docs/decisions/configs-without-contents.md`. It must never take a config with another name for
//! the requested one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::config_events::ConfigChanges;
use super::http_call::ConfigBounds;
use crate::swarm::{NamedConfigs, OWN_CONFIG_PREFIX, SwarmError, SwarmErrorKind, looks_like_our_config, mounted_configs};

/// All configs that look like Swarmgate's own: `{"label":["swarmgate.owner"],"name":["swarmgate-"]}`; both filters must match.
pub const LIST: &str = "/configs?filters=%7B%22label%22%3A%5B%22swarmgate.owner%22%5D%2C%22name%22%3A%5B%22swarmgate-%22%5D%7D";
/// How much of that list is read, within the deadline of a call: enough for the boot snapshots of dozens of clusters, each at
/// most four objects of 1 MB.
pub const LIST_BOUNDS: ConfigBounds = ConfigBounds { read: 512 << 20, held: 32 << 20, time: Duration::from_secs(8) };
/// Swarm accepts no config larger than this, however it is encoded.
pub const ONE_BYTES_MAX: u64 = 8 << 20;
/// How many are requested concurrently.
pub const AT_ONCE: usize = 8;

/// How often the operator's own configs are listed: changes come from its own writes, and events report changes by people.
const LIST_EVERY: Duration = Duration::from_secs(600);
/// How soon a failed list is retried.
const LIST_AGAIN: Duration = Duration::from_secs(60);
/// How long an answer is valid while events would report a change: events can be lost.
const VALID_FOR: Duration = Duration::from_secs(300);
/// How long an answer is valid while no events are followed.
const VALID_FOR_WITHOUT_EVENTS: Duration = Duration::from_secs(10);
/// The maximum number of configs that look like the operator's own and are requested again because they changed.
const CHANGED_MAX: usize = 256;
/// The maximum size of the labels that are kept of other owners' configs, and of those that look like the operator's own, whose
/// labels name the TLS material of many hosts.
const LABEL_BYTES_MAX: usize = 64 << 10;
const OWN_LABEL_BYTES_MAX: usize = 512 << 10;

/// The key by which a config is requested.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigKey {
    /// Its id.
    Id(String),
    /// Its full name.
    Name(String),
}

impl ConfigKey {
    /// Docker looks up the key as an id, then as a name, then as a prefix of an id.
    fn is_of(&self, config: &Value) -> bool {
        match self {
            Self::Id(id) => id_of(config) == id,
            Self::Name(name) => name_of(config) == name,
        }
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Id(text) | Self::Name(text)) = self;
        f.write_str(text)
    }
}

/// Whether an error for a config means that no config has this name or id. Docker also rejects a name that is a prefix of
/// several ids; if those configs are many and large, with a different message.
pub fn is_absence(error: &SwarmError) -> bool {
    let has = |text: &str| error.message.contains(text);
    match error.kind {
        SwarmErrorKind::NotFound => true,
        SwarmErrorKind::Invalid => has("is ambiguous"),
        SwarmErrorKind::Other => has("ResourceExhausted"),
        _ => false,
    }
}

fn id_of(config: &Value) -> &str {
    config.get("ID").and_then(Value::as_str).unwrap_or_default()
}

fn name_of(config: &Value) -> &str {
    config.pointer("/Spec/Name").and_then(Value::as_str).unwrap_or_default()
}

/// The result of one request for a config.
#[derive(Debug)]
struct CachedConfig {
    at: Instant,
    config: Option<Value>,
}

/// The known configs, without their contents.
#[derive(Debug, Default)]
pub struct KnownConfigs {
    /// The configs that look like the operator's own, by id.
    ours: BTreeMap<String, Value>,
    /// When to list them next; `None` if they have not been listed yet.
    list_at: Option<Instant>,
    /// When a list was last attempted.
    tried_at: Option<Instant>,
    /// Whether the last list was complete.
    listed_all: bool,
    answers: BTreeMap<ConfigKey, CachedConfig>,
    /// Configs of ours that may have changed.
    changed: BTreeSet<ConfigKey>,
    following: bool,
}

impl KnownConfigs {
    /// Applies the changes since the last call.
    pub fn apply_changes(&mut self, changes: ConfigChanges) {
        self.following = changes.following;
        if changes.missed {
            self.answers.clear();
            let soon = self.tried_at.map(|at| at + LIST_AGAIN);
            self.list_at = self.list_at.map(|at| soon.map_or(at, |soon| at.min(soon)));
        }
        for (id, name) in changes.configs {
            let concerns =
                |key: &ConfigKey| matches!(key, ConfigKey::Id(its) if *its == id) || matches!(key, ConfigKey::Name(its) if *its == name);
            self.answers.retain(|key, answer| !concerns(key) && answer.config.as_ref().is_none_or(|config| id_of(config) != id));
            let known = self.ours.remove(&id).is_some();
            if (known || name.starts_with(OWN_CONFIG_PREFIX)) && self.changed.len() < CHANGED_MAX {
                self.changed.insert(if id.is_empty() { ConfigKey::Name(name) } else { ConfigKey::Id(id) });
            }
        }
    }

    /// Whether to list the operator's own configs now.
    pub fn must_list(&self, now: Instant) -> bool {
        self.list_at.is_none_or(|at| at <= now)
    }

    /// Records a list of the operator's own configs.
    pub fn listed(&mut self, list: Vec<Value>, all: bool, now: Instant) {
        if !all && (self.listed_all || self.list_at.is_none()) {
            tracing::warn!(
                bounds = ?LIST_BOUNDS,
                "too many configs have the label swarmgate.owner and a name like Swarmgate's own, so not all of them are read; Swarmgate \
                 knows its mounted configs, but may not remove others of its own. Look for configs of other programs: \
                 docker config ls --filter label=swarmgate.owner --filter name={OWN_CONFIG_PREFIX}"
            );
        }
        self.ours = list.into_iter().filter(looks_like_our_config).map(|config| (id_of(&config).to_owned(), config)).collect();
        self.listed_all = all;
        self.tried_at = Some(now);
        self.list_at = Some(now + LIST_EVERY);
    }

    /// Records a failed list. Earlier knowledge is kept, if there is any; otherwise returns the error.
    pub fn not_listed(&mut self, error: SwarmError, now: Instant) -> Result<(), SwarmError> {
        if self.list_at.is_none() {
            return Err(error);
        }
        tracing::warn!(%error, "cannot list Swarmgate's own configs; assuming that those of the last list still exist");
        self.tried_at = Some(now);
        self.list_at = Some(now + LIST_AGAIN);
        Ok(())
    }

    /// The configs that an observation of these services needs and that are not known.
    pub fn missing(&mut self, services: &[Value], now: Instant) -> Vec<ConfigKey> {
        let named = NamedConfigs::in_list(services).names().iter().cloned().map(ConfigKey::Name).collect::<Vec<_>>();
        let mounted = mounted_configs(services).into_iter().filter(|id| !self.ours.contains_key(id)).map(ConfigKey::Id);
        let wanted: BTreeSet<ConfigKey> = named.into_iter().chain(mounted).collect();
        let valid_for = if self.following { VALID_FOR } else { VALID_FOR_WITHOUT_EVENTS };
        self.answers.retain(|key, answer| wanted.contains(key) && now.duration_since(answer.at) < valid_for);
        let unknown = wanted.into_iter().filter(|key| !self.answers.contains_key(key));
        unknown.chain(self.changed.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Records the answer to a request.
    pub fn answered(&mut self, key: ConfigKey, config: Option<Value>, now: Instant) {
        let config = config.filter(|config| key.is_of(config));
        if self.changed.remove(&key) {
            let ours = config.filter(looks_like_our_config);
            self.ours.extend(ours.map(|config| (id_of(&config).to_owned(), config)));
        } else {
            self.answers.insert(key, CachedConfig { at: now, config });
        }
    }

    /// All configs known now.
    pub fn all(&self) -> Vec<Value> {
        let requested = self.answers.iter().filter_map(|(key, answer)| answer.config.as_ref().filter(|config| is_shown(key, config)));
        let by_id = requested.chain(self.ours.values()).map(|config| (id_of(config), config)).collect::<BTreeMap<_, _>>();
        by_id.into_values().cloned().collect()
    }
}

/// Whether a service names it, or it looks like the operator's own.
fn is_shown(key: &ConfigKey, config: &Value) -> bool {
    matches!(key, ConfigKey::Name(_)) || looks_like_our_config(config)
}

/// Reduces a config to the fields that are read: drops its content, and if its labels are very many or large, all labels
/// without a meaning here.
pub fn without_data(mut config: Value) -> Value {
    let most = if looks_like_our_config(&config) { OWN_LABEL_BYTES_MAX } else { LABEL_BYTES_MAX };
    let mut labels = config.pointer_mut("/Spec/Labels").map(Value::take).unwrap_or_default();
    let size = |key: &str, value: &Value| key.len() + value.as_str().map_or(0, str::len);
    if let Some(labels) = labels.as_object_mut().filter(|labels| labels.iter().map(|(key, value)| size(key, value)).sum::<usize>() > most) {
        let mut left = most;
        labels.retain(|key, value| {
            let room = left.checked_sub(size(key, value)).filter(|_| key.starts_with("swarmgate.") || key.starts_with("com.docker."));
            left = room.unwrap_or(left);
            room.is_some()
        });
    }
    let kept = |key: &str| config.get(key).cloned().unwrap_or_default();
    let name = config.pointer("/Spec/Name").cloned().unwrap_or_default();
    json!({"ID": kept("ID"), "Version": kept("Version"), "CreatedAt": kept("CreatedAt"), "Spec": {"Name": name, "Labels": labels}})
}

#[cfg(test)]
mod tests;
