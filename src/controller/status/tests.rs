//! What a status reports about the proxies, depending on the extension's last report and its age.

mod following;

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::controller::desired_state;
use crate::fleet::fixtures::{INSTANCE, cluster};
use crate::protocol::messages::{
    Accepted, ConfigRejection, EngineLoad, ExtensionReport, MaterialReport, MaterialState, ProxyReport, Quarantined, WIRE_VERSION,
};
use crate::report::{RouteState, Subject};
use crate::route::QuarantineUnit;
use crate::swarm::RawSnapshot;
use crate::translate::HostOwners;
use crate::types::{Digest, NetworkId};

/// One proxy on one node, and one application.
fn world() -> Snapshot {
    let labels = json!({"swarmgate.owner": INSTANCE, "swarmgate.cluster": "dev", "swarmgate.role": "proxy"});
    let proxy = json!({"ID": "proxy", "Version": {"Index": 1}, "CreatedAt": "2026-01-02T03:04:05Z", "UpdatedAt": "2026-01-02T03:04:05Z",
        "Spec": {"Name": "swarmgate-proxy-dev", "Labels": labels, "Mode": {"Global": {}}, "TaskTemplate": {"Networks": [{"Target": "net"}]}}});
    let app = json!({"ID": "app", "Version": {"Index": 1}, "CreatedAt": "2026-01-02T03:04:05Z", "UpdatedAt": "2026-01-02T03:04:05Z",
        "Spec": {"Name": "app", "Labels": {"com.docker.lb.hosts": "a.test", "com.docker.lb.port": "80"}, "Mode": {"Replicated": {"Replicas": 1}},
            "TaskTemplate": {"Networks": [{"Target": "net"}]}}});
    let task = |id: &str| {
        json!({"ID": format!("{id}-task"), "ServiceID": id, "NodeID": "node", "CreatedAt": "2026-01-02T03:04:05Z",
        "DesiredState": "running", "Status": {"State": "running"}, "Spec": {},
        "NetworksAttachments": [{"Network": {"ID": "net", "Spec": {"Name": "net"}}, "Addresses": ["10.0.1.2/24"]}]})
    };
    let node =
        |id: &str| json!({"ID": id, "Status": {"State": "ready"}, "Spec": {"Availability": "active"}, "Description": {"Hostname": id}});
    let raw = RawSnapshot {
        taken_at: "2026-01-02T03:05:05Z".parse().unwrap(),
        services: vec![proxy, app],
        tasks: vec![task("proxy"), task("app")],
        nodes: vec![node("node"), node("idle")],
        networks: vec![json!({"Id": "net", "Name": "net", "Driver": "overlay"})],
        configs: vec![],
        secrets: vec![],
    };
    Snapshot::from_raw(&raw).unwrap()
}

/// A report in which every proxy runs what was accepted.
fn report(desired: &Digest) -> ExtensionReport {
    let config = Digest::of_bytes(b"config");
    let proxy = ProxyReport {
        version: WIRE_VERSION,
        task: "proxy-task".to_owned(),
        node: "node".to_owned(),
        running: Some(config.clone()),
        source: None,
        rejected: None,
        generation: 0,
        fallbacks: 0,
        reloads: 0,
        applied: None,
        runtime_changes: 0,
        activity: None,
        load: EngineLoad::default(),
        seen_at: None,
        silent: false,
    };
    ExtensionReport {
        version: WIRE_VERSION,
        cluster: cluster().name,
        task: "extension".to_owned(),
        engine_version: String::new(),
        accepted: Some(Accepted { desired_digest: desired.clone(), config_digest: config }),
        refused: None,
        boot: None,
        live: None,
        material: Vec::new(),
        quarantined: Vec::new(),
        proxies: vec![proxy],
    }
}

/// The status after a pass whose report `reported` from the extension is `age` seconds old.
fn status(age: i64, reported: impl FnOnce(&Digest) -> Option<ExtensionReport>) -> ClusterStatus {
    let snapshot = world();
    after_a_pass(&snapshot, SignedDuration::ZERO, None, |desired, now| Some((reported(desired)?, now - SignedDuration::from_secs(age))))
}

/// The status after a pass at some time after the snapshot, with the previous status; what was reported, and when.
fn after_a_pass(
    snapshot: &Snapshot,
    later: SignedDuration,
    previous: Option<&ClusterStatus>,
    reported: impl FnOnce(&Digest, Timestamp) -> Option<(ExtensionReport, Timestamp)>,
) -> ClusterStatus {
    pass_that_sees(snapshot, later, previous, reported, None)
}

