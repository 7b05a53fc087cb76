//! Services that flap, and their neighbours.

use super::*;
use crate::controller::desired_state;
use crate::fleet::fixtures::cluster_named;
use crate::intent::config_quotas::ConfigQuotas;
use crate::report::FindingCode;
use crate::swarm::Task;
use crate::translate::HostOwners;
use crate::types::{HostPattern, NetworkId, TaskId};

/// 222 updates a minute.
const FLAP: SignedDuration = SignedDuration::from_millis(270);

struct DampingScenario {
    snapshot: Snapshot,
    damping: LabelDamping,
    limits: LabelUpdates,
    now: Timestamp,
}

impl DampingScenario {
    fn new(services: &[&str]) -> Self {
        let raw = serde_json::from_value(serde_json::json!({
            "takenAt": "2026-01-01T12:00:00Z", "services": [], "tasks": [], "nodes": [], "configs": [], "secrets": [],
            "networks": [{"Id": "net", "Name": "net", "Driver": "overlay", "Scope": "swarm"}],
        }));
        let snapshot = Snapshot::from_raw(&raw.unwrap()).unwrap();
        let now = snapshot.taken_at;
        let mut world = Self { snapshot, damping: LabelDamping::default(), limits: ConfigQuotas::default().label_updates, now };
        for name in services {
            world.create(name, 1);
        }
        world.pass();
        world
    }

    fn create(&mut self, name: &str, incarnation: u8) {
        let service = Service {
            id: ServiceId(format!("{name}-{incarnation}")),
            name: name.to_owned(),
            version: 1,
            created_at: self.now,
            labels: BTreeMap::new(),
            spec: serde_json::Value::Null,
            previous_spec: None,
            networks: vec![NetworkId("net".to_owned())],
            vip_mode: true,
            virtual_ips: Vec::new(),
            ports: Vec::new(),
            replicas: Some(1),
            update_status: None,
        };
        self.snapshot.services.retain(|_, known| known.name != name);
        self.snapshot.services.insert(service.id.clone(), service);
        self.label(name, "hosts", Some(&format!("{name}.test")));
        self.label(name, "port", Some("80"));
    }

    fn service(&mut self, name: &str) -> &mut Service {
        self.snapshot.services.values_mut().find(|service| service.name == name).unwrap()
    }

    fn label(&mut self, name: &str, label: &str, value: Option<&str>) {
        let labels = &mut self.service(name).labels;
        match value {
            Some(value) => drop(labels.insert(label_key(label), value.to_owned())),
            None => drop(labels.remove(&label_key(label))),
        }
    }

    /// Runs a pass now; returns the hosts that it publishes.
    fn pass(&mut self) -> Vec<String> {
        self.damping.observe(|_| Some(self.limits), &self.snapshot, self.now);
        let counts = self.damping.held().applied_to(&self.snapshot);
        let routes = desired_state::routes(&cluster_named("dev"), &counts, &HostOwners::default());
        routes.desired.table.hosts.keys().map(ToString::to_string).collect()
    }

    /// Whether a service's labels, as used, admit no client.
    fn is_closed(&self, name: &str) -> bool {
        let counts = self.damping.held().applied_to(&self.snapshot);
        let service = counts.services.values().find(|service| service.name == name).unwrap();
        matches!(read_labels(name, &service.labels).reading, LabelReading::Published(labels) if labels.closed)
    }

    fn after(&mut self, time: SignedDuration) -> Vec<String> {
        self.now += time;
        self.pass()
    }

    fn after_secs(&mut self, seconds: i64) -> Vec<String> {
        self.after(SignedDuration::from_secs(seconds))
    }

    /// Toggles a service's host this many times; returns everything published meanwhile, in order.
    fn flap(&mut self, name: &str, times: usize) -> Vec<Vec<String>> {
        let mut published = vec![self.pass()];
        for time in 0..times {
            let host = if time % 2 == 0 { format!("{name}2.test") } else { format!("{name}.test") };
            self.label(name, "hosts", Some(&host));
            published.push(self.after(FLAP));
        }
        published.dedup();
        published
    }

    fn findings(&self) -> Vec<Finding> {
        let held = self.damping.held();
        held.findings(&cluster_named("dev"), &self.snapshot, &held.applied_to(&self.snapshot))
    }
}

#[test]
fn occasional_label_changes_are_never_delayed() {
    let mut world = DampingScenario::new(&["a"]);
    // Twenty at once, and six a minute for an hour.
    assert_eq!(world.flap("a", 20).len(), 21);
    world.after_secs(240);
    for number in 0..360 {
        world.label("a", "hosts", Some(&format!("h{number}.test")));
        assert_eq!(world.after_secs(10), [format!("h{number}.test")]);
    }
    assert_eq!(world.findings(), []);
}

