//! What the hub stores and forgets, and when it wakes its subscribers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::protocol::messages::{
    Accepted, Bundle, ConfigRejection, Delivery, EngineLoad, MaterialReport, MaterialState, ProxyReport, WIRE_VERSION,
};
use crate::route::RouteTable;
use crate::types::{Digest, Port};

fn cluster() -> ClusterName {
    ClusterName::parse("dev").unwrap()
}

fn desired(port: u16) -> Desired {
    Desired::new(Delivery::Live, RouteTable::empty(cluster(), Port::new(port).unwrap()))
}

fn bundle(text: &str) -> Bundle {
    Bundle::new(cluster(), Digest::of_bytes(b""), BTreeMap::from([("nginx.conf".to_owned(), text.to_owned())]))
}

fn proxy(task: &str, seen: i64) -> ProxyReport {
    let (task, node) = (task.to_owned(), "n1".to_owned());
    let seen_at = Some(at(seen));
    ProxyReport {
        version: WIRE_VERSION,
        task,
        node,
        running: None,
        source: None,
        rejected: None,
        generation: 0,
        reloads: 0,
        applied: None,
        runtime_changes: 0,
        activity: None,
        fallbacks: 0,
        load: EngineLoad::default(),
        seen_at,
        silent: false,
    }
}

