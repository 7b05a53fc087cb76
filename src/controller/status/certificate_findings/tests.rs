//! Which services get which findings about which certificates.

use super::*;
use crate::channel::Received;
use crate::declaration::DeclaredCluster;
use crate::fleet::fixtures::cluster;
use crate::plan::Plan;
use crate::protocol::messages::{Delivery, Desired, ExtensionReport, WIRE_VERSION};
use crate::swarm::{RawSnapshot, Snapshot};
use crate::translate::{Translation, translate};
use serde_json::{Value, json};

const NOW: &str = "2026-06-01T00:00:00Z";

/// A service with a host and these further labels.
fn service(name: &str, host: &str, labels: &[(&str, &str)]) -> Value {
    let mut all = json!({"com.docker.lb.hosts": host, "com.docker.lb.port": "80"});
    for (key, value) in labels {
        all[if key.contains('.') { (*key).to_owned() } else { format!("com.docker.lb.{key}") }] = json!(value);
    }
    json!({"ID": name, "CreatedAt": NOW, "Spec": {"Name": name, "Labels": all, "Mode": {"Replicated": {"Replicas": 2}}}})
}

fn snapshot(services: Vec<Value>) -> Snapshot {
    let secret = |name: &str| json!({"ID": id(name), "Spec": {"Name": name}});
    let of_shop = json!({"ID": id("shop_cert"), "Spec": {"Name": "shop_cert", "Labels": {"com.docker.stack.namespace": "shop"}}});
    let secrets = ["cert", "key", "ca"].map(secret).into_iter().chain([of_shop]).collect();
    let taken_at = NOW.parse().unwrap();
    let raw = RawSnapshot { taken_at, services, tasks: vec![], nodes: vec![], networks: vec![], configs: vec![], secrets };
    Snapshot::from_raw(&raw).unwrap()
}

fn id(name: &str) -> String {
    format!("id{name}")
}