/// The same when the routes exceed the size of a message.
fn after_a_pass_with(snapshot: &Snapshot, too_large: Option<TooLarge>) -> ClusterStatus {
    pass_that_sees(snapshot, SignedDuration::ZERO, None, |desired, now| Some((report(desired), now)), too_large)
}

fn pass_that_sees(
    snapshot: &Snapshot,
    later: SignedDuration,
    previous: Option<&ClusterStatus>,
    reported: impl FnOnce(&Digest, Timestamp) -> Option<(ExtensionReport, Timestamp)>,
    too_large: Option<TooLarge>,
) -> ClusterStatus {
    pass_that_decided(snapshot, later, previous, reported, too_large, &NetworkDecision::default())
}

fn pass_that_decided(
    snapshot: &Snapshot,
    later: SignedDuration,
    previous: Option<&ClusterStatus>,
    reported: impl FnOnce(&Digest, Timestamp) -> Option<(ExtensionReport, Timestamp)>,
    too_large: Option<TooLarge>,
    decision: &NetworkDecision,
) -> ClusterStatus {
    let (cluster, now) = (Arc::new(cluster()), snapshot.taken_at + later);
    let routes = desired_state::routes(&cluster, snapshot, &HostOwners::default());
    let received = reported(&routes.desired.digest, now).map(|(report, at)| Received { report, at });
    let plan = Plan {
        instance: INSTANCE.to_owned(),
        cluster: cluster.name.to_string(),
        steps: vec![],
        waiting: vec![],
        findings: vec![],
        rollouts: vec![],
    };
    let declared = DeclaredCluster { generation: 1, in_force: Some((1, Arc::clone(&cluster))), accepted: true, label: None };
    let seen = StatusInput {
        instance: INSTANCE,
        declared: &declared,
        cluster: &cluster,
        snapshot,
        desired: &routes.desired,
        too_large,
        report: received.as_ref(),
        plan: &plan,
        translation: &routes.translation,
        networks: decision,
        failure: None,
        now,
    };
    after_pass(&seen, previous)
}

/// The reason of `Programmed`, whether the proxy is known to be up to date, the state of the route, and how many things are
/// waited for.
fn check(status: &ClusterStatus, expected: &(ConditionReason, Option<bool>, RouteState, usize)) {
    let programmed = status.conditions.iter().find(|condition| condition.kind == ConditionType::Programmed).unwrap();
    let observed = (programmed.reason.clone(), status.proxies[0].up_to_date, status.routes[0].state, status.waiting.len());
    assert_eq!(&observed, expected, "{status:#?}");
    let is_ready =
        status.conditions.iter().any(|condition| condition.kind == ConditionType::Ready && condition.status == ConditionStatus::True);
    assert_eq!(is_ready, expected.0 == ConditionReason::AsDeclared && expected.2 != RouteState::Quarantined);
}

#[test]
fn a_single_proxy_and_a_single_route_are_described_in_the_singular() {
    let status = status(0, |desired| Some(report(desired)));
    let messages: Vec<&str> = status.conditions.iter().map(|condition| condition.message.as_str()).collect();
    for expected in ["The only proxy runs the newest configuration.", "The only route has endpoints."] {
        assert!(messages.contains(&expected), "{messages:?}");
    }
}

#[test]
fn proxies_of_a_silent_extension_are_not_reported_as_up_to_date() {
    check(&status(1, |desired| Some(report(desired))), &(ConditionReason::AsDeclared, Some(true), RouteState::Served, 0));
    check(&status(40, |desired| Some(report(desired))), &(ConditionReason::ExtensionSilent, None, RouteState::Unknown, 0));
    check(&status(1, |_| None), &(ConditionReason::ExtensionSilent, None, RouteState::Pending, 1));
}

#[test]
fn a_proxy_that_never_reported_is_not_reported_as_outdated() {
    let unheard = |desired: &Digest| Some(ExtensionReport { proxies: vec![], ..report(desired) });
    check(&status(1, unheard), &(ConditionReason::ProxiesSilent, None, RouteState::Unknown, 0));
}