/// A complete report of an extension task that accepted the table with this port.
fn report(task: &str, accepted_port: u16) -> ExtensionReport {
    let accepted = Accepted { desired_digest: desired(accepted_port).digest, config_digest: bundle("live").digest };
    ExtensionReport {
        version: WIRE_VERSION,
        cluster: cluster(),
        task: task.to_owned(),
        engine_version: "nginx/1.31.3".to_owned(),
        accepted: Some(accepted),
        refused: None,
        boot: Some(bundle("boot")),
        live: None,
        proxies: Vec::new(),
        material: Vec::new(),
        quarantined: Vec::new(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The tasks of these tests.
fn admission() -> AdmittedTasks {
    let extensions = ["a", "b", "old", "new"].map(|task| (ChannelRole::Extension, task.to_owned()));
    let proxies = ["p", "p1", "p2"].map(|task| (ChannelRole::Proxy, task.to_owned()));
    AdmittedTasks { tokens: Vec::new(), tasks: extensions.into_iter().chain(proxies).collect() }
}

#[test]
fn reports_from_or_about_unknown_tasks_are_dropped() {
    let hub = hub_with(80);
    assert_eq!(hub.take(report("invented", 80), at(1)), None);
    assert!(hub.report(&cluster()).is_none());
    take(&hub, ExtensionReport { proxies: vec![proxy("p1", 1), proxy("invented", 1)], ..report("a", 80) }, 1);
    assert_eq!(hub.report(&cluster()).unwrap().report.proxies, [proxy("p1", 1)]);
}

fn hub_with(port: u16) -> Hub {
    let hub = Hub::new();
    hub.publish(&cluster(), desired(port), admission(), Moment::now());
    hub
}

fn take(hub: &Hub, report: ExtensionReport, second: i64) -> ReportOutcome {
    hub.take(report, at(second)).expect("the hub knows the cluster")
}

#[test]
fn only_a_report_with_new_content_is_a_change() {
    let hub = hub_with(80);
    let mut changes = hub.changes();
    let mut check = |report: ExtensionReport, second, expected: bool| {
        changes.mark_unchanged();
        take(&hub, report, second);
        assert_eq!(changes.has_changed().unwrap(), expected, "at second {second}");
    };
    check(report("a", 80), 0, true);
    check(report("a", 80), 5, false);
    check(ExtensionReport { boot: None, ..report("a", 80) }, 10, false);
    check(ExtensionReport { proxies: vec![proxy("p", 11)], ..report("a", 80) }, 11, true);
    check(ExtensionReport { proxies: vec![proxy("p", 16)], ..report("a", 80) }, 16, false);
    check(report("a", 81), 17, true);
    assert_eq!(hub.report(&cluster()).unwrap().at, at(17));
}

#[test]
fn a_short_report_keeps_only_the_bundles_of_the_same_configuration() {
    let hub = hub_with(80);
    let short = |port| ExtensionReport { boot: None, ..report("a", port) };
    assert_eq!(take(&hub, short(80), 0), ReportOutcome::NeedsBundles);
    assert!(hub.report(&cluster()).is_none(), "an incomplete report is ignored");
    assert_eq!(take(&hub, report("a", 80), 1), ReportOutcome::Kept);
    assert_eq!(take(&hub, short(80), 2), ReportOutcome::Kept);
    assert_eq!(hub.report(&cluster()).unwrap().report.boot, Some(bundle("boot")));
    assert_eq!(take(&hub, short(81), 3), ReportOutcome::NeedsBundles);
    let nothing_yet = ExtensionReport { accepted: None, ..short(80) };
    assert_eq!(take(&hub, nothing_yet, 4), ReportOutcome::Kept, "an extension without a configuration has no bundles");
}

#[test]
fn the_report_of_the_more_advanced_extension_is_used_with_the_proxies_of_both() {
    let hub = hub_with(81);
    take(&hub, ExtensionReport { proxies: vec![proxy("p1", 1), proxy("p2", 1)], ..report("old", 80) }, 1);
    take(&hub, ExtensionReport { proxies: vec![proxy("p2", 2)], ..report("new", 81) }, 2);
    take(&hub, ExtensionReport { proxies: vec![proxy("p1", 3), proxy("p2", 1)], ..report("old", 80) }, 3);
    let received = hub.report(&cluster()).unwrap();
    assert_eq!((received.report.task.as_str(), received.at), ("new", at(3)));
    assert_eq!(received.report.proxies, [proxy("p1", 3), proxy("p2", 2)]);
    take(&hub, report("new", 81), 60);
    assert_eq!(hub.report(&cluster()).unwrap().report.proxies, [], "the old extension is silent");
}

#[test]
fn a_rejection_of_the_newest_table_outranks_an_older_acceptance() {
    let hub = hub_with(82);
    let refused = ConfigRejection::new(desired(82).digest, "no".to_owned());
    take(&hub, ExtensionReport { refused: Some(refused.clone()), ..report("a", 80) }, 1);
    take(&hub, report("b", 81), 2);
    assert_eq!(hub.report(&cluster()).unwrap().report.refused, Some(refused));
}

#[test]
fn if_two_extensions_accepted_the_same_table_the_one_with_all_certificates_is_used() {
    let hub = hub_with(80);
    let material = |state| MaterialReport {
        certificate: "cert".to_owned(),
        certificate_id: Some("id of cert".to_owned()),
        key: Some("key".to_owned()),
        key_id: Some("id of key".to_owned()),
        state,
        message: String::new(),
        not_before: None,
        not_after: None,
        names: Vec::new(),
        more_names: 0,
        doubts: Vec::new(),
    };
    let report_of = |task: &str, state| ExtensionReport { material: vec![material(state)], ..report(task, 80) };
    take(&hub, report_of("new", MaterialState::Good), 1);
    take(&hub, report_of("old", MaterialState::Awaited), 2);
    assert_eq!(hub.report(&cluster()).unwrap().report.task, "new");
}

#[test]
fn publishing_notifies_subscribers_only_of_changes() {
    let hub = hub_with(80);
    let mut following = hub.of_cluster(&cluster(), |entry| entry.published.subscribe()).expect("the cluster is published");
    following.mark_unchanged();
    hub.publish(&cluster(), desired(80), admission(), Moment::now());
    assert!(!following.has_changed().unwrap());
    hub.publish(&cluster(), desired(81), admission(), Moment::now());
    assert!(following.has_changed().unwrap());
    hub.retire(&cluster());
    assert!(hub.of_cluster(&cluster(), |_| ()).is_none());
}

#[test]
fn peers_are_notified_only_of_changes() {
    let hub = hub_with(80);
    let peers = |extension: &str| PeerAddresses::new(vec!["https://192.0.2.1:8081".to_owned()], vec![extension.to_owned()]);
    let mut following = hub.of_cluster(&cluster(), |entry| entry.peers.subscribe()).expect("the cluster is published");
    assert!(following.borrow_and_update().is_none(), "with a control network, peers are found by name");
    hub.publish_peers(&cluster(), peers("https://192.0.2.2:32768"));
    assert!(following.has_changed().unwrap());
    following.mark_unchanged();
    hub.publish_peers(&cluster(), peers("https://192.0.2.2:32768"));
    assert!(!following.has_changed().unwrap());
    hub.publish_peers(&cluster(), peers("https://192.0.2.3:32768"));
    assert!(following.has_changed().unwrap());
}
