//! Which configs are read: those that services name in labels, and the operator's own. The Docker API returns a config only
//! together with its content, so a list of configs is as large as its creators make it. Other owners' configs are therefore
//! requested one by one, by full name, and only up to a limit. Names beyond the limit are ignored; a name that was within the
//! limit before must never be dropped.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::parse::field::{created_at, id, items, labels, text};
use super::{Labels, Service, Snapshot};
use crate::types::ObjectName;

/// The label that may name a config with a CA.
const LABEL: &str = "com.docker.lb.ssl_backend_tls_verify";
/// The label with the name of a stack, which prefixes the names of the stack's objects.
const STACK: &str = "com.docker.stack.namespace";
/// The label by which access control in front of the Docker API keeps teams apart.
const ACCESS: &str = "com.docker.ucp.access.label";
/// Values of the label that are not names of objects.
const KEYWORDS: &[&str] = &["none", "optional", "required", "require", "system", "true", "false"];

/// The maximum number of names, given to configs by labels, that are looked up.
pub const NAMED_CONFIGS_MAX: usize = 512;
/// The maximum number of these names per team: per access label, else per stack, else for all services without either.
pub const NAMED_CONFIGS_OF_A_TEAM_MAX: usize = 64;
/// The maximum number of configs that look like the operator's own and are read because services with its label mount them.
const MOUNTED_CONFIGS_MAX: usize = 256;
/// The prefix of the names of the operator's own configs.
pub const OWN_CONFIG_PREFIX: &str = "swarmgate-";
/// The label on every object that an operator owns.
pub const OWNER_LABEL: &str = "swarmgate.owner";

/// A service that may name a config.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ConfigReference {
    created_at: Timestamp,
    service: String,
    value: String,
    access: Option<String>,
    stack: Option<String>,
}

impl ConfigReference {
    fn of(created_at: Timestamp, service: &str, labels: &Labels) -> Option<Self> {
        let text = |key: &str| labels.get(key).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned);
        let value = text(LABEL).filter(|value| !KEYWORDS.contains(&value.to_ascii_lowercase().as_str()))?;
        ObjectName::parse(&value).ok()?;
        // Verbatim, including blanks: the names of a stack's objects are formed the same way.
        let stack = labels.get(STACK).filter(|stack| !stack.is_empty()).cloned();
        Some(Self { created_at, service: service.to_owned(), value, access: text(ACCESS), stack })
    }

    /// The team that owns it, as far as labels show.
    fn team(&self) -> (Option<&str>, Option<&str>) {
        (self.access.as_deref(), self.stack.as_deref().filter(|_| self.access.is_none()))
    }
}

/// What a value of the label can mean: a full name, or a name within the stack.
fn names(value: &str, stack: Option<&str>) -> impl Iterator<Item = String> {
    let in_stack = stack.map(|stack| format!("{stack}_{value}"));
    std::iter::once(value.to_owned()).chain(in_stack).filter(|name| ObjectName::parse(name).is_ok())
}

/// The names of configs that services may mean, both as full names and as names within their stacks. Some may be secrets, and
/// some may not exist. If the limits are exceeded, the oldest services take precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedConfigs(BTreeSet<String>);

impl NamedConfigs {
    /// Reads them from a list of services (`GET /services`).
    pub fn in_list(services: &[Value]) -> Self {
        let labelled = services.iter().filter(|service| service.pointer("/Spec/Labels").is_some_and(|labels| labels.get(LABEL).is_some()));
        let naming = |service| ConfigReference::of(created_at(service), &id(service)?, &labels(service, &["Spec", "Labels"]));
        Self::first(labelled.filter_map(naming).collect())
    }

    /// Reads them from a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let naming = |service: &Service| ConfigReference::of(service.created_at, &service.id.0, &service.labels);
        Self::first(snapshot.services.values().filter_map(naming).collect())
    }

    fn first(mut all: Vec<ConfigReference>) -> Self {
        all.sort();
        let (mut admitted, mut of_teams) = (BTreeSet::new(), BTreeMap::<_, usize>::new());
        for naming in &all {
            let its = (naming.value.as_str(), naming.stack.as_deref());
            let of_team = of_teams.entry(naming.team()).or_default();
            let has_room = admitted.len() < NAMED_CONFIGS_MAX && *of_team < NAMED_CONFIGS_OF_A_TEAM_MAX;
            if has_room && admitted.insert(its) {
                *of_team += 1;
            }
        }
        Self(admitted.into_iter().flat_map(|(value, stack)| names(value, stack)).collect())
    }

    /// The names.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.0
    }

    /// Whether every config is looked up that a service of this stack may mean by this value of the label.
    pub fn contain(&self, value: &str, stack: Option<&str>) -> bool {
        names(value, stack).all(|name| self.0.contains(&name))
    }
}

