//! Certificates from Swarm's mounts to clients, and what happens while one is not yet mounted, is invalid, or is missing.

#[path = "tls_client.rs"]
mod client;

use std::time::Duration;

use swarmgate::protocol::messages::{Bundle, MaterialState};
use swarmgate::route::{MaterialKind, MaterialRef, RouteTable, TlsBinding};
use swarmgate::types::{HostPattern, ObjectName, Port};

use crate::eventually_healthy;
use crate::route_tables::routes;
use crate::stage::{Stage, eventually, on_stage};
use crate::test_application::TestApplication;
use client::{Certificate, certificate, certificate_after, certificate_for, shown, tls_load};

const APP: &str = "app.example.org";

/// The table with each of these hosts published over TLS, using the object with this id.
fn secured(stage: &Stage, mut table: RouteTable, hosts: &[(&str, &str)]) -> RouteTable {
    table.https_port = Some(Port::new(stage.https().port()).unwrap());
    for (name, id) in hosts {
        let certificate = MaterialRef { kind: MaterialKind::Secret, name: ObjectName::parse(id).unwrap(), id: Some((*id).to_owned()) };
        let host = table.hosts.get_mut(&HostPattern::parse(name).unwrap()).unwrap();
        host.tls = Some(TlsBinding { certificate, key: None });
    }
    table
}

fn one_host(stage: &Stage, app: &TestApplication, id: &str) -> RouteTable {
    secured(stage, routes(stage, &[(APP, &[app])]), &[(APP, id)])
}

/// Mounts a certificate with its key in a task of the extension, as Swarm does when a task starts.
fn mount(stage: &Stage, id: &str, certificate: &Certificate) {
    std::fs::write(stage.path("extension-mounts").join(id), &certificate.pem).unwrap();
}

/// The state of an object as the extension reports it.
fn state(stage: &Stage, id: &str) -> Option<MaterialState> {
    stage.report()?.material.iter().find(|report| report.certificate == id).map(|report| report.state)
}

async fn until_shown(stage: &Stage, host: &str, expected: &Certificate) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        match shown(stage.https(), Some(host)).await {
            Ok((der, body)) if der == expected.der => return assert_eq!(body, "one"),
            other => {
                assert!(tokio::time::Instant::now() < deadline, "the wrong certificate is presented: {:?}", other.map(|(_, body)| body));
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn is_refused(stage: &Stage, host: Option<&str>) -> bool {
    shown(stage.https(), host).await.is_err_and(|message| message.contains("handshake"))
}

#[test]
fn a_certificate_is_presented_only_for_its_host() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let good = certificate(APP);
        mount(stage, "good", &good);
        stage.publish(one_host(stage, &app, "good"));
        until_shown(stage, APP, &good).await;
        assert!(is_refused(stage, None).await, "a client without SNI got a certificate");
        assert!(is_refused(stage, Some("other.example.org")).await);
        let report = eventually("the certificate is reported", || stage.report()?.material.first().cloned()).await;
        assert_eq!((report.state, report.names), (MaterialState::Good, vec![APP.to_owned()]));
        let report = format!("{:?}", stage.report()) + &serde_json::to_string(&stage.report().unwrap()).unwrap();
        assert!(!report.contains("PRIVATE KEY") && report.contains("tls-"), "the report must contain names but no contents");
        eventually("the volume is written", || stage.saved_state()).await;
        let volume = std::fs::read_to_string(stage.path("volume").join("last-good.json")).unwrap();
        assert!(!volume.contains("PRIVATE KEY") && volume.contains("tls-"), "the volume must contain names but no contents");
    });
}

#[test]
fn renewing_a_certificate_fails_no_request_and_waits_for_its_mount() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let mut extension = stage.start_extension();
        stage.start_proxy();
        let mut old = certificate(APP);
        mount(stage, "c0", &old);
        stage.publish(one_host(stage, &app, "c0"));
        until_shown(stage, APP, &old).await;
        let load = tls_load(stage.https(), APP, 4);
        for (before, id) in [("c0", "c1"), ("c1", "c2"), ("c2", "c3"), ("c3", "c4"), ("c4", "c5")] {
            let new = certificate(APP);
            let renewed = stage.publish(one_host(stage, &app, id));
            eventually("the new certificate is awaited", || (state(stage, id)? == MaterialState::Awaited).then_some(())).await;
            stage.until_running(&renewed).await;
            until_shown(stage, APP, &old).await;
            // The operator replaces the extension by one that mounts the new certificate; the old one is no longer mounted.
            extension.stop().await;
            std::fs::remove_file(stage.path("extension-mounts").join(before)).unwrap();
            mount(stage, id, &new);
            extension = stage.start_extension();
            until_shown(stage, APP, &new).await;
            old = new;
        }
        let outcome = load.finish().await;
        assert_eq!(outcome.failed, Vec::<String>::new(), "{} requests were answered", outcome.answered);
        assert!(outcome.answered > 100, "the load sent too few requests: {outcome:?}");
    });
}

