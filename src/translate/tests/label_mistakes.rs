//! Mistakes that only their author can correct, and the findings about them.

use super::*;
use crate::report::Severity;

fn findings(compact: &str) -> Vec<Finding> {
    let swarm = format!("{{networks: [net, shop_web], secrets: [shop_cert, {{name: bank_cert, stack: bank}}], services: [{compact}]}}");
    let mut snapshot = snapshot(&swarm);
    // In the short form, a key without a dot is one of ours.
    for service in snapshot.services.values_mut() {
        let bare = |key: String| key.strip_prefix("com.docker.lb.caddy").map_or(key.clone(), |rest| format!("caddy{rest}"));
        service.labels = std::mem::take(&mut service.labels).into_iter().map(|(key, value)| (bare(key), value)).collect();
    }
    translate(&cluster(), &snapshot).findings
}

fn only(compact: &str, code: &FindingCode) -> Finding {
    let found: Vec<_> = findings(compact).into_iter().filter(|finding| finding.code == *code).collect();
    assert_eq!(found.len(), 1, "{compact}: {found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn labels_on_the_container_are_reported_with_their_correct_place() {
    let finding = only(
        "{name: app, containerLabels: {com.docker.lb.hosts: h, com.docker.lb.port: '80'}, networks: [net], tasks: 1}",
        &FindingCode::LabelOnContainer,
    );
    assert_eq!(finding.severity, Severity::Error);
    assert!(finding.message.contains("com.docker.lb.hosts, com.docker.lb.port") && finding.remedy.contains("deploy.labels"), "{finding}");
    let partly = "{name: app, labels: {hosts: h, port: 80}, containerLabels: {com.docker.lb.ssl_only: 'true', com.docker.lb.port: '80'}, networks: [net], tasks: 1}";
    let finding = only(partly, &FindingCode::LabelOnContainer);
    assert!(finding.severity == Severity::Warning && !finding.message.contains("lb.port"), "{finding}");
    let both =
        "{name: app, labels: {hosts: h, port: 80}, containerLabels: {com.docker.lb.port: '80', maintainer: me}, networks: [net], tasks: 1}";
    assert!(findings(both).iter().all(|finding| finding.code != FindingCode::LabelOnContainer));
}

#[test]
fn labels_of_other_proxies_are_reported_with_the_equivalent_labels() {
    let cases = [
        (
            "traefik.http.routers.x.rule: 'Host(`a.example.org`) && PathPrefix(`/`)', traefik.http.services.x.loadbalancer.server.port: '8080', traefik.enable: 'true'",
            "hosts=a.example.org",
            "port=8080",
        ),
        ("traefik.enable: 'true'", "hosts=HOST", "port=PORT"),
        ("Traefik.Enable: '1'", "hosts=HOST", "port=PORT"),
        ("traefik.http.services.x.loadbalancer.server.port: '8080', com.docker.lb.hosts: ''", "hosts=HOST", "port=8080"),
        ("traefik.http.routers.x.rule: 'Host(`a.org`) && !Host(`b.org`)'", "hosts=a.org ", "port=PORT"),
        ("traefik.http.routers.x.rule: 'Host(`b.org`, `a.org`) || Host(`c.org`)'", "hosts=a.org,b.org,c.org", "port=PORT"),
        ("traefik.frontend.rule: 'Host:a.org,b.org;PathPrefix:/'", "hosts=a.org,b.org", "port=PORT"),
        ("traefik.frontend.rule: 'Host:a.example.org', traefik.port: '80'", "hosts=a.example.org", "port=80"),
        ("caddy: a.example.org, caddy.reverse_proxy: '{{upstreams 8080}}'", "hosts=a.example.org", "port=8080"),
        ("caddy_0: a.example.org", "hosts=a.example.org", "port=PORT"),
        ("com.df.notify: 'true', com.df.serviceDomain: 'a.example.org,b.example.org', com.df.port: '80'", "hosts=a.example.org", "port=80"),
        ("traefik.http.routers.x.rule: 'Host(`$(reboot)`)'", "hosts=HOST", "port=PORT"),
    ];
    for (labels, host, port) in cases {
        let finding = only(&format!("{{name: app, labels: {{{labels}}}, networks: [net], tasks: 1}}"), &FindingCode::OtherProxyLabels);
        assert!(
            finding.severity == Severity::Info && finding.remedy.contains(host) && finding.remedy.contains(port),
            "{labels}: {finding}"
        );
    }
    for labels in [
        "traefik.enable: 'false'",
        "traefik.enable: 'false', traefik.http.routers.x.rule: 'Host(`a.org`)'",
        "traefik.docker.network: web",
        "caddyshack: x",
        "com.df.notify: 'false'",
        "traefik.enable: 'true', hosts: h, port: 80",
    ] {
        let found = findings(&format!("{{name: app, labels: {{{labels}}}, networks: [net], tasks: 1}}"));
        assert!(found.iter().all(|finding| finding.code != FindingCode::OtherProxyLabels), "{labels}");
    }
}

#[test]
fn a_partial_secret_name_is_recognised_but_never_that_of_another_stack() {
    let with = |name: &str, stack: &str| {
        only(
            &format!("{{name: app, {stack}labels: {{hosts: h, port: 80, ssl_cert: {name}}}, networks: [net], tasks: 1}}"),
            &FindingCode::SecretNotFound,
        )
        .remedy
    };
    assert!(with("cert", "").starts_with("Did you mean shop_cert?"), "{}", with("cert", ""));
    assert!(with("shop_crt", "").starts_with("Did you mean shop_cert?"));
    for (name, stack) in [("bank_crt", ""), ("ank_cert", ""), ("nothing-like-it", "")] {
        assert!(!with(name, stack).contains("bank_cert") && (stack.is_empty() || !with(name, stack).contains("Did you mean")), "{name}");
    }
}

#[test]
fn a_partial_network_name_is_recognised() {
    let with = |name: &str| {
        only(
            &format!("{{name: app, labels: {{hosts: h, port: 80, network: {name}}}, networks: [shop_web], tasks: 1}}"),
            &FindingCode::NetworkNotFound,
        )
        .remedy
    };
    assert!(with("web").starts_with("Did you mean shop_web?"));
    assert!(with("shop-wb").starts_with("Did you mean shop_web?"));
    assert!(!with("other").contains("Did you mean"));
}

#[test]
fn an_invisible_character_is_reported_with_its_position() {
    for (hidden, name) in
        [("\\u200b", "U+200B"), ("\\ufeff", "U+FEFF"), ("\\u00ad", "U+00AD"), ("\\u202e", "U+202E"), ("\\u00a0", "U+00A0")]
    {
        let finding = only(
            &format!("{{name: app, labels: {{hosts: \"a{hidden}b.example.org\", port: 80}}, networks: [net], tasks: 1}}"),
            &FindingCode::InvalidLabelValue,
        );
        assert!(finding.message.contains(&format!("an invisible character at position 2: {name}")), "{finding}");
        assert!(finding.value.as_deref().is_some_and(|value| value.starts_with("a\\u{")), "{finding}");
        let key = format!("{{name: app, labels: {{\"com.docker{hidden}.lb.hosts\": h, port: 80}}, networks: [net], tasks: 1}}");
        if name != "U+00A0" {
            let finding = only(&key, &FindingCode::UnknownLabel);
            assert!(finding.message.contains(name) && finding.remedy.contains("com.docker.lb.hosts"), "{finding}");
        }
    }
}

fn closed(label: &str) -> Translation {
    translated(&format!(
        "{{networks: [net], services: [{{name: app, labels: {{hosts: h, port: 80, {label}}}, networks: [net], tasks: 2}}]}}"
    ))
}

#[test]
fn a_label_that_looks_like_access_control_closes_its_service() {
    for label in [
        "basic_auth: 'x:y'",
        "basicauth: x",
        "allow_from: 10.0.0.0/8",
        "\"com.docker.lb.\\u200bipwhitelist\": x",
        "Com.Docker.LB.Auth: x",
        "swarmgate.basic_auth: x",
        "\"com.docker.lb.basic_auth=x:hidden\": ''",
        "\"com.docker.lb.basic_auth: x:hidden\": ''",
        "\"com.docker.lb.ip_whitelist 10.0.0.0/8\": ''",
        "\"com.docker.lb.basic auth\": x",
    ] {
        let translation = closed(label);
        assert_eq!(endpoints(&translation), ["h/: "], "{label}");
        assert!(
            translation.table.backends().all(|backend| backend.services.is_empty()),
            "a proxy that starts alone must not ask for names"
        );
        let finding = translation.findings.iter().find(|finding| finding.code == FindingCode::UnknownAccessLabel).unwrap();
        assert_eq!(finding.severity, Severity::Error);
        assert!(!finding.to_string().contains("hidden"), "it may be a password: {finding}");
        assert_eq!(translation.routes[0].services[0].endpoints.len(), 2, "they are shown with the reason");
    }
    for label in [
        "basic_auth: ''",
        "basic_auth: 'false'",
        "hots: x",
        "rate_limit: 5",
        "\"com.docker.lb.auth=false\": ''",
        "\"com.docker.lb.x=auth\": ''",
    ] {
        assert_eq!(endpoints(&closed(label)), ["h/: 10.1.1.2:80, 10.1.1.3:80"], "{label}");
    }
    let passed = closed("ssl_passthrough: 'true', deny: all");
    assert!(passed.table.passthrough[&host("h")].services.is_empty());
}

#[test]
fn an_access_control_label_on_the_containers_closes_their_service() {
    let of = |label: &str| {
        let service = format!("{{name: app, labels: {{hosts: h, port: 80}}, containerLabels: {{{label}}}, networks: [net], tasks: 2}}");
        translated(&format!("{{networks: [net], services: [{service}]}}"))
    };
    let closed = of("com.docker.lb.basic_auth: 'x:hidden'");
    assert_eq!(endpoints(&closed), ["h/: "]);
    let finding = closed.findings.iter().find(|finding| finding.code == FindingCode::UnknownAccessLabel).unwrap();
    assert!(finding.message.contains("is set on the containers") && !finding.to_string().contains("hidden"), "{finding}");
    assert_eq!(finding.field.as_deref(), Some("com.docker.lb.basic_auth"));
    for label in ["com.docker.lb.basic_auth: ''", "com.docker.lb.hosts: x", "basic_auth: x"] {
        assert_eq!(endpoints(&of(label)), ["h/: 10.1.1.2:80, 10.1.1.3:80"], "{label}");
    }
}

#[test]
fn a_closed_service_closes_only_its_own_part_and_no_other_answers_in_its_place() {
    let open = "{name: web, labels: {hosts: h, port: 80}, networks: [net], tasks: 1}";
    let closed = "{name: web-v2, labels: {hosts: h, port: 80, basic_auth: x}, networks: [net], tasks: 1}";
    check_endpoints(&format!("{{networks: [net], services: [{open}, {closed}]}}"), &["h/: 10.1.1.2:80"]);
    let wide = "{name: wide, labels: {hosts: '*.example.org', port: 80, default_backend: true}, networks: [net], tasks: 1}";
    let below = "{name: app, labels: {hosts: app.example.org, port: 80, basic_auth: x}, networks: [net], tasks: 1}";
    check_endpoints(&format!("{{networks: [net], services: [{wide}, {below}]}}"), &["*.example.org/: 10.1.1.2:80", "app.example.org/: "]);
    let default = translated(
        "{networks: [net], services: [{name: app, labels: {default_backend: true, port: 80, users: x}, networks: [net], tasks: 1}]}",
    );
    assert_eq!(default_services(&default), Vec::<&str>::new());
    assert!(default.table.default_backend.is_some());
}
