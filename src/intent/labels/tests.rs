//! Tests of the label reader.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::report::{FindingCode, Severity};

fn map(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(name, value)| {
            let key = if name.contains('.') { (*name).to_owned() } else { format!("{PREFIX}{name}") };
            (key, (*value).to_owned())
        })
        .collect()
}

fn read(labels: &[(&str, &str)]) -> ReadLabels {
    read_labels("shop_web", &map(labels))
}

/// The published labels of `labels` plus a good host and port, and the codes of all findings.
fn published(labels: &[(&str, &str)]) -> (ServiceLabels, Vec<FindingCode>) {
    let all: Vec<_> = [("hosts", "a.example"), ("port", "80")].into_iter().chain(labels.iter().copied()).collect();
    let ReadLabels { reading, findings } = read(&all);
    let LabelReading::Published(published) = reading else { panic!("not published: {findings:?}") };
    (*published, findings.into_iter().map(|finding| finding.code).collect())
}

fn codes(labels: &[(&str, &str)]) -> (LabelReading, Vec<(FindingCode, String)>) {
    let ReadLabels { reading, findings } = read(labels);
    (reading, findings.into_iter().map(|finding| (finding.code.clone(), finding.field.unwrap_or_default())).collect())
}

fn hosts_of(value: &str) -> Vec<String> {
    let (labels, _) = published(&[("hosts", value)]);
    labels.hosts.iter().map(ToString::to_string).collect()
}

#[test]
fn hosts_are_trimmed_lowercased_and_deduplicated() {
    assert_eq!(hosts_of(" App.Example , b.example,app.example,,*.C.example., "), ["app.example", "b.example", "*.c.example"]);
}

#[test]
fn an_invalid_host_does_not_affect_the_valid_ones() {
    let ReadLabels { reading, findings } =
        read(&[("hosts", "good.example,http://bad.example, b{d}.example;,other.example"), ("port", "80")]);
    let LabelReading::Published(labels) = reading else { panic!("not published") };
    assert_eq!(labels.hosts.len(), 2);
    let values: Vec<_> = findings.iter().map(|finding| (finding.code.clone(), finding.value.as_deref().unwrap_or_default())).collect();
    assert_eq!(values, [(FindingCode::InvalidLabelValue, "b{d}.example;"), (FindingCode::InvalidLabelValue, "http://bad.example")]);
    assert!(findings.iter().any(|finding| finding.remedy.contains("without scheme")));
}

#[test]
fn a_service_with_only_invalid_hosts_is_not_published() {
    let (reading, findings) = codes(&[("hosts", "a b"), ("port", "80")]);
    assert_eq!(reading, LabelReading::Refused);
    assert_eq!(findings, [(FindingCode::InvalidLabelValue, format!("{PREFIX}hosts"))]);
}

#[test]
fn a_long_list_of_invalid_hosts_produces_few_findings() {
    let hosts = vec!["b@d"; 5000].join(",") + &"x".repeat(1 << 20);
    let ReadLabels { reading, findings } = read(&[("hosts", &hosts), ("port", "80")]);
    assert_eq!(reading, LabelReading::Refused);
    // Eight of them, the number of the others, and that the list is too long.
    assert!(findings.len() <= 10, "{}", findings.len());
    assert!(findings.iter().all(|finding| finding.value.as_ref().is_none_or(|value| value.chars().count() <= 121)));
}

#[test]
fn missing_required_labels_are_reported() {
    let missing = |name: &str| (FindingCode::MissingLabel, format!("{PREFIX}{name}"));
    assert_eq!(codes(&[("hosts", "a.example")]), (LabelReading::Refused, vec![missing("port")]));
    assert_eq!(codes(&[("port", "80")]), (LabelReading::Refused, vec![missing("hosts")]));
    assert_eq!(codes(&[("network", "front")]), (LabelReading::Refused, vec![missing("hosts"), missing("port")]));
    assert_eq!(codes(&[("hosts", " , "), ("port", "80")]), (LabelReading::Refused, vec![missing("hosts")]));
}

#[test]
fn a_default_backend_needs_no_host() {
    let ReadLabels { reading, findings } = read(&[("default_backend", " TRUE "), ("port", " 8080 ")]);
    let LabelReading::Published(labels) = reading else { panic!("not published") };
    assert!(labels.default_backend && labels.hosts.is_empty() && labels.port.get() == 8080);
    assert_eq!(findings, []);
}

#[test]
fn labels_that_publish_nothing_produce_no_finding() {
    for labels in [vec![], vec![("default_backend", "false"), ("ssl_only", "no")], vec![("hosts", ""), ("org.example.owner", "me")]] {
        let ReadLabels { reading, findings } = read(&labels);
        assert_eq!((reading, findings), (LabelReading::NotPublished, vec![]), "{labels:?}");
    }
    let (_, findings) = published(&[
        ("ssl_only", "false"),
        ("ssl_cert", ""),
        ("ip_hash", "0"),
        ("ssl_backend_tls_verify", "none"),
        ("ssl_passthrough", "off"),
    ]);
    assert_eq!(findings, []);
}

