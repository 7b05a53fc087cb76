//! Settings of services on one host: certificates, passthrough, redirects, affinity, protocols.

use super::*;
use crate::report::{RouteState, TlsState};
use crate::route::{Affinity, MaterialKind, Verification};
use crate::types::Scheme;

/// A Swarm with secrets of no stack and of one, and these services with one task each.
fn swarm(services: &[(&str, &str)]) -> Translation {
    let service = |(name, labels): &(&str, &str)| format!("\n  - {{name: {name}, labels: {{{labels}}}, networks: [web], tasks: 1}}");
    let services: String = services.iter().map(service).collect();
    let mut raw = compact_swarm::expand(&compact_swarm::yaml(&format!("nodes: [n1]\nnetworks: [web]\nservices:{services}\n")));
    let secret = |(name, labels): (&str, serde_json::Value)| serde_json::json!({"ID": format!("id{name}"), "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {"Name": name, "Labels": labels}});
    let (none, shop) = (serde_json::json!({}), serde_json::json!({"com.docker.stack.namespace": "shop"}));
    let secrets = [("crt", none.clone()), ("key", none.clone()), ("crt2", none), ("shop_crt", shop.clone()), ("shop.pem", shop)];
    raw["secrets"] = secrets.map(secret).into_iter().collect();
    translate(&cluster(), &Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap())
}

fn bindings(translation: &Translation) -> Vec<String> {
    let object = |material: &crate::route::MaterialRef| format!("{}={}", material.name, material.id.as_deref().unwrap_or("?"));
    translation.table.bindings().map(|(host, b)| format!("{} {} {}", host, object(&b.certificate), object(b.key_object()))).collect()
}

/// Checks the certificates of all hosts and the codes of all findings.
fn check(services: &[(&str, &str)], expected: &[&str], expected_codes: &[FindingCode]) {
    let translation = swarm(services);
    assert_eq!(bindings(&translation), expected, "{services:?}");
    let found: Vec<_> = codes(&translation).into_iter().filter(|code| *code != FindingCode::NoEndpoints).collect();
    assert_eq!(found, expected_codes, "{services:?}: {:?}", translation.findings);
}

#[test]
fn secrets_are_found_by_their_full_name_or_within_the_stack() {
    check(&[("a", "hosts: a.test, port: 80, ssl_cert: crt, ssl_key: key")], &["a.test crt=idcrt key=idkey"], &[]);
    check(&[("a", "hosts: a.test, port: 80, ssl_cert: crt, ssl_key: crt")], &["a.test crt=idcrt crt=idcrt"], &[]);
    let stack = "hosts: a.test, port: 80, ssl_cert: crt, com.docker.stack.namespace: shop";
    check(&[("a", stack)], &["a.test shop_crt=idshop_crt shop_crt=idshop_crt"], &[]);
    let stack = "hosts: a.test, port: 80, ssl_cert: shop.pem, com.docker.stack.namespace: shop";
    check(&[("a", stack)], &["a.test shop.pem=idshop.pem shop.pem=idshop.pem"], &[]);
    let stack = "hosts: a.test, port: 80, ssl_cert: shop_crt, com.docker.stack.namespace: shop";
    check(&[("a", stack)], &["a.test shop_crt=idshop_crt shop_crt=idshop_crt"], &[]);
    check(&[("a", "hosts: a.test, port: 80, ssl_cert: gone")], &["a.test gone=? gone=?"], &[FindingCode::SecretNotFound]);
    check(&[("a", "hosts: a.test, port: 80, ssl_cert: shop_crt")], &["a.test shop_crt=? shop_crt=?"], &[FindingCode::RefNotPermitted]);
}

#[test]
fn a_name_resolves_to_the_object_of_the_service_that_uses_it() {
    let of_shop = ("a", "hosts: a.test, port: 80, ssl_cert: crt, com.docker.stack.namespace: shop");
    let of_nobody = ("b", "hosts: b.test, port: 80, ssl_cert: crt");
    let translation = swarm(&[of_shop, of_nobody]);
    let named = translation.references.values().filter_map(|of| Some(of.certificate.as_ref()?.name.to_string()));
    assert_eq!(named.collect::<Vec<_>>(), ["shop_crt", "crt"]);
}

#[test]
fn the_oldest_service_with_a_tls_setting_decides_for_the_host() {
    let plain = ("a", "hosts: a.test, port: 80");
    let secured = ("b", "hosts: a.test, port: 80, context_root: /b, ssl_cert: crt, ssl_key: key");
    check(&[plain, secured], &["a.test crt=idcrt key=idkey"], &[]);
    let other = ("c", "hosts: a.test, port: 80, context_root: /c, ssl_cert: crt2");
    check(&[plain, secured, other], &["a.test crt=idcrt key=idkey"], &[FindingCode::ConflictingSetting]);
    let passed = ("d", "hosts: a.test, port: 443, ssl_passthrough: true");
    check(&[secured, passed], &["a.test crt=idcrt key=idkey"], &[FindingCode::ConflictingSetting]);
    check(&[passed, secured], &[], &[FindingCode::ConflictingSetting]);
}

#[test]
fn passthrough_works_alongside_plain_http_of_the_same_host() {
    let translation = swarm(&[
        ("pass", "hosts: a.test, port: 443, ssl_passthrough: true, ssl_only: true"),
        ("more", "hosts: a.test, port: 444, ssl_passthrough: true"),
        ("plain", "hosts: a.test, port: 80, context_root: /plain"),
    ]);
    let passed = &translation.table.passthrough[&host("a.test")];
    assert_eq!(passed.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["pass", "more"]);
    let virtual_host = &translation.table.hosts[&host("a.test")];
    assert_eq!((virtual_host.paths.len(), virtual_host.https_only), (1, true));
    assert_eq!(codes(&translation), []);
    let alone = swarm(&[("pass", "hosts: a.test, port: 443, ssl_passthrough: true")]);
    assert!(alone.table.hosts.is_empty(), "nothing is answered in plain HTTP");
}

#[test]
fn a_cluster_without_a_tls_port_is_reported() {
    let mut cluster = cluster();
    cluster.proxy.publish.https = None;
    let raw = compact_swarm::expand(&compact_swarm::yaml(
        "nodes: [n1]\nnetworks: [web]\nservices:\n  - {name: a, labels: {hosts: a.test, port: 80, ssl_cert: crt, ssl_only: true}, networks: [web], tasks: 1}\n  \
         - {name: b, labels: {hosts: b.test, port: 80, ssl_passthrough: true}, networks: [web], tasks: 1}\n",
    ));
    let translation = translate(&cluster, &Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap());
    let count = count_of(&translation.findings);
    assert_eq!((count[&FindingCode::TlsNotPublished], count[&FindingCode::RedirectWithoutTls]), (2, 1));
    assert!(translation.table.passthrough.is_empty() && bindings(&translation).is_empty());
    assert!(!translation.table.hosts[&host("a.test")].paths.values().any(|route| route.https_only), "only plain HTTP is published");
}

fn redirects_of(labels: &str) -> (Vec<String>, Vec<FindingCode>) {
    let translation = swarm(&[("a", &format!("hosts: \"a.test,b.test\", port: 80, {labels}"))]);
    let scheme = |scheme: Scheme| scheme.as_str();
    let all = translation.table.hosts.iter().flat_map(|(host, virtual_host)| virtual_host.redirects.iter().map(move |r| (host, r)));
    (all.map(|(host, r)| format!("{}://{host}{} {}", scheme(r.scheme), r.path, r.target)).collect(), codes(&translation))
}

#[test]
fn a_redirect_that_leads_back_to_itself_is_ignored() {
    let (redirects, _) = redirects_of("redirects: \"http://a.test,https://a.test;http://b.test/x,http://a.test\"");
    assert_eq!(redirects, ["http://a.test/ https://a.test", "http://b.test/x http://a.test"]);
    for looping in [
        "http://a.test,http://a.test",
        "http://a.test,http://A.test/x",
        "http://a.test/x,http://a.test",
        "http://a.test/x,http://a.test/x/y",
    ] {
        let (redirects, codes) = redirects_of(&format!("redirects: \"{looping}\""));
        assert_eq!((redirects, codes), (vec![], vec![FindingCode::RedirectLoop]), "{looping}");
    }
    let (redirects, codes) = redirects_of("redirects: \"http://a.test/x,http://a.test/y;http://b.test,http://b.test:8080\"");
    assert_eq!((redirects.len(), codes), (2, vec![]));
}

#[test]
fn redirects_that_form_a_loop_of_several_steps_are_ignored() {
    for (round, kept) in [
        ("http://a.test,http://b.test;http://b.test,http://a.test", "http://a.test/ http://b.test"),
        ("http://a.test/x,http://b.test/y;http://b.test/y,http://a.test/x", "http://a.test/x http://b.test/y"),
        // It grows without end.
        ("http://a.test/x,http://a.test/y;http://a.test/y,http://a.test/x", "http://a.test/x http://a.test/y"),
    ] {
        let (redirects, codes) = redirects_of(&format!("redirects: \"{round}\""));
        assert_eq!((redirects, codes), (vec![kept.to_owned()], vec![FindingCode::RedirectLoop]), "{round}");
    }
    // Over HTTPS, to which `ssl_only` leads back; without it there is no circle.
    let tls = |more: &str| redirects_of(&format!("ssl_cert: crt, redirects: \"https://a.test,http://a.test\"{more}")).0;
    assert_eq!(tls(", ssl_only: true"), [""; 0]);
    assert_eq!(tls(""), ["https://a.test/ http://a.test"]);
}

#[test]
fn in_a_loop_of_two_services_the_older_redirect_is_kept() {
    let older = ("a", "hosts: a.test, port: 80, redirects: \"http://a.test,http://b.test\"");
    let translation = swarm(&[older, ("b", "hosts: b.test, port: 80, redirects: \"http://b.test,http://a.test\"")]);
    assert_eq!(translation.table.hosts[&host("a.test")].redirects, swarm(&[older]).table.hosts[&host("a.test")].redirects);
    assert!(translation.table.hosts[&host("b.test")].redirects.is_empty());
    let findings: Vec<_> = translation.findings.iter().map(|finding| (finding.code.clone(), finding.subject.to_string())).collect();
    assert!(findings.contains(&(FindingCode::RedirectLoop, "service b".to_owned())), "{findings:?}");
}

#[test]
fn a_redirect_from_or_to_missing_tls_is_reported() {
    let (redirects, codes) = redirects_of("redirects: \"https://a.test,http://b.test\"");
    assert_eq!((redirects, codes), (vec![], vec![FindingCode::LabelWithoutEffect]), "no request arrives for it");
    let (redirects, codes) = redirects_of("redirects: \"http://a.test,https://a.test;http://b.test,https://elsewhere.test\"");
    assert_eq!((redirects.len(), codes), (2, vec![FindingCode::RedirectWithoutTls]), "hosts published elsewhere are not known here");
}

#[test]
fn the_oldest_redirect_of_a_source_is_used() {
    let translation = swarm(&[
        ("a", "hosts: a.test, port: 80, redirects: \"http://a.test,http://b.test\""),
        ("b", "hosts: a.test, port: 80, redirects: \"http://a.test,http://c.test\""),
    ]);
    assert_eq!(translation.table.hosts[&host("a.test")].redirects[0].target.to_string(), "http://b.test");
    assert_eq!(codes(&translation), [FindingCode::ConflictingSetting]);
}

#[test]
fn affinity_and_protocol_come_from_the_oldest_service_of_a_route() {
    let translation = swarm(&[
        ("a", "hosts: a.test, port: 80, ip_hash: true, ssl_backend: true, ssl_backend_tls_verify: crt"),
        ("b", "hosts: a.test, port: 80, sticky_session_cookie: sid, weight: 20"),
    ]);
    let backend = &translation.table.hosts[&host("a.test")].paths[&crate::types::ContextPath::root()].backend;
    assert_eq!(backend.affinity, Affinity::ClientAddress);
    let Some(Verification::Authority(authority)) = &backend.protocol.tls else { panic!("{:?}", backend.protocol) };
    assert_eq!((authority.kind, authority.id.as_deref(), backend.protocol.http2), (MaterialKind::Secret, Some("idcrt"), false));
    assert_eq!(codes(&translation), [FindingCode::ConflictingSetting, FindingCode::ConflictingSetting]);
    let shares: Vec<_> = translation.routes[0].services.iter().map(|service| service.share_permille).collect();
    assert_eq!(shares, [800, 200]);
}

#[test]
fn a_service_of_weight_zero_gets_no_requests_and_reports_the_reason() {
    let translation = swarm(&[("a", "hosts: a.test, port: 80"), ("b", "hosts: a.test, port: 80, weight: 0")]);
    let report = &translation.routes[0];
    assert_eq!(report.services[1].endpoints[0].reason.as_deref(), Some("the service has the weight 0"));
    assert!(translation.table.backends().all(|backend| backend.services[1].endpoints.is_empty()));
    let alone = swarm(&[("b", "hosts: a.test, port: 80, weight: 0")]);
    assert_eq!(alone.routes[0].reason.as_deref(), Some("the weights of its services leave no requests for any of them"));
}

/// Why the only route to an application says that its requests get no answer.
fn refused(labels: &str) -> Option<String> {
    let translation = swarm(&[("a", labels)]);
    let route = translation.routes.iter().find(|route| route.kind == crate::report::RouteKind::Http).expect("a route");
    assert_eq!((route.state, route.is_answered()), (RouteState::Served, route.reason.is_none()), "{labels}");
    route.reason.clone()
}

#[test]
fn a_route_that_redirects_to_where_tls_is_refused_says_why() {
    let reason = |why: &str| Some(format!("plain HTTP is redirected to HTTPS, where the TLS handshake is refused: {why}"));
    let app = |labels: &str| refused(&format!("hosts: a.test, port: 80, {labels}"));
    assert_eq!(app("ssl_only: true"), reason("the host has no certificate"));
    let no_object = reason("the host has no certificate, because the service has no access to a secret gone");
    assert_eq!(app("ssl_only: true, ssl_cert: gone, ssl_key: key"), no_object);
    assert_eq!(refused("default_backend: true, port: 80, ssl_only: true"), reason("the host has no certificate"));
    for answered in ["ssl_cert: gone", "ssl_only: true, ssl_cert: crt", "ssl_only: true, redirects: \"http://a.test,https://b.test\""] {
        assert_eq!(app(answered), None, "{answered}");
    }
}

#[test]
fn a_certificate_that_does_not_exist_is_known_to_be_missing() {
    let state = |labels: &str| swarm(&[("a", labels)]).routes[0].tls.as_ref().map(|tls| tls.state.clone());
    assert_eq!(state("hosts: a.test, port: 80, ssl_cert: gone"), Some(TlsState::Missing));
    assert_eq!(state("hosts: a.test, port: 80, ssl_cert: crt"), Some(TlsState::Unknown));
}

#[test]
fn a_route_is_redirected_to_https_exactly_where_its_path_is() {
    let redirects = ["", "http://a.test", "https://a.test", "http://a.test/app", "http://a.test/app/deep", "https://a.test/app"];
    for (redirect, only) in redirects.iter().flat_map(|redirect| [(redirect, true), (redirect, false)]) {
        let redirects = if redirect.is_empty() { String::new() } else { format!(", redirects: \"{redirect},https://b.test\"") };
        let translation =
            swarm(&[("a", &format!("hosts: a.test, port: 80, context_root: /app, ssl_cert: crt, ssl_only: {only}{redirects}"))]);
        let host = &translation.table.hosts[&host("a.test")];
        let path = host.paths.keys().next().unwrap();
        let place = host.path_match(Scheme::Http, path.as_str()).unwrap();
        assert_eq!(host.redirects_to_https(path), place.answer == crate::route::PathAction::Https, "{redirect} {only}");
    }
}
