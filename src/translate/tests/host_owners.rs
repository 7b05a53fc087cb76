//! A service that had a host at the last pass keeps it, even if an older one requests it later, and also after a restart.

mod allow_entries;
mod any_changes;
mod claim_limits;
mod label_capacity;

use super::*;
use crate::intent::hosts::{HostRule, HostRules};
use crate::intent::hosts_spec::Sharing;
use crate::protocol::container_contract::{LABEL_CLUSTER, LABEL_HOST_HOLDERS, LABEL_OWNER};
use crate::swarm::{Service, VirtualIp};
use crate::translate::host_owners::LABEL_BYTES_MAX;
use crate::types::{ContextPath, HostGlob, HostKey, ServiceGlob, ServiceId};

/// A Swarm that changes from pass to pass. The services are named by their age: `a` is the oldest.
struct PassSequence {
    cluster: Cluster,
    snapshot: Snapshot,
    host_owners: Option<HostOwners>,
    label: Option<String>,
}

impl PassSequence {
    fn of(cluster: Cluster) -> Self {
        Self { cluster, snapshot: snapshot("{networks: [net]}"), host_owners: None, label: None }
    }

    fn requests(&mut self, name: &str, stack: &str, labels: &[(&str, &str)]) -> &mut Self {
        let stack = (!stack.is_empty()).then(|| ("com.docker.stack.namespace".to_owned(), stack.to_owned()));
        let port = ("com.docker.lb.port".to_owned(), "80".to_owned());
        let own = labels.iter().map(|(key, value)| (label_key(key), (*value).to_owned()));
        self.service(name, own.chain(stack).chain([port]).collect())
    }

    fn service(&mut self, name: &str, labels: BTreeMap<String, String>) -> &mut Self {
        let network = NetworkId("id-net".to_owned());
        let minutes = i64::from(name.as_bytes()[0]);
        let service = Service {
            id: ServiceId(format!("id-{name}")),
            name: name.to_owned(),
            version: 1,
            created_at: self.snapshot.taken_at + jiff::SignedDuration::from_mins(minutes),
            labels,
            spec: serde_json::Value::Null,
            previous_spec: None,
            networks: vec![network.clone()],
            vip_mode: true,
            virtual_ips: vec![VirtualIp { network, address: std::net::Ipv4Addr::LOCALHOST.into() }],
            ports: Vec::new(),
            replicas: Some(2),
            update_status: None,
        };
        self.snapshot.services.insert(service.id.clone(), service);
        self
    }

    fn leaves(&mut self, name: &str) -> &mut Self {
        self.snapshot.services.remove(&ServiceId(format!("id-{name}")));
        self
    }

    /// One pass of the operator, which records what must be remembered.
    fn pass(&mut self) -> Translation {
        let mut translation = self.translate();
        self.host_owners = Some(std::mem::take(&mut translation.host_owners));
        self.label.clone_from(&translation.remembered_hosts);
        self.write();
        translation
    }

    fn translate(&self) -> Translation {
        match &self.host_owners {
            Some(host_owners) => translate_after(&self.cluster, &self.snapshot, host_owners),
            None => translate(&self.cluster, &self.snapshot),
        }
    }

