//! What is known of configs. Docker gives a config with its content or not at all, and finds them by the beginnings of names:
//! so nothing is asked for twice that did not change, others' configs are asked for one by one, and what is in them is let
//! go as it comes (`items`). `docs/decisions/configs-without-contents.md` says why. It must never take a config of another name for
//! the one that was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::config_events::ConfigChanges;
use super::http_call::ConfigBounds;
use crate::swarm::{NamedConfigs, OWN_CONFIG_PREFIX, SwarmError, SwarmErrorKind, looks_like_our_config, mounted_configs};

/// Of Swarmgate's own, all that look like them: `{"label":["swarmgate.owner"],"name":["swarmgate-"]}`, both of which hold.
pub const LIST: &str = "/configs?filters=%7B%22label%22%3A%5B%22swarmgate.owner%22%5D%2C%22name%22%3A%5B%22swarmgate-%22%5D%7D";
/// How much of that list is read, within the time that a call has: the boot snapshots of dozens of clusters, at most four objects of 1 MB for each.
pub const LIST_BOUNDS: ConfigBounds = ConfigBounds { read: 512 << 20, held: 32 << 20, time: Duration::from_secs(8) };
/// Swarm takes no config of which there is more, however it is written.
pub const ONE_BYTES_MAX: u64 = 8 << 20;
/// So many are asked for at the same time.
pub const AT_ONCE: usize = 8;

/// The operator's own are listed so often: their changes are its own writes, and events tell of people's.
const LIST_EVERY: Duration = Duration::from_secs(600);
/// A list that failed is tried again after this time.
const LIST_AGAIN: Duration = Duration::from_secs(60);
/// An answer is believed for so long while events would tell of a change: events can be lost.
const BELIEVED: Duration = Duration::from_secs(300);
/// And while none would.
const BELIEVED_UNHEARD: Duration = Duration::from_secs(10);
/// So many that look like the operator's own are asked for because something changed.
const CHANGED_MAX: usize = 256;
/// What of labels is held of others' configs, and of those that look like the operator's own: these name the material of
/// many hosts.
const LABEL_BYTES_MAX: usize = 64 << 10;
const OWN_LABEL_BYTES_MAX: usize = 512 << 10;

/// What a config is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigKey {
    /// Its id.
    Id(String),
    /// Its full name.
    Name(String),
}

impl ConfigKey {
    /// Docker takes what it is asked for as an id, then as a name, then as the beginning of an id.
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

/// Whether a refusal to show a config means that there is none of this name or id. What begins like a name and is the
/// beginning of several ids is refused, too, in other words where these are many and large.
pub fn is_absence(error: &SwarmError) -> bool {
    let says = |words: &str| error.message.contains(words);
    match error.kind {
        SwarmErrorKind::NotFound => true,
        SwarmErrorKind::Invalid => says("is ambiguous"),
        SwarmErrorKind::Other => says("ResourceExhausted"),
        _ => false,
    }
}

fn id_of(config: &Value) -> &str {
    config.get("ID").and_then(Value::as_str).unwrap_or_default()
}

fn name_of(config: &Value) -> &str {
    config.pointer("/Spec/Name").and_then(Value::as_str).unwrap_or_default()
}

/// What one question for a config found.
#[derive(Debug)]
struct CachedConfig {
    at: Instant,
    config: Option<Value>,
}

/// What is known of configs, without what is in them.
#[derive(Debug, Default)]
pub struct KnownConfigs {
    /// Those that look like the operator's own, by id.
    ours: BTreeMap<String, Value>,
    /// When they are listed next; none: they were not yet.
    list_at: Option<Instant>,
    /// When a list was last tried.
    tried_at: Option<Instant>,
    /// Whether the last list held all of them.
    listed_all: bool,
    answers: BTreeMap<ConfigKey, CachedConfig>,
    /// Something may have happened to these of ours.
    changed: BTreeSet<ConfigKey>,
    following: bool,
}

impl KnownConfigs {
    /// Takes into account what happened since.
    pub fn hear(&mut self, changes: ConfigChanges) {
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

    /// Whether the operator's own are listed now.
    pub fn must_list(&self, now: Instant) -> bool {
        self.list_at.is_none_or(|at| at <= now)
    }

    /// The operator's own were listed.
    pub fn listed(&mut self, list: Vec<Value>, all: bool, now: Instant) {
        if !all && (self.listed_all || self.list_at.is_none()) {
            tracing::warn!(
                bounds = ?LIST_BOUNDS,
                "the configs with the label swarmgate.owner and names like Swarmgate's own are more than what is read of them; of \
                 Swarmgate's own those that are mounted are known, and others perhaps not removed. Look for strangers': \
                 docker config ls --filter label=swarmgate.owner --filter name={OWN_CONFIG_PREFIX}"
            );
        }
        self.ours = list.into_iter().filter(looks_like_our_config).map(|config| (id_of(&config).to_owned(), config)).collect();
        self.listed_all = all;
        self.tried_at = Some(now);
        self.list_at = Some(now + LIST_EVERY);
    }

    /// They could not be listed. What was known of them will do, if anything was.
    pub fn not_listed(&mut self, error: SwarmError, now: Instant) -> Result<(), SwarmError> {
        if self.list_at.is_none() {
            return Err(error);
        }
        tracing::warn!(%error, "Swarmgate's own configs cannot be listed; those of the last list are believed to be there");
        self.tried_at = Some(now);
        self.list_at = Some(now + LIST_AGAIN);
        Ok(())
    }

    /// What a look at these services must know and does not.
    pub fn missing(&mut self, services: &[Value], now: Instant) -> Vec<ConfigKey> {
        let named = NamedConfigs::in_list(services).names().iter().cloned().map(ConfigKey::Name).collect::<Vec<_>>();
        let mounted = mounted_configs(services).into_iter().filter(|id| !self.ours.contains_key(id)).map(ConfigKey::Id);
        let wanted: BTreeSet<ConfigKey> = named.into_iter().chain(mounted).collect();
        let believed = if self.following { BELIEVED } else { BELIEVED_UNHEARD };
        self.answers.retain(|key, answer| wanted.contains(key) && now.duration_since(answer.at) < believed);
        let unknown = wanted.into_iter().filter(|key| !self.answers.contains_key(key));
        unknown.chain(self.changed.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A question was answered.
    pub fn answered(&mut self, key: ConfigKey, config: Option<Value>, now: Instant) {
        let config = config.filter(|config| key.is_of(config));
        if self.changed.remove(&key) {
            let ours = config.filter(looks_like_our_config);
            self.ours.extend(ours.map(|config| (id_of(&config).to_owned(), config)));
        } else {
            self.answers.insert(key, CachedConfig { at: now, config });
        }
    }

    /// All that is known now.
    pub fn all(&self) -> Vec<Value> {
        let asked = self.answers.iter().filter_map(|(key, answer)| answer.config.as_ref().filter(|config| is_shown(key, config)));
        let by_id = asked.chain(self.ours.values()).map(|config| (id_of(config), config)).collect::<BTreeMap<_, _>>();
        by_id.into_values().cloned().collect()
    }
}

/// Whether somebody names it, or it looks like the operator's own.
fn is_shown(key: &ConfigKey, config: &Value) -> bool {
    matches!(key, ConfigKey::Name(_)) || looks_like_our_config(config)
}

/// What of a config anybody reads: not what is in it, and of very many or large labels only those that mean something here.
pub fn slim(mut config: Value) -> Value {
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