#[test]
fn a_flapping_service_keeps_its_stable_labels_and_affects_no_other_service() {
    let mut world = DampingScenario::new(&["a", "b"]);
    world.after_secs(60);
    let published = world.flap("a", 222);
    assert!(published.len() <= 22, "{} changes of the table", published.len());
    assert_eq!(published.last().unwrap(), &["a.test", "b.test"], "the earlier labels");
    let findings = world.findings();
    assert_eq!(
        findings.iter().map(|finding| (&finding.subject, &finding.code)).collect::<Vec<_>>(),
        [(&Subject::Service("a".to_owned()), &FindingCode::LabelsFlapping)]
    );
    // The other service's change is used in the very next pass, whatever the first one does.
    world.label("a", "hosts", Some("a3.test"));
    world.label("b", "hosts", Some("b2.test"));
    assert_eq!(world.after(FLAP), ["a.test", "b2.test"]);
    assert_eq!(world.findings(), findings, "the message does not change");
}

/// The finding for one service that flaps: its severity, and which labels are used.
fn check_findings(world: &DampingScenario, severity: Severity, counts: &str) {
    let findings = world.findings();
    assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [severity], "{findings:?}");
    assert!(findings[0].message.contains(&format!("Z {counts}, until the labels have not changed for")), "{}", findings[0].message);
}

#[test]
fn a_flapping_service_that_publishes_nothing_is_an_error() {
    // Without settled labels, or with labels that publish nothing.
    for labels in [[("hosts", None), ("port", None)], [("hosts", Some("a.test")), ("port", Some("none"))]] {
        let mut world = DampingScenario::new(&["a"]);
        for (label, value) in labels {
            world.label("a", label, value);
        }
        world.damping = LabelDamping::default();
        world.pass();
        world.after_secs(60);
        world.label("a", "port", Some("80"));
        world.flap("a", 60);
        assert_eq!(world.pass(), [""; 0]);
        check_findings(&world, Severity::Error, "the service publishes nothing");
    }
    let mut world = DampingScenario::new(&["a"]);
    world.after_secs(60);
    world.flap("a", 60);
    check_findings(&world, Severity::Warning, "the last stable labels are used");
    // Removing the labels takes effect at once; only adding them again is held.
    world.label("a", "hosts", None);
    world.after(FLAP);
    check_findings(&world, Severity::Warning, "the service is not published");
    world.label("a", "hosts", Some("a.test"));
    world.after(FLAP);
    check_findings(&world, Severity::Error, "the service publishes nothing");
    world.label("a", "hosts", None);
    world.after(FLAP);
    check_findings(&world, Severity::Error, "the service publishes nothing");
}

#[test]
fn new_labels_are_used_once_they_are_stable_and_each_hold_is_longer() {
    let mut world = DampingScenario::new(&["a"]);
    world.after_secs(60);
    for (round, expected) in [10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        world.flap("a", 400);
        let new = format!("new{round}.test");
        world.label("a", "hosts", Some(&new));
        assert_ne!(world.after(FLAP), [new.as_str()]);
        let waited = (1..1000).find(|_| world.after_secs(1) == [new.as_str()]).unwrap();
        assert!((expected - 1..=expected + 1).contains(&waited), "{waited} s instead of {expected}");
        assert_eq!(world.findings(), []);
    }
    world.after_secs(1000);
    world.flap("a", 400);
    assert!(world.findings()[0].message.contains("for 10 s"), "forgiven: {:?}", world.findings());
}

#[test]
fn endpoints_are_never_held_back() {
    let mut world = DampingScenario::new(&["a"]);
    world.after_secs(60);
    world.flap("a", 100);
    assert!(!world.findings().is_empty());
    for number in 1..4_u8 {
        let task = Task {
            id: TaskId(format!("t{number}")),
            service: ServiceId("a-1".to_owned()),
            node: None,
            state: "running".into(),
            message: String::new(),
            error: String::new(),
            created_at: world.now,
            state_since: None,
            addresses: vec![(NetworkId("net".to_owned()), format!("10.0.0.{number}/24").parse().unwrap())],
            host_ports: Vec::new(),
            on_host_network: false,
            spec: serde_json::Value::Null,
        };
        world.snapshot.tasks.insert(task.id.clone(), task);
        world.after(FLAP);
        let routes =
            desired_state::routes(&cluster_named("dev"), &world.damping.held().applied_to(&world.snapshot), &HostOwners::default());
        let host = &routes.desired.table.hosts[&HostPattern::parse("a.test").unwrap()];
        let endpoints: usize = host.paths.values().flat_map(|route| &route.backend.services).map(|service| service.endpoints.len()).sum();
        assert_eq!(endpoints, usize::from(number));
    }
}

#[test]
fn removed_labels_close_the_service_at_once_until_it_is_stable() {
    for gone in [false, true] {
        let mut world = DampingScenario::new(&["a", "b"]);
        world.after_secs(60);
        world.flap("a", 100);
        if gone {
            world.snapshot.services.retain(|_, service| service.name != "a");
        } else {
            world.label("a", "hosts", None);
        }
        assert_eq!(world.after(FLAP), ["b.test"], "at once");
        let mut published = Vec::new();
        for incarnation in 2..50 {
            world.create("a", incarnation);
            published.push(world.after(FLAP));
            world.snapshot.services.retain(|_, service| service.name != "a");
            published.push(world.after(FLAP));
        }
        published.dedup();
        assert_eq!(published, [["b.test"]], "recreating the service continues the flapping");
        world.create("a", 99);
        world.after(FLAP);
        assert_eq!(world.after_secs(11), ["a.test", "b.test"]);
    }
}