    fn write(&mut self) {
        let ours = [(LABEL_OWNER, "swarmgate"), (LABEL_CLUSTER, "default")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let note = self.label.clone().map(|label| (LABEL_HOST_HOLDERS.to_owned(), label));
        let name = self.cluster.extension.service_name.to_string();
        self.service(&name, ours.into_iter().chain(note).collect());
        let extension = ServiceId(format!("id-{name}"));
        // It is only on our own network.
        self.snapshot.services.get_mut(&extension).unwrap().networks.clear();
    }

    fn restart(&mut self) -> &mut Self {
        self.host_owners = None;
        self
    }

    /// Passes again, and again after a restart: neither may change anything.
    fn settled(&mut self) -> Translation {
        let first = self.pass();
        let again = self.pass();
        assert_eq!(shown(&first), shown(&again), "a second pass decides the same");
        assert_eq!(first.remembered_hosts, again.remembered_hosts);
        let restarted = self.restart().pass();
        assert_eq!(shown(&first), shown(&restarted), "so does an operator that was started again, from {:?}", self.label);
        assert_eq!(first.remembered_hosts, restarted.remembered_hosts);
        first
    }

    /// Checks the services that answer for a host, in the order in which their settings have precedence.
    fn check(&mut self, name: &str, expected: &[&str]) -> &mut Self {
        let translation = self.settled();
        let paths = translation.table.hosts.get(&host(name)).map(|host| &host.paths[&ContextPath::root()].backend.services);
        let services: Vec<&str> = paths.into_iter().flatten().map(|service| service.name.as_str()).collect();
        assert_eq!(services, expected, "{name}");
        self
    }
}

type TranslationView<'a> = (&'a crate::route::RouteTable, &'a [Finding], &'a [RouteReport], &'a NotAdmitted);

fn shown(translation: &Translation) -> TranslationView<'_> {
    (&translation.table, &translation.findings, &translation.routes, &translation.not_admitted)
}

fn rules(sharing: Sharing, allow: Option<Vec<HostRule>>) -> Cluster {
    Cluster { hosts: HostRules { allow, default_backend: None, sharing }, ..cluster() }
}

fn story(sharing: Sharing) -> PassSequence {
    PassSequence::of(rules(sharing, None))
}

fn named(host: &str, services: &[&str]) -> HostRule {
    let services = services.iter().map(|name| ServiceGlob::parse(name).unwrap()).collect::<Vec<_>>();
    HostRule { host: HostGlob::parse(host).unwrap(), services: (!services.is_empty()).then_some(services), networks: None }
}

const H: &[(&str, &str)] = &[("hosts", "h.test")];
const OTHER: &[(&str, &str)] = &[("hosts", "other.test")];
const BOTH: &[(&str, &str)] = &[("hosts", "other.test,h.test")];

#[test]
fn an_older_service_that_claims_a_host_later_does_not_get_it() {
    let mut story = story(Sharing::SameStack);
    story.requests("a", "old", OTHER).requests("b", "shop", H).check("h.test", &["b"]);
    assert_eq!(story.label, None, "ages give the same result");
    story.requests("a", "old", BOTH).check("h.test", &["b"]).check("other.test", &["a"]);
    let translation = story.translate();
    let taken = translation.findings.iter().find(|finding| finding.code == FindingCode::HostTaken).unwrap();
    assert!(taken.subject.to_string() == "service a" && taken.message.contains("the service b of another stack published it first"));
    assert!(story.label.as_deref().is_some_and(|label| label.contains("h.test") && label.contains("id-b") && !label.contains("id-a")));
    // A service that no longer has it, because it gave it up or is gone, has no precedence.
    story.requests("b", "shop", OTHER).check("h.test", &["a"]);
    assert_eq!(story.label, None);
    story.requests("b", "shop", BOTH).check("h.test", &["a"]);
    story.leaves("a").check("h.test", &["b"]).requests("a", "old", BOTH).check("h.test", &["b"]).leaves("b").check("h.test", &["a"]);
}

#[test]
fn a_replaced_stack_keeps_its_host_if_it_never_disappears() {
    let mut story = story(Sharing::SameStack);
    story.requests("a", "old", OTHER).requests("b", "shop", H).check("h.test", &["b"]).requests("a", "old", BOTH).check("h.test", &["b"]);
    story.requests("c", "shop", H).check("h.test", &["b", "c"]).leaves("b").check("h.test", &["c"]);
    story.leaves("c").requests("d", "shop", H).check("h.test", &["a"]);
}

#[test]
fn within_one_team_age_still_decides() {
    let mut story = story(Sharing::SameStack);
    story.requests("b", "shop", H).check("h.test", &["b"]).requests("a", "shop", H).check("h.test", &["a", "b"]);
    assert_eq!(story.label, None);
}