#[test]
fn the_status_waits_for_the_newest_routes_to_be_accepted() {
    let refused = |undecided| {
        move |desired: &Digest| {
            let refused = Some(ConfigRejection { undecided, ..ConfigRejection::new(desired.clone(), "no answer".to_owned()) });
            Some(ExtensionReport { refused, ..report(&Digest::of_bytes(b"before")) })
        }
    };
    let no = status(1, refused(false));
    check(&no, &(ConditionReason::EngineRefused, Some(true), RouteState::Pending, 1));
    assert_eq!(
        no.findings.iter().map(|finding| finding.code.clone()).collect::<Vec<_>>(),
        [FindingCode::EngineRefused, FindingCode::UpdateGap]
    );
    let late = status(1, refused(true));
    check(&late, &(ConditionReason::EngineUnavailable, Some(true), RouteState::Pending, 1));
    assert_eq!(
        late.findings.iter().map(|finding| finding.code.clone()).collect::<Vec<_>>(),
        [FindingCode::EngineUnavailable, FindingCode::UpdateGap]
    );
    check(&status(1, |_| Some(report(&Digest::of_bytes(b"before")))), &(ConditionReason::Progressing, Some(true), RouteState::Pending, 1));
}

#[test]
fn proxies_on_names_are_distinguished_from_outdated_proxies() {
    let on_names = |desired: &Digest| {
        let mut report = report(desired);
        report.proxies[0] = ProxyReport {
            running: Some(Digest::of_bytes(b"names")),
            source: Some(crate::types::ConfigSource::Names),
            fallbacks: 2,
            ..report.proxies[0].clone()
        };
        Some(report)
    };
    let status = status(1, on_names);
    check(&status, &(ConditionReason::ProxiesOnNames, Some(false), RouteState::Pending, 0));
    assert_eq!((&status.proxies[0].source, status.proxies[0].fallbacks), (&Some(crate::types::ConfigSource::Names), Some(2)));
    let observed = status.routes[0].reason.as_deref();
    assert_eq!(observed, Some("no proxy runs the newest configuration, 1 finds endpoints by name"));
}

/// The extension's report about an object that does not exist.
fn unseen_material() -> MaterialReport {
    MaterialReport {
        certificate: String::new(),
        certificate_id: None,
        key: None,
        key_id: None,
        state: MaterialState::Missing,
        message: String::new(),
        not_before: None,
        not_after: None,
        names: vec![],
        more_names: 0,
        doubts: vec![],
    }
}

/// What the labels declare does not resolve by itself: the status of their cluster settles, and names the reason.
#[test]
fn closed_routes_are_not_progressing() {
    for (labels, state, reason) in [
        (&[("basic_auth", "admin")][..], RouteState::NoEndpoints, ConditionReason::Closed),
        (&[("backend_protocol", "https"), ("ssl_backend_tls_verify", "no-ca")], RouteState::Unverifiable, ConditionReason::NoValidCa),
    ] {
        let mut snapshot = world();
        let app = snapshot.services.values_mut().find(|service| service.name == "app").unwrap();
        app.labels.extend(labels.iter().map(|(name, value)| (crate::translate::label_key(name), (*value).to_owned())));
        let missing = MaterialReport { certificate: "no-ca".to_owned(), ..unseen_material() };
        let reported = |desired: &Digest| ExtensionReport { material: vec![missing], ..report(desired) };
        let status = after_a_pass(&snapshot, SignedDuration::ZERO, None, |desired, now| Some((reported(desired), now)));
        assert_eq!((status.routes[0].state, status.phase), (state, Phase::Degraded), "{status:#?}");
        for kind in [ConditionType::RoutesServed, ConditionType::Ready] {
            let condition = status.conditions.iter().find(|condition| condition.kind == kind).unwrap();
            assert_eq!((condition.status, condition.reason.clone()), (ConditionStatus::False, reason.clone()), "{condition:?}");
        }
        assert!(status.findings.iter().any(|finding| finding.severity == Severity::Error), "{:?}", status.findings);
    }
}