/// The ids of the configs that are named like an operator's own and mounted by services with its label. The oldest services
/// take precedence when the limit is reached, because anyone can put the label on a service.
pub fn mounted_configs(services: &[Value]) -> BTreeSet<String> {
    let mut ours: Vec<&Value> =
        services.iter().filter(|service| service.pointer("/Spec/Labels").is_some_and(|l| l.get(OWNER_LABEL).is_some())).collect();
    ours.sort_by_key(|service| (created_at(service), id(service)));
    let mounts = ours.into_iter().flat_map(|service| items(service, &["Spec", "TaskTemplate", "ContainerSpec", "Configs"]));
    let own = mounts.filter(|mount| text(mount, &["ConfigName"]).starts_with(OWN_CONFIG_PREFIX));
    let is_id = |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut ids = BTreeSet::new();
    for id in own.map(|mount| text(mount, &["ConfigID"])).filter(is_id) {
        if ids.len() < MOUNTED_CONFIGS_MAX {
            ids.insert(id.to_owned());
        }
    }
    ids
}

/// Whether a config (of `GET /configs`) has the label and a name of an operator's own configs. Anyone can create such a config.
pub fn looks_like_our_config(config: &Value) -> bool {
    let named = config.pointer("/Spec/Name").and_then(Value::as_str).is_some_and(|name| name.starts_with(OWN_CONFIG_PREFIX));
    named && config.pointer("/Spec/Labels").is_some_and(|labels| labels.get(OWNER_LABEL).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(labels: &Value, expected: &[&str]) {
        let services = [json!({"ID": "s", "Spec": {"Labels": labels}}), json!({"Spec": {}}), json!(null)];
        assert_eq!(NamedConfigs::in_list(&services).names().iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_valid_object_names_are_looked_up() {
        check(&json!({LABEL: "my-ca"}), &["my-ca"]);
        check(&json!({LABEL: " my-ca "}), &["my-ca"]);
        check(&json!({LABEL: "my-ca", STACK: "shop"}), &["my-ca", "shop_my-ca"]);
        for value in ["none", "Required", "true", "", "no name", "%22]}", "a/b", "..", "?x"] {
            check(&json!({LABEL: value}), &[]);
        }
        check(&json!({"com.docker.lb.ssl_cert": "my-cert"}), &[]);
    }

    /// Services of one team, each naming a different config, the oldest first.
    fn services(team: &str, count: usize, day: usize) -> Vec<Value> {
        let service = |n: usize| {
            let labels = json!({LABEL: format!("{team}-ca{n}"), ACCESS: format!("/{team}")});
            let created = format!("2026-01-{day:02}T00:{:02}:{:02}Z", n / 60, n % 60);
            json!({"ID": format!("{team}{n:03}"), "CreatedAt": created, "Spec": {"Labels": labels}})
        };
        (0..count).map(service).collect()
    }

    fn count(names: &NamedConfigs, team: &str) -> usize {
        names.names().iter().filter(|name| name.starts_with(team)).count()
    }

    #[test]
    fn if_a_team_names_too_many_configs_its_newest_names_are_ignored() {
        let many = [services("many", 100, 1), services("few", 3, 2)].concat();
        let named = NamedConfigs::in_list(&many);
        assert_eq!((count(&named, "many"), count(&named, "few")), (NAMED_CONFIGS_OF_A_TEAM_MAX, 3));
        assert!(named.contain("many-ca63", None) && !named.contain("many-ca64", None));
    }

    #[test]
    fn newer_services_never_displace_older_ones() {
        let crowd = |from: usize, to: usize, day| (from..to).flat_map(move |team| services(&format!("crowd{team:02}"), 64, day));
        let before: Vec<Value> = services("old", 10, 1).into_iter().chain(crowd(0, 7, 2)).collect();
        let after: Vec<Value> = crowd(7, 30, 3).chain(before.clone()).collect();
        let (before, after) = (NamedConfigs::in_list(&before), NamedConfigs::in_list(&after));
        assert!(before.names().is_subset(after.names()));
        assert_eq!((count(&after, "old"), after.names().len()), (10, NAMED_CONFIGS_MAX));
    }

    #[test]
    fn services_that_name_the_same_config_count_once() {
        let same = |n: usize| json!({"ID": format!("s{n}"), "Spec": {"Labels": {LABEL: "ca", STACK: "shop"}}});
        let named = NamedConfigs::in_list(&(0..1_000).map(same).collect::<Vec<_>>());
        assert_eq!(named.names().iter().collect::<Vec<_>>(), ["ca", "shop_ca"]);
        assert!(named.contain("ca", Some("shop")) && named.contain("ca", None) && !named.contain("ca", Some("bank")));
    }

    #[test]
    fn a_snapshot_yields_the_same_names_as_the_list() {
        let services = [services("one", 80, 1), services("two", 2, 2)].concat();
        let raw = crate::swarm::RawSnapshot {
            taken_at: Timestamp::UNIX_EPOCH,
            services: services.clone(),
            tasks: vec![],
            nodes: vec![],
            networks: vec![],
            configs: vec![],
            secrets: vec![],
        };
        assert_eq!(NamedConfigs::new(&Snapshot::from_raw(&raw).unwrap()), NamedConfigs::in_list(&services));
    }
}
