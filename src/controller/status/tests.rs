//! What a status says of the proxies, by what the extension last said and when.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::channel::wire::{Accepted, ExtensionReport, ProxyReport, Quarantined, Refusal, WIRE_VERSION};
use crate::controller::thought;
use crate::fleet::fixtures::{INSTANCE, cluster};
use crate::report::{RouteState, Subject};
use crate::route::Part;
use crate::swarm::RawSnapshot;
use crate::types::Digest;

/// One proxy on one node, and one application.
fn world() -> Snapshot {
    let labels = json!({"swarmgate.owner": INSTANCE, "swarmgate.cluster": "dev", "swarmgate.role": "proxy"});
    let proxy = json!({"ID": "proxy", "Version": {"Index": 1}, "CreatedAt": "2026-01-02T03:04:05Z", "UpdatedAt": "2026-01-02T03:04:05Z",
        "Spec": {"Name": "swarmgate-proxy-dev", "Labels": labels, "Mode": {"Global": {}}, "TaskTemplate": {}}});
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

/// A report of which every proxy runs what was accepted.
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
        reloads: 0,
        seen_at: None,
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

/// The status after a pass that heard `said` of the extension `age` seconds ago.
fn status(age: i64, said: impl FnOnce(&Digest) -> Option<ExtensionReport>) -> ClusterStatus {
    let (cluster, snapshot) = (Arc::new(cluster()), world());
    let routes = thought::routes(&cluster, &snapshot);
    let received = said(&routes.desired.digest).map(|report| Received { report, at: snapshot.taken_at - SignedDuration::from_secs(age) });
    let plan = Plan {
        instance: INSTANCE.to_owned(),
        cluster: cluster.name.to_string(),
        steps: vec![],
        waiting: vec![],
        findings: vec![],
        rollouts: vec![],
    };
    let declared = DeclaredCluster { generation: 1, in_force: Some((1, Arc::clone(&cluster))), accepted: true, label: None };
    let seen = Seen {
        instance: INSTANCE,
        declared: &declared,
        cluster: &cluster,
        snapshot: &snapshot,
        desired: &routes.desired,
        report: received.as_ref(),
        plan: &plan,
        translation: &routes.translation,
        networks: &crate::networks::Decision::default(),
        failure: None,
        now: snapshot.taken_at,
    };
    after_pass(&seen, None)
}

/// The reason of `Programmed`, whether the proxy is known to be up to date, the state of the route, how much is waited for.
fn check(status: &ClusterStatus, expected: (&str, Option<bool>, RouteState, usize)) {
    let programmed = status.conditions.iter().find(|condition| condition.kind == condition_types::PROGRAMMED).unwrap();
    let told = (programmed.reason.as_str(), status.proxies[0].up_to_date, status.routes[0].state, status.waiting.len());
    assert_eq!(told, expected, "{status:#?}");
    let is_ready =
        status.conditions.iter().any(|condition| condition.kind == condition_types::READY && condition.status == ConditionStatus::True);
    assert_eq!(is_ready, expected.0 == reasons::AS_DECLARED);
}

#[test]
fn proxies_of_a_silent_extension_are_not_said_to_be_up_to_date() {
    check(&status(1, |desired| Some(report(desired))), (reasons::AS_DECLARED, Some(true), RouteState::Served, 0));
    check(&status(40, |desired| Some(report(desired))), (reasons::EXTENSION_SILENT, None, RouteState::Unknown, 0));
    check(&status(1, |_| None), (reasons::EXTENSION_SILENT, None, RouteState::Pending, 1));
}

#[test]
fn a_proxy_that_was_never_heard_of_is_not_said_to_run_another_configuration() {
    let unheard = |desired: &Digest| Some(ExtensionReport { proxies: vec![], ..report(desired) });
    check(&status(1, unheard), (reasons::PROXIES_SILENT, None, RouteState::Unknown, 0));
}

#[test]
fn newest_routes_that_are_not_accepted_are_waited_for() {
    let refused = |undecided| {
        move |desired: &Digest| {
            let refused = Some(Refusal { digest: desired.clone(), words: "no answer".to_owned(), undecided });
            Some(ExtensionReport { refused, ..report(&Digest::of_bytes(b"before")) })
        }
    };
    let no = status(1, refused(false));
    check(&no, (reasons::ENGINE_REFUSED, Some(true), RouteState::Pending, 1));
    assert_eq!(no.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [FindingCode::EngineRefused, FindingCode::UpdateGap]);
    let late = status(1, refused(true));
    check(&late, (reasons::ENGINE_UNAVAILABLE, Some(true), RouteState::Pending, 1));
    assert_eq!(
        late.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [FindingCode::EngineUnavailable, FindingCode::UpdateGap]
    );
    check(&status(1, |_| Some(report(&Digest::of_bytes(b"before")))), (reasons::PROGRESSING, Some(true), RouteState::Pending, 1));
}

#[test]
fn a_global_service_wants_a_task_on_every_node_that_fits() {
    let status = status(1, |desired| Some(report(desired)));
    assert_eq!(status.rollouts.iter().map(|rollout| (rollout.running, rollout.desired)).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn what_the_engine_refuses_is_told_to_those_who_wrote_it() {
    let route = |host: &str| {
        let (host, path) = (crate::types::HostPattern::parse(host).unwrap(), crate::types::ContextPath::root());
        Quarantined { part: Part::Route { host, path }, words: "no such thing\n".to_owned() }
    };
    let reported = |part: Quarantined| move |desired: &Digest| Some(ExtensionReport { quarantined: vec![part], ..report(desired) });
    let left_out = status(1, reported(route("a.test")));
    check(&left_out, (reasons::AS_DECLARED, Some(true), RouteState::Quarantined, 0));
    assert_eq!(left_out.routes[0].reason.as_deref(), Some("the engine refuses it: no such thing"));
    let told = left_out.findings.iter().find(|finding| finding.code == FindingCode::RouteQuarantined).unwrap();
    assert_eq!((&told.subject, told.message.contains("no such thing")), (&Subject::Service("app".to_owned()), true));
    // What has left the table is nobody's concern.
    let gone = status(1, reported(route("gone.test")));
    check(&gone, (reasons::AS_DECLARED, Some(true), RouteState::Served, 0));
    assert!(gone.findings.iter().all(|finding| finding.code != FindingCode::RouteQuarantined));
}

#[test]
fn an_engine_with_published_faults_is_told_with_the_first_good_versions() {
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