#[test]
fn a_closing_label_is_used_at_once_until_the_service_is_stable() {
    let mut world = DampingScenario::new(&["a", "b"]);
    world.after_secs(60);
    world.flap("a", 100);
    assert!(!world.is_closed("a"));
    world.label("a", "basic_auth", Some("admin:secret"));
    assert_eq!(world.after(FLAP), ["a.test", "b.test"]);
    assert!(world.is_closed("a") && !world.is_closed("b"), "at once");
    check_findings(&world, Severity::Warning, "the last stable labels are used, as well as new labels that close its routes");
    assert!(!world.findings()[0].message.contains("secret"));
    for round in 0..20 {
        world.label("a", "basic_auth", (round % 2 == 1).then_some("admin:secret"));
        world.after(FLAP);
        assert!(world.is_closed("a"), "opening it again continues the flapping");
    }
    world.label("a", "basic_auth", None);
    world.after(FLAP);
    world.after_secs(11);
    assert!(!world.is_closed("a"), "calm");
}

#[test]
fn services_that_are_repeatedly_created_and_removed_are_held_too() {
    let mut world = DampingScenario::new(&["b"]);
    let mut published = Vec::new();
    for incarnation in 0..100 {
        world.create("a", incarnation);
        published.push(world.after(FLAP));
        world.snapshot.services.retain(|_, service| service.name != "a");
        published.push(world.after(FLAP));
    }
    published.dedup();
    // The allowance grows by five meanwhile.
    assert!(published.len() <= 2 * 26 + 1, "{}", published.len());
}

#[test]
fn changes_of_other_programs_labels_are_ignored() {
    let mut world = DampingScenario::new(&["a"]);
    for number in 0..200 {
        world.service("a").labels.insert("org.example.build".to_owned(), number.to_string());
        world.after(FLAP);
    }
    assert_eq!(world.findings(), []);
    world.label("a", "hosts", Some("new.test"));
    assert_eq!(world.after(FLAP), ["new.test"]);
}

#[test]
fn after_a_restart_existing_labels_are_used_and_flapping_is_detected_again() {
    let mut world = DampingScenario::new(&["a"]);
    world.after_secs(60);
    world.flap("a", 101);
    world.damping = LabelDamping::default();
    assert_eq!(world.pass(), ["a2.test"]);
    let published = world.flap("a", 222);
    assert!(published.len() <= 22 && !world.findings().is_empty(), "{}", published.len());
}

#[test]
fn removed_services_are_forgotten() {
    let mut world = DampingScenario::new(&[]);
    for number in 0..100 {
        world.create(&format!("s{number}"), 0);
        world.after(FLAP);
    }
    world.snapshot.services.clear();
    world.after(FLAP);
    world.after(FORGIVEN_AFTER);
    assert_eq!(world.damping, LabelDamping::default());
}

/// A service that moves back and forth between two clusters is held once for both: it is never published by both, and changes in
/// one cluster do not use up the stricter limit of the other.
#[test]
fn a_service_that_flaps_between_clusters_is_published_in_one_of_them() {
    let mut world = DampingScenario::new(&["a"]);
    world.after_secs(60);
    let generous = LabelUpdates { burst: 100_000, per_minute: 100_000 };
    let mut changes = 0;
    for time in 0..100 {
        let here = world.service("a").labels.remove(&label_key("service_cluster")).is_some();
        if !here {
            world.label("a", "service_cluster", Some("other"));
        }
        world.now += FLAP;
        let strict = world.limits;
        let limits = |service: &Service| Some(if service.labels.contains_key(&label_key("service_cluster")) { generous } else { strict });
        world.damping.observe(limits, &world.snapshot, world.now);
        let counts = world.damping.held().applied_to(&world.snapshot);
        changes += usize::from(world.damping.held() == HeldLabels::default());
        if time > 50 {
            assert!(is_claimed_by(&cluster_named("dev"), counts.services.values().next().unwrap()), "the stable labels are used");
        }
    }
    assert!(changes <= 24, "{changes}");
}

#[test]
fn queries_show_the_held_labels_and_when_they_will_be_used() {
    let mut world = DampingScenario::new(&["a", "b"]);
    world.after_secs(60);
    world.flap("a", 101);
    let held = world.damping.held().held_back(&world.snapshot);
    let [back] = &held[..] else { panic!("{held:?}") };
    assert_eq!((back.service.as_str(), back.labels[&label_key("hosts")].as_str()), ("a", "a2.test"));
    assert_eq!(back.until, world.now + CALM_FIRST);
    assert_eq!(vec![back.finding.clone()], world.findings());
    assert_eq!(world.after_secs(10), ["a2.test", "b.test"], "the new labels are used");
    assert_eq!(world.damping.held(), HeldLabels::default());
}