#[test]
fn settings_of_the_owners_take_precedence_over_those_of_guests() {
    let mut story = story(Sharing::Anyone);
    story.requests("a", "old", OTHER).requests(
        "b",
        "shop",
        &[("hosts", "h.test"), ("sticky_session_cookie", "b"), ("redirects", "http://h.test/x,http://b.test")],
    );
    story.check("h.test", &["b"]);
    let older = [("hosts", "h.test"), ("sticky_session_cookie", "a"), ("redirects", "http://h.test/x,http://a.test")];
    story.requests("a", "old", &older).check("h.test", &["b", "a"]);
    let translation = story.translate();
    let site = &translation.table.hosts[&host("h.test")];
    assert_eq!(site.redirects[0].target.to_string(), "http://b.test");
    assert_eq!(
        site.paths[&ContextPath::root()].backend.affinity,
        crate::route::Affinity::Cookie(crate::types::CookieName::parse("b").unwrap())
    );
    let conflicts = translation.findings.iter().filter(|finding| finding.code == FindingCode::ConflictingSetting);
    assert!(conflicts.into_iter().all(|finding| finding.subject.to_string() == "service a" && finding.message.starts_with("service b ")));
    // Where only services are admitted that entries name, the host stays with its owner, too.
    story.cluster = rules(Sharing::Allowed, Some(vec![named("*", &[]), named("h.test", &["a"])]));
    story.check("h.test", &["b", "a"]);
    story.cluster = rules(Sharing::SameStack, None);
    story.check("h.test", &["b"]);
}

#[test]
fn a_wildcard_and_the_names_below_it() {
    let below = [("hosts", "x.w.test")];
    let wildcard = [("hosts", "*.w.test")];
    let hosts = |story: &mut PassSequence| story.settled().table.hosts.keys().map(ToString::to_string).collect::<Vec<_>>();
    // An older service adds a name below a younger one's wildcard.
    let mut story = story(Sharing::SameStack);
    story.requests("a", "old", OTHER).requests("b", "shop", &wildcard).pass();
    story.requests("a", "old", &below);
    assert_eq!(hosts(&mut story), ["*.w.test"]);
    assert!(story.label.as_deref().is_some_and(|label| label.contains("x.w.test")));
    // An older service adds a wildcard above a younger one's name: both keep what they had.
    let mut story = self::story(Sharing::SameStack);
    story.requests("a", "old", OTHER).requests("b", "shop", &below).pass();
    story.requests("a", "old", &wildcard).check("x.w.test", &["b"]);
    assert_eq!(hosts(&mut story), ["*.w.test", "x.w.test"]);
    // A third service that asks for the name when it is free gets it, whatever wildcard covers it.
    story.requests("0", "third", &below).check("x.w.test", &["b"]).leaves("b").check("x.w.test", &[]);
    // And an older service does not take over the wildcard itself.
    story.requests("0", "third", &wildcard).check("*.w.test", &["a"]);
}

#[test]
fn the_default_backend_is_kept_like_a_host() {
    let default = [("default_backend", "true")];
    let mut story = story(Sharing::SameStack);
    story.requests("a", "old", OTHER).requests("b", "shop", &default).pass();
    story.requests("a", "old", &default);
    assert_eq!(default_services(&story.settled()), ["b"]);
    assert_eq!(codes(&story.translate()).iter().filter(|code| **code == FindingCode::SecondDefaultBackend).count(), 1);
    story.leaves("b");
    assert_eq!(default_services(&story.settled()), ["a"]);
}

#[test]
fn a_service_named_by_an_entry_takes_precedence_over_earlier_owners() {
    let mut story = story(Sharing::SameStack);
    story.requests("a", "squat", H).requests("b", "shop", H).check("h.test", &["a"]);
    story.cluster = rules(Sharing::SameStack, Some(vec![named("*", &[]), named("h.test", &["b"])]));
    story.check("h.test", &["b"]);
    // The entry has taken effect.
    story.cluster = rules(Sharing::SameStack, None);
    story.check("h.test", &["b"]);
}