#[test]
fn a_service_with_an_invalid_value_that_decides_where_requests_go_is_not_published() {
    for (name, value) in [
        ("port", "eighty"),
        ("port", "0"),
        ("port", "8080/tcp"),
        ("context_root", "app"),
        ("context_root", "/a/../b"),
        ("context_root", "/a b;}"),
    ] {
        let all: Vec<_> =
            [("hosts", "a.example"), ("port", "80")].into_iter().filter(|(other, _)| *other != name).chain([(name, value)]).collect();
        assert_eq!(
            codes(&all),
            (LabelReading::Refused, vec![(FindingCode::InvalidLabelValue, format!("{PREFIX}{name}"))]),
            "{name}={value}"
        );
    }
}

#[test]
fn invalid_values_that_only_tune_are_ignored() {
    let bad = [
        ("context_root_rewrite", "maybe"),
        ("backend_mode", "dnsrr"),
        ("network", "front\nback"),
        ("default_backend", "2"),
        ("max_fails", "-1"),
        ("fail_timeout", "soon"),
        ("sticky_session_cookie", "$id; }"),
        ("backend_protocol", "spdy"),
        ("weight", "101"),
        ("ssl_backend_tls_verify", "../ca"),
        ("ssl_cert", "../key"),
        ("redirects", "a.example"),
        ("websocket_endpoints", "/ws\u{0}"),
    ];
    let (plain, _) = published(&[]);
    for (name, value) in bad {
        assert_eq!(published(&[(name, value)]), (plain.clone(), vec![FindingCode::InvalidLabelValue]), "{name}={value}");
    }
}

#[test]
fn every_label_is_converted_to_its_checked_value() {
    let (labels, findings) = published(&[
        ("ssl_cert", "web.crt"),
        ("ssl_key", "web.key"),
        ("ssl_only", "yes"),
        ("ssl_backend", "1"),
        ("ssl_backend_tls_verify", "required"),
        ("redirects", " http://A.example , https://a.example:8443/new ;"),
        ("websocket_endpoints", "/ws, /chat/,/ws"),
        ("sticky_session_cookie", "JSESSIONID"),
        ("max_fails", "3"),
        ("fail_timeout", "30"),
        ("weight", "10"),
    ]);
    assert_eq!(findings, []);
    assert_eq!((labels.backend_protocol, labels.backend_verification), (BackendProtocol::Https, Verification::System));
    assert_eq!((labels.tls.certificate.unwrap().as_str(), labels.tls.key.unwrap().as_str(), labels.tls.only), ("web.crt", "web.key", true));
    assert_eq!((labels.affinity, labels.weight), (Affinity::Cookie(CookieName::parse("JSESSIONID").unwrap()), Some(10)));
    assert_eq!(
        labels.redirects.iter().map(|r| format!("{} {}", r.source, r.target)).collect::<Vec<_>>(),
        ["http://a.example https://a.example:8443/new"]
    );
    assert_eq!(labels.websocket_endpoints.iter().map(ContextPath::as_str).collect::<Vec<_>>(), ["/ws", "/chat"]);
    assert_eq!((labels.max_fails, labels.fail_timeout), (Some(3), Some(Duration::from_secs(30))));
    assert_eq!(published(&[("ip_hash", "on")]).0.affinity, Affinity::ClientAddress);
}

#[test]
fn a_redirect_from_a_host_of_another_service_is_left_out() {
    let (labels, findings) = published(&[("redirects", "http://other.example,https://a.example")]);
    assert_eq!((labels.redirects, findings), (vec![], vec![FindingCode::InvalidLabelValue]));
}

fn protocol(labels: &[(&str, &str)]) -> (BackendProtocol, Verification, Vec<FindingCode>) {
    let (labels, findings) = published(labels);
    (labels.backend_protocol, labels.backend_verification, findings)
}

#[test]
fn the_backend_protocol_and_the_older_ssl_backend_agree() {
    assert_eq!(protocol(&[("backend_protocol", "h2c")]).0, BackendProtocol::Grpc);
    assert_eq!(protocol(&[("backend_protocol", "GRPC"), ("ssl_backend", "true")]).0, BackendProtocol::Grpcs);
    assert_eq!(protocol(&[("backend_protocol", "https"), ("ssl_backend", "false")]).0, BackendProtocol::Https);
    let ca = Verification::Authority(ObjectName::parse("corp-ca").unwrap());
    assert_eq!(protocol(&[("ssl_backend", "true"), ("ssl_backend_tls_verify", "corp-ca")]), (BackendProtocol::Https, ca, vec![]));
    let unclear = protocol(&[("ssl_backend", "true"), ("ssl_backend_tls_verify", "../ca")]);
    assert_eq!(
        unclear,
        (BackendProtocol::Https, Verification::System, vec![FindingCode::InvalidLabelValue]),
        "a misspelt value never disables verification"
    );
    assert_eq!(protocol(&[("ssl_backend_tls_verify", "required")]).2, [FindingCode::LabelWithoutEffect], "nothing to check in plain text");
}