#[test]
fn an_invalid_certificate_disables_tls_only_for_its_host() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let good = certificate(APP);
        mount(stage, "good", &good);
        std::fs::write(stage.path("extension-mounts").join("nonsense"), "nonsense").unwrap();
        // Material that only the engine rejects.
        let unknown_key = format!(
            "{}-----BEGIN PRIVATE KEY-----\nMBUCAQAwDQYHKoZIzj0CAQYCKgMEAQA=\n-----END PRIVATE KEY-----\n",
            certificate("b.example.org").chain
        );
        std::fs::write(stage.path("extension-mounts").join("strange"), unknown_key).unwrap();
        let hosts = [(APP, "good"), ("a.example.org", "nonsense"), ("b.example.org", "strange")];
        let apps: &[&TestApplication] = &[&app];
        let plain = routes(stage, &hosts.map(|(host, _)| (host, apps)));
        let desired = stage.publish(secured(stage, plain, &hosts));
        stage.until_running(&desired).await;
        until_shown(stage, APP, &good).await;
        for host in ["a.example.org", "b.example.org"] {
            assert!(is_refused(stage, Some(host)).await, "{host}");
            assert_eq!(stage.answer(host).await.unwrap(), "one", "{host} is not served over plain HTTP");
        }
        assert_eq!(state(stage, "nonsense"), Some(MaterialState::NotACertificate));
        assert_eq!(state(stage, "strange"), Some(MaterialState::NotAKey));
        assert_eq!(stage.report().unwrap().refused, None);
    });
}

#[test]
fn an_expired_certificate_is_withdrawn_although_nothing_else_changes() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let short = certificate_for(APP, Duration::from_secs(6));
        mount(stage, "short", &short);
        stage.publish(one_host(stage, &app, "short"));
        until_shown(stage, APP, &short).await;
        eventually("the certificate expires", || (state(stage, "short")? == MaterialState::Expired).then_some(())).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !is_refused(stage, Some(APP)).await {
            assert!(tokio::time::Instant::now() < deadline, "the expired certificate is still presented");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(stage.answer(APP).await.unwrap(), "one");
    });
}

#[test]
fn a_certificate_is_used_as_soon_as_it_becomes_valid() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.start_proxy();
        let (old, new) = (certificate(APP), certificate_after(APP, Duration::from_secs(15)));
        mount(stage, "old", &old);
        mount(stage, "new", &new);
        stage.publish(one_host(stage, &app, "old"));
        until_shown(stage, APP, &old).await;
        let renewed = stage.publish(one_host(stage, &app, "new"));
        eventually("the certificate is reported as not yet valid", || (state(stage, "new")? == MaterialState::NotYetValid).then_some(()))
            .await;
        stage.until_running(&renewed).await;
        // The previous certificate is not kept. Workers from before the reload may still accept a connection.
        while !is_refused(stage, Some(APP)).await {
            assert_eq!(state(stage, "new"), Some(MaterialState::NotYetValid), "no handshake failed before the certificate became valid");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        until_shown(stage, APP, &new).await;
        eventually("the certificate is reported as good", || (state(stage, "new")? == MaterialState::Good).then_some(())).await;
    });
}

#[test]
fn a_new_extension_waits_for_missing_certificates_before_it_serves_proxies() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension();
        stage.publish(one_host(stage, &app, "late"));
        eventually("the certificate is awaited", || (state(stage, "late")? == MaterialState::Awaited).then_some(())).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(stage.report().unwrap().accepted, None);
        mount(stage, "late", &certificate(APP));
        eventually("the extension continues", || stage.report()?.accepted).await;
        assert_eq!(state(stage, "late"), Some(MaterialState::Good));
    });
}

/// The boot snapshot of one host with a certificate and one plain host.
async fn boot_snapshot(stage: &Stage, app: &TestApplication, id: &str) -> Bundle {
    let extension = stage.start_extension();
    stage.publish(secured(stage, routes(stage, &[(APP, &[app]), ("plain.example.org", &[app])]), &[(APP, id)]));
    let boot = eventually("the boot snapshot arrives", || stage.report()?.boot).await;
    extension.stop().await;
    boot
}

#[test]
fn a_proxy_started_from_its_boot_snapshot_uses_the_mounted_secrets() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let good = certificate(APP);
        mount(stage, "good", &good);
        stage.write_boot_file(&boot_snapshot(stage, &app, "good").await);
        std::fs::write(stage.path("proxy-mounts").join("good"), &good.pem).unwrap();
        stage.start_proxy();
        eventually_healthy(stage, "boot").await;
        // Application names do not resolve here: the test checks only the certificate.
        assert_eq!(client::handshake(stage.https(), Some(APP)).await.unwrap(), good.der);
    });
}

#[test]
fn a_proxy_started_without_its_secrets_serves_other_hosts_and_adds_tls_later() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let good = certificate(APP);
        mount(stage, "good", &good);
        stage.write_boot_file(&boot_snapshot(stage, &app, "good").await);
        let proxy = stage.start_proxy();
        eventually_healthy(stage, "boot").await;
        assert!(is_refused(stage, Some(APP)).await);
        let extension = stage.start_extension();
        until_shown(stage, APP, &good).await;
        eventually("the volume is written", || stage.saved_state()).await;
        proxy.drain().await;

        // The volume holds the same configuration that the extension offers later, but no key.
        extension.stop().await;
        stage.start_proxy();
        eventually_healthy(stage, "volume").await;
        assert!(is_refused(stage, Some(APP)).await);
        assert_eq!(stage.answer("plain.example.org").await.unwrap(), "one");
        stage.start_extension();
        until_shown(stage, APP, &good).await;
    });
}