fn report(certificate: &str, key: Option<&str>, state: MaterialState, not_after: &str, names: &[&str]) -> MaterialReport {
    MaterialReport {
        certificate: certificate.to_owned(),
        certificate_id: (!certificate.starts_with('/')).then(|| id(certificate)),
        key: key.map(str::to_owned),
        key_id: key.map(id),
        state,
        message: if state == MaterialState::Good { String::new() } else { "its words".to_owned() },
        not_before: None,
        not_after: not_after.parse().ok(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        more_names: 0,
        doubts: Vec::new(),
    }
}

/// What a pass sees, given these services and reports.
fn with_seen<T>(services: Vec<Value>, material: Vec<MaterialReport>, use_it: impl FnOnce(&StatusInput<'_>) -> T) -> T {
    let (cluster, snapshot) = (cluster(), snapshot(services));
    let translation: Translation = translate(&cluster, &snapshot);
    let desired = Desired::new(Delivery::Live, translation.table.clone());
    let report = ExtensionReport {
        version: WIRE_VERSION,
        cluster: cluster.name.clone(),
        task: "task".to_owned(),
        engine_version: String::new(),
        accepted: None,
        refused: None,
        boot: None,
        live: None,
        proxies: Vec::new(),
        material,
        quarantined: Vec::new(),
    };
    let now = NOW.parse().unwrap();
    let plan = Plan {
        instance: "swarmgate".to_owned(),
        cluster: "dev".to_owned(),
        steps: vec![],
        waiting: vec![],
        findings: vec![],
        rollouts: vec![],
    };
    use_it(&StatusInput {
        too_large: None,
        instance: "swarmgate",
        declared: &DeclaredCluster { generation: 1, in_force: None, label: None, accepted: true },
        cluster: &cluster,
        snapshot: &snapshot,
        desired: &desired,
        report: Some(&Received { report, at: now }),
        plan: &plan,
        translation: &translation,
        networks: &crate::networks::NetworkDecision::default(),
        failure: None,
        now,
    })
}

/// `CODE service (label = value)` of each finding.
fn reported(services: Vec<Value>, material: Vec<MaterialReport>) -> Vec<String> {
    let extensions = |finding: &Finding| {
        let (field, value) = (finding.field.as_deref().unwrap_or_default(), finding.value.as_deref().unwrap_or_default());
        format!("{:?} {} ({} = {value})", finding.code, finding.subject, field.trim_start_matches("com.docker.lb."))
    };
    with_seen(services, material, findings).iter().map(extensions).collect()
}

fn check(report: MaterialReport, expected: &[&str]) {
    let services = vec![service("app", "app.example.org", &[("ssl_cert", "cert"), ("ssl_key", "key")])];
    assert_eq!(reported(services, vec![report]), expected);
}

#[test]
fn every_bad_state_of_a_pair_produces_a_finding_for_its_service() {
    use MaterialState::{Awaited, Expired, Good, Mismatch, Missing, NotACertificate, NotAKey, NotYetValid};
    let of = |state| report("cert", Some("key"), state, "2030-01-01T00:00:00Z", &["app.example.org"]);
    check(of(NotACertificate), &["NotACertificate service app (ssl_cert = cert)"]);
    check(of(NotAKey), &["NotAPrivateKey service app (ssl_key = key)"]);
    check(of(Mismatch), &["KeyMismatch service app (ssl_key = key)"]);
    check(of(Expired), &["CertificateExpired service app (ssl_cert = cert)"]);
    check(of(NotYetValid), &["CertificateNotYetValid service app (ssl_cert = cert)"]);
    for silent in [Good, Awaited, Missing] {
        check(of(silent), &[]);
    }
}

#[test]
fn an_expiring_certificate_produces_a_finding_thirty_days_ahead() {
    let until = |time: &str| report("cert", Some("key"), MaterialState::Good, time, &["app.example.org"]);
    check(until("2026-07-01T00:00:01Z"), &[]);
    check(until("2026-07-01T00:00:00Z"), &["CertificateExpires service app (ssl_cert = cert)"]);
}

#[test]
fn certificates_that_clients_reject_produce_one_finding_per_kind() {
    let doubt = |kind, message: &str| CertificateWarning { kind, message: message.to_owned() };
    let doubts = vec![
        doubt(CertificateWarningKind::Key, "a"),
        doubt(CertificateWarningKind::Signature, "b"),
        doubt(CertificateWarningKind::Chain, "c"),
        doubt(CertificateWarningKind::Chain, "d"),
    ];
    let good = report("cert", Some("key"), MaterialState::Good, "2030-01-01T00:00:00Z", &["app.example.org"]);
    let doubted = MaterialReport { doubts, ..good };
    let expected = ["CertificateUnsupported service app (ssl_cert = cert)", "CertificateChainInvalid service app (ssl_cert = cert)"];
    check(doubted.clone(), &expected);
    let services = vec![service("app", "app.example.org", &[("ssl_cert", "cert"), ("ssl_key", "key")])];
    let reported = with_seen(services, vec![doubted], findings);
    assert!(reported[0].message.contains("a, b; affected: app.example.org") && reported[1].message.contains("c, d;"), "{reported:?}");
}

#[test]
fn omitted_certificate_names_produce_no_finding() {
    let of = |names: &[&str]| report("cert", Some("key"), MaterialState::Good, "2030-01-01T00:00:00Z", names);
    check(MaterialReport { more_names: 1, ..of(&["other.example.org"]) }, &[]);
}

#[test]
fn a_certificate_for_other_hosts_produces_a_finding() {
    let named = |names: &[&str]| report("cert", Some("key"), MaterialState::Good, "2030-01-01T00:00:00Z", names);
    check(named(&["*.example.org"]), &[]);
    check(named(&["a.b", "app.example.org"]), &[]);
    for names in [&["example.org"][..], &["*.app.example.org"], &["*.org"], &[]] {
        check(named(names), &["CertificateNameMismatch service app (ssl_cert = cert)"]);
    }
}

#[test]
fn wildcards_cover_what_browsers_accept() {
    let covers = |name: &str, host: &str| covers(&[name.to_owned()], &HostPattern::parse(host).unwrap());
    assert!(covers("*.example.org", "*.example.org"), "a wildcard covers itself");
    assert!(!covers("a.example.org", "*.example.org"), "one host does not cover a wildcard");
    assert!(!covers("*.example.org", "a.b.example.org"), "a wildcard covers one label only");
    assert!(!covers("*.example.org", "example.org"));
}

#[test]
fn each_service_gets_one_finding_with_all_its_hosts_of_a_certificate() {
    let labels = [("ssl_cert", "cert"), ("com.docker.stack.namespace", "shop")];
    let services = vec![service("a", "a.example.org,b.example.org", &labels), service("c", "c.example.org", &labels)];
    let material = vec![report("shop_cert", Some("shop_cert"), MaterialState::Expired, "2026-05-01T00:00:00Z", &[])];
    let findings = with_seen(services, material, findings);
    let subjects: Vec<String> = findings.iter().map(|finding| finding.subject.to_string()).collect();
    assert_eq!(subjects, ["service a", "service c"]);
    for (finding, own) in findings.iter().zip(["a.example.org, b.example.org", "c.example.org"]) {
        assert!(finding.message.ends_with(&format!("not published over TLS: {own}")), "{}", finding.message);
    }
}

#[test]
fn an_invalid_authority_produces_a_finding_for_its_service() {
    let services = vec![service("app", "app.example.org", &[("ssl_backend", "true"), ("ssl_backend_tls_verify", "ca")])];
    let bad = vec![report("ca", None, MaterialState::NotACertificate, "", &[])];
    assert_eq!(reported(services, bad), ["NotACertificate service app (ssl_backend_tls_verify = ca)"]);
    let services = vec![service("app", "app.example.org", &[("ssl_backend", "true"), ("ssl_backend_tls_verify", "ca")])];
    let with_key = vec![report("ca", None, MaterialState::HoldsKey, "", &[])];
    assert_eq!(reported(services, with_key), ["AuthorityHoldsKey service app (ssl_backend_tls_verify = ca)"]);
    let services = vec![service("app", "app.example.org", &[("ssl_backend", "true"), ("ssl_backend_tls_verify", "required")])];
    let missing = vec![report("/etc/roots.crt", None, MaterialState::Missing, "", &[])];
    assert_eq!(reported(services, missing).len(), 1);
}

/// A name is public; the content behind it is reported only to those who may use it.
#[test]
fn a_service_that_may_not_use_an_object_learns_nothing_about_it() {
    let mine = [("ssl_cert", "cert"), ("ssl_key", "key"), ("ssl_backend", "true"), ("ssl_backend_tls_verify", "ca")];
    let theirs: Vec<_> = mine.into_iter().chain([("com.docker.stack.namespace", "thief")]).collect();
    let services = vec![service("thief", "a.example.org", &theirs), service("owner", "b.example.org", &mine)];
    let soon = "2026-06-02T00:00:00Z";
    let refused = |certificate: &str, key: Option<&str>| MaterialReport {
        certificate_id: None,
        key_id: None,
        ..report(certificate, key, MaterialState::Missing, "", &[])
    };
    let material = vec![
        refused("ca", None),
        refused("cert", Some("key")),
        report("ca", None, MaterialState::Good, soon, &[]),
        report("cert", Some("key"), MaterialState::Good, soon, &["bank.example.org"]),
    ];
    let expected = ["CertificateExpires service owner (ssl_cert = cert)", "CertificateNameMismatch service owner (ssl_cert = cert)"];
    let of_authority = "CertificateExpires service owner (ssl_backend_tls_verify = ca)";
    assert_eq!(reported(services.clone(), material.clone()), [&expected[..], &[of_authority]].concat());
    let states: Vec<_> = with_seen(services, material, |seen| {
        let mut routes = seen.translation.routes.clone();
        annotate(seen, &mut routes);
        routes
            .into_iter()
            .map(|route| (route.host.to_string(), route.tls.unwrap()))
            .map(|(host, tls)| (host, tls.state.to_string(), tls.not_after.is_some()))
            .collect()
    });
    let expected: Vec<_> = [("a.example.org", "missing", false), ("b.example.org", "good", true)]
        .map(|(host, state, known)| (host.to_owned(), state.to_owned(), known))
        .into();
    assert_eq!(states, expected);
}

#[test]
fn a_route_whose_application_cannot_be_verified_is_not_served() {
    let outcome = |label: &str, material: Vec<MaterialReport>| {
        let services = vec![service("app", "app.example.org", &[("ssl_backend", "true"), ("ssl_backend_tls_verify", label)])];
        with_seen(services, material, |seen| {
            let mut routes = seen.translation.routes.clone();
            annotate(seen, &mut routes);
            let reported = after_pass_conditions(seen, &routes);
            (routes[0].state == RouteState::Unverifiable, routes[0].reason.clone().unwrap_or_default(), reported)
        })
    };
    let of = |state| report("ca", None, state, "", &[]);
    for (state, ends) in [(MaterialState::HoldsKey, ": ca holds a private key"), (MaterialState::Expired, ": ca is expired")] {
        let (unverifiable, reason, reported) = outcome("ca", vec![of(state)]);
        assert!(unverifiable && reason.ends_with(ends) && reported == "NoValidCACertificate", "{reason}, {reported}");
    }
    for fine in [MaterialState::Good, MaterialState::Awaited] {
        assert!(!outcome("ca", vec![of(fine)]).0);
    }
    assert!(!outcome("ca", vec![]).0, "not known yet");
    assert!(outcome("required", vec![report("/etc/roots.crt", None, MaterialState::Missing, "", &[])]).0);
}

/// The reason of the condition `RoutesServed`.
fn after_pass_conditions(seen: &StatusInput<'_>, routes: &[RouteReport]) -> String {
    let conditions = crate::controller::status::conditions::list(seen, routes, &[]);
    conditions.into_iter().find(|condition| condition.kind.as_str() == "RoutesServed").unwrap().reason.to_string()
}

#[test]
fn routes_show_state_and_expiry_of_certificates() {
    let services = || vec![service("app", "app.example.org", &[("ssl_cert", "cert"), ("ssl_key", "key")])];
    let tls = |material: Vec<MaterialReport>| {
        with_seen(services(), material, |seen| {
            let mut routes = seen.translation.routes.clone();
            annotate(seen, &mut routes);
            routes.remove(0).tls.unwrap()
        })
    };
    assert_eq!(tls(vec![]).state.as_str(), "unknown");
    let reported = tls(vec![report("cert", Some("key"), MaterialState::Good, "2030-01-01T00:00:00Z", &[])]);
    assert_eq!((reported.state.as_str(), reported.not_after.unwrap().to_string().as_str()), ("good", "2030-01-01T00:00:00Z"));
}

#[test]
fn only_services_whose_hosts_a_shared_certificate_does_not_cover_get_a_finding() {
    let shared: &[(&str, &str)] = &[("ssl_cert", "cert"), ("ssl_key", "key")];
    let services = vec![service("good", "shop.example.org", shared), service("other", "g.example.org", shared)];
    let report = report("cert", Some("key"), MaterialState::Good, "2030-01-01T00:00:00Z", &["shop.example.org"]);
    let all = with_seen(services, vec![report], findings);
    assert_eq!(all.iter().map(|finding| finding.subject.to_string()).collect::<Vec<_>>(), ["service other"]);
}

#[test]
fn a_route_that_only_redirects_to_an_unusable_certificate_says_so() {
    use crate::translate::note_refused_tls;
    let reason = |state| {
        let services = vec![service("app", "app.example.org", &[("ssl_cert", "cert"), ("ssl_key", "key"), ("ssl_only", "true")])];
        let material = vec![report("cert", Some("key"), state, "2030-01-01T00:00:00Z", &["app.example.org"])];
        with_seen(services, material, |seen| {
            let served = |route: &RouteReport| RouteReport { state: RouteState::Served, reason: None, ..route.clone() };
            let mut routes: Vec<_> = seen.translation.routes.iter().map(served).collect();
            annotate(seen, &mut routes);
            note_refused_tls(seen.cluster, &seen.desired.table, &mut routes);
            routes.remove(0).reason
        })
    };
    let expired =
        "plain HTTP is redirected to HTTPS, where the TLS handshake is refused: the certificate in secret cert cannot be used (expired)";
    assert_eq!(reason(MaterialState::Expired).as_deref(), Some(expired));
    assert_eq!((reason(MaterialState::Good), reason(MaterialState::Awaited)), (None, None));
}