#[test]
fn an_invalid_label_is_ignored_and_that_of_another_service_is_not_read() {
    let honest = |story: &mut PassSequence| {
        story.requests("a", "old", OTHER).requests("b", "shop", H).pass();
        story.requests("a", "old", BOTH).check("h.test", &["b"]);
    };
    let long = format!(r#"{{"holders":[{{"services":["id-b"],"hosts":["h.test"{}]}}]}}"#, r#","x.test""#.repeat(LABEL_BYTES_MAX / 9));
    for label in
        ["", "nonsense", "[]", "{\"holders\":7}", r#"{"holders":[{"services":["id-b"],"hosts":["not a host"]}]}"#, r#"{"more":1}"#, &long]
    {
        let mut story = story(Sharing::SameStack);
        honest(&mut story);
        story.label = Some(label.to_owned());
        story.write();
        story.restart().check("h.test", &["a"]);
    }
    for other in [LABEL_OWNER, LABEL_CLUSTER] {
        let mut story = story(Sharing::SameStack);
        honest(&mut story);
        let extension = ServiceId("id-swarmgate-extension-default".to_owned());
        story.snapshot.services.get_mut(&extension).unwrap().labels.remove(other);
        story.restart().check("h.test", &["a"]);
    }
    // It gives no host to services that do not ask, and names none that are gone.
    let mut story = story(Sharing::SameStack);
    honest(&mut story);
    story.label = Some(r#"{"late":["gone"],"holders":[{"services":["gone","id-b"],"hosts":["other.test","gone.test"]}]}"#.to_owned());
    story.write();
    story.restart().check("other.test", &["a"]).check("h.test", &["a"]).check("gone.test", &[]);
}

fn with_access(stack: Option<&str>, access: Option<&str>, hosts: &str) -> BTreeMap<String, String> {
    let labels = [("hosts", hosts), ("port", "80")].map(|(key, value)| (label_key(key), value.to_owned()));
    let stack = stack.map(|stack| ("com.docker.stack.namespace".to_owned(), stack.to_owned()));
    let access = access.map(|access| ("com.docker.ucp.access.label".to_owned(), access.to_owned()));
    labels.into_iter().chain(stack).chain(access).collect()
}

/// `d` has a name through its wildcard and an entry, which makes no service first where hosts can be shared. Nor does that
/// move the name to another team for which the wildcard's oldest service stands.
#[test]
fn the_first_owner_through_a_wildcard_stays_first_when_sharing_changes() {
    for (shared, restarts) in [(Sharing::Allowed, false), (Sharing::Allowed, true), (Sharing::Anyone, false), (Sharing::Anyone, true)] {
        let entry = || Some(vec![named("*", &[]), named("*.w.test", &["d"])]);
        let mut story = PassSequence::of(rules(Sharing::SameStack, entry()));
        story.service("a", with_access(Some("shop"), Some("/ops"), "*.w.test")).service("d", with_access(None, Some("/ops"), "*.w.test"));
        story.requests("b", "shop", &[("hosts", "y.w.test")]).check("y.w.test", &[]);
        story.cluster = rules(shared, entry());
        if restarts {
            story.restart();
        }
        story.settled();
        let at = HostKey::from(&host("y.w.test"));
        let holders = story.host_owners.as_ref().and_then(|host_owners| host_owners.holders(&at));
        assert_eq!(holders, None, "{shared:?}, restarted: {restarts}");
    }
}

/// `a` and `b` are each of one team with `c`, but not with each other.
#[test]
fn owners_that_share_a_team_only_through_the_youngest_keep_the_host() {
    let of_team = |story: &mut PassSequence, name: &str| {
        let (stack, access) = (Some("shop").filter(|_| name != "a"), Some("/ops").filter(|_| name != "b"));
        story.service(name, with_access(stack, access, "h.test"));
    };
    let entry = || Some(vec![named("*", &[]), named("h.test", &["c"])]);
    let mut story = PassSequence::of(rules(Sharing::SameStack, entry()));
    for name in ["a", "b", "c"] {
        of_team(&mut story, name);
    }
    story.check("h.test", &["a", "b", "c"]);
    story.cluster = rules(Sharing::Allowed, entry());
    story.restart().check("h.test", &["a", "b", "c"]);
    story.cluster = rules(Sharing::SameStack, None);
    story.check("h.test", &["a", "b", "c"]);
    // Without `c` the oldest one's team has it.
    story.leaves("c").check("h.test", &["a"]);
}