#[test]
fn a_global_service_needs_a_task_on_every_suitable_node() {
    let status = status(1, |desired| Some(report(desired)));
    assert_eq!(status.rollouts.iter().map(|rollout| (rollout.running, rollout.desired)).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn a_refused_part_produces_a_finding_for_its_author() {
    let route = |host: &str| {
        let (host, path) = (crate::types::HostPattern::parse(host).unwrap(), crate::types::ContextPath::root());
        Quarantined { part: QuarantineUnit::Route { host, path }, message: "no such thing\n".to_owned(), too_large: false }
    };
    let reported = |part: Quarantined| move |desired: &Digest| Some(ExtensionReport { quarantined: vec![part], ..report(desired) });
    let left_out = status(1, reported(route("a.test")));
    check(&left_out, &(ConditionReason::AsDeclared, Some(true), RouteState::Quarantined, 0));
    let ready = left_out.conditions.iter().find(|condition| condition.kind == ConditionType::Ready).unwrap();
    assert_eq!((ready.reason.clone(), left_out.phase), (ConditionReason::Quarantined, Phase::Degraded));
    assert_eq!(left_out.routes[0].reason.as_deref(), Some("the engine refuses it: no such thing"));
    let observed = left_out.findings.iter().find(|finding| finding.code == FindingCode::RouteQuarantined).unwrap();
    assert_eq!((&observed.subject, observed.message.contains("no such thing")), (&Subject::Service("app".to_owned()), true));
    // What has left the table is not reported.
    let gone = status(1, reported(route("gone.test")));
    check(&gone, &(ConditionReason::AsDeclared, Some(true), RouteState::Served, 0));
    assert!(gone.findings.iter().all(|finding| finding.code != FindingCode::RouteQuarantined));
}

#[test]
fn a_vulnerable_engine_produces_a_finding_with_the_first_fixed_versions() {
    let found = |version: &str| {
        let status = status(1, |desired| Some(ExtensionReport { engine_version: version.to_owned(), ..report(desired) }));
        status.findings.into_iter().filter(|finding| finding.code == FindingCode::EngineVulnerable).collect::<Vec<_>>()
    };
    let findings = found("nginx/1.29.3");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("CVE-2026-42533") && findings[0].message.contains("older ones"), "{}", findings[0].message);
    assert!(findings[0].remedy.contains("1.31.3 or 1.30.4"), "{}", findings[0].remedy);
    assert_eq!(findings[0].value.as_deref(), Some("nginx/1.29.3"));
    for good in ["nginx/1.31.3", "nginx/1.30.4", "nginx/1.99.0", "something else", ""] {
        assert_eq!(found(good), [], "{good}");
    }
}

#[test]
fn endpoints_are_removed_before_the_proxies_leave_their_network() {
    let (cluster, snapshot) = (cluster(), world());
    let routes = || desired_state::routes(&cluster, &snapshot, &HostOwners::default());
    let after = |networks: &[NetworkId]| {
        let (mut left, decision) = (routes(), NetworkDecision { networks: networks.to_vec(), ..NetworkDecision::default() });
        desired_state::without_left_networks(&cluster, &snapshot, &HostOwners::default(), &mut left, &decision);
        left
    };
    let net = NetworkId("net".to_owned());
    assert_eq!(after(std::slice::from_ref(&net)), routes(), "nothing is left");
    let left = after(&[]);
    assert_eq!(left.translation.networks, [net], "the network is still needed");
    assert!(left.desired.table.backends().flat_map(|backend| &backend.services).all(|service| service.endpoints.is_empty()));
    assert_eq!(left.desired.table, left.translation.table);
    assert_eq!(left.translation.routes[0].state, RouteState::Pending);
}

#[test]
fn a_route_shows_what_its_network_waits_for() {
    let mut snapshot = world();
    snapshot.tasks.values_mut().filter(|task| task.service.0 == "proxy").for_each(|task| task.addresses.clear());
    let status = after_a_pass(&snapshot, SignedDuration::ZERO, None, |desired, now| Some((report(desired), now)));
    let observed = |status: &ClusterStatus| (status.routes[0].state, status.routes[0].reason.clone().unwrap());
    assert_eq!(observed(&status), (RouteState::Pending, "the proxies are not attached to the network net yet".to_owned()));
    let missing = [(NetworkId("net".to_owned()), "waits for the network net: it is tried again".to_owned())].into();
    let decision = NetworkDecision { missing, ..NetworkDecision::default() };
    let status = pass_that_decided(&snapshot, SignedDuration::ZERO, None, |desired, now| Some((report(desired), now)), None, &decision);
    assert_eq!(observed(&status), (RouteState::Pending, "waits for the network net: it is tried again".to_owned()));
    let served = status.conditions.iter().find(|condition| condition.kind == ConditionType::RoutesServed).unwrap();
    assert_eq!(
        (served.status, served.reason.clone(), status.phase),
        (ConditionStatus::False, ConditionReason::NetworkMissing, Phase::Progressing)
    );
    // A network that failed or was left may be retried only hours later: an administrator must act.
    let net = NetworkId("net".to_owned());
    let missing = [(net.clone(), "the proxies left the network net".to_owned())].into();
    let held = crate::networks::QuarantinedNetwork {
        failed_at: snapshot.taken_at,
        tries: 1,
        state: Digest::of_bytes(b""),
        message: String::new(),
        full: true,
    };
    let memory = crate::networks::AttachmentState { quarantine: [(net, held)].into(), ..crate::networks::AttachmentState::default() };
    let decision = NetworkDecision { missing, memory, ..NetworkDecision::default() };
    let status = pass_that_decided(&snapshot, SignedDuration::ZERO, None, |desired, now| Some((report(desired), now)), None, &decision);
    assert_eq!(status.phase, Phase::Degraded);
}