#[test]
fn labels_without_effect_on_a_passthrough_host_are_reported() {
    let (labels, findings) =
        published(&[("ssl_passthrough", "true"), ("ssl_cert", "web.crt"), ("context_root", "/app"), ("ip_hash", "true")]);
    assert!(labels.tls.passthrough);
    assert_eq!(findings, [FindingCode::LabelWithoutEffect, FindingCode::LabelWithoutEffect]);
    assert_eq!(published(&[("ssl_passthrough", "true"), ("context_root", "/"), ("ssl_only", "true")]).1, []);
}

#[test]
fn the_cookie_is_used_if_both_affinities_are_set() {
    let (labels, findings) = published(&[("ip_hash", "true"), ("sticky_session_cookie", "sid")]);
    assert_eq!((labels.affinity, findings), (Affinity::Cookie(CookieName::parse("sid").unwrap()), vec![FindingCode::ConflictingSetting]));
}

#[test]
fn websocket_paths_of_other_routes_are_left_out() {
    let (labels, findings) = published(&[("context_root", "/app"), ("websocket_endpoints", "/ws,/app/ws,/apple")]);
    assert_eq!(labels.websocket_endpoints.iter().map(ContextPath::as_str).collect::<Vec<_>>(), ["/app/ws"]);
    assert_eq!(findings, [FindingCode::InvalidLabelValue, FindingCode::InvalidLabelValue]);
}

#[test]
fn misspelt_labels_are_reported_with_the_probably_intended_label() {
    let cases = [
        ("com.docker.lb.host", "com.docker.lb.hosts"),
        ("com.docker.lb.defaul_backend", "com.docker.lb.default_backend"),
        ("Com.Docker.LB.Hosts", "com.docker.lb.hosts"),
        (" com.docker.lb.port", "com.docker.lb.port"),
    ];
    for (key, suggestion) in cases {
        let ReadLabels { reading, findings } = read(&[(key, "x")]);
        assert_eq!(reading, LabelReading::NotPublished, "{key}");
        assert_eq!(findings.len(), 1, "{key}");
        assert_eq!((&findings[0].code, findings[0].severity), (&FindingCode::UnknownLabel, Severity::Warning), "{key}");
        assert!(findings[0].remedy.contains(suggestion), "{key}: {}", findings[0].remedy);
    }
    assert_eq!(read(&[("com.docker.network", "front")]).findings[0].severity, Severity::Info);
}

#[test]
fn the_cluster_is_read_without_surrounding_blanks_and_an_empty_value_is_no_label() {
    assert_eq!(service_cluster_of(&map(&[("service_cluster", " dev ")])), Some("dev"));
    assert_eq!(service_cluster_of(&map(&[("service_cluster", " ")])), None);
    assert_eq!(service_cluster_of(&BTreeMap::new()), None);
}

/// Keys that are labels, resemble labels, or are arbitrary; values that are good, or meant to break something.
fn any_labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let known = (0..LABELS.len()).prop_map(|at| format!("{PREFIX}{}", LABELS[at].name));
    let key = prop_oneof![4 => known, 1 => "com.docker.lb.[a-z_]{0,12}", 1 => any::<String>()];
    let value = prop_oneof![
        Just("true".to_owned()),
        "[0-9]{1,6}",
        "[a-z*.]{1,12}(,[a-z.]{1,9})?",
        "/[a-z/]{0,9}",
        "https?://[a-z.]{1,9},https?://[a-z.:0-9/]{1,9};?",
        "[\\x00-\\x1f\"'{};$ é\u{202e}]{0,9}",
        any::<String>(),
    ];
    proptest::collection::btree_map(key, value, 0..12)
}

proptest! {
    #[test]
    fn any_labels_are_read_without_panic_and_deterministically(labels in any_labels()) {
        let first = read_labels("s", &labels);
        prop_assert_eq!(&first, &read_labels("s", &labels));
        if first.reading == LabelReading::Refused {
            prop_assert!(first.findings.iter().any(|finding| finding.severity == Severity::Error), "refused without an error");
        }
    }

    #[test]
    fn labels_of_other_programs_have_no_effect(labels in any_labels(), others in proptest::collection::btree_map("org\\.[a-z]{1,9}", any::<String>(), 0..5)) {
        let alone = read_labels("s", &labels);
        let together: BTreeMap<_, _> = labels.into_iter().chain(others).collect();
        prop_assert_eq!(alone, read_labels("s", &together));
    }
}

#[test]
fn more_hosts_than_a_service_may_publish_are_left_out_with_a_finding() {
    let many: Vec<String> = (0..1_001).map(|n| format!("h{n}.example")).collect();
    assert_eq!(published(&[("hosts", &many[..1_000].join(","))]).1, []);
    let (labels, codes) = published(&[("hosts", &many.join(","))]);
    assert_eq!((labels.hosts.len(), codes), (1_000, vec![FindingCode::InvalidLabelValue]));
}
