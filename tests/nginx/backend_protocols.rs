//! Protocols towards applications: TLS with and without verification, HTTP/2, long-lived connections.

use std::net::SocketAddr;

use super::curl::ask;
use super::engine::nginx;
use super::raw_client::get;
use super::route_tables::{Path, route};
use super::serving::serving;
use super::{certificates, tls_application};
use swarmgate::route::{BackendProtocol, MaterialKind, MaterialRef, Verification};
use swarmgate::types::ObjectName;

fn authority() -> Verification {
    let name = ObjectName::parse("corp-ca").unwrap();
    Verification::Authority(MaterialRef { kind: MaterialKind::Config, name, id: Some("idca".to_owned()) })
}

/// The response that a client of `host` gets from an application over this protocol.
async fn answer(host: &str, path: (&str, Path), protocol: BackendProtocol, application: SocketAddr, target: &str) -> Option<(u16, String)> {
    let engine = serving(async |table| {
        route(table, host, path.0, path.1, &[application]);
        table.backends_mut().for_each(|backend| backend.protocol = protocol.clone());
    });
    let engine = engine.await?;
    let answer = get(engine.http(), host, target).await;
    Some((answer.status, answer.body))
}

async fn check_tls(host: &str, verification: Verification, http2: bool, expected: u16) {
    let application = match nginx() {
        Some(_) => tls_application::start("good.test").await,
        None => return,
    };
    let protocol = BackendProtocol { http2, tls: Some(verification) };
    let Some((status, body)) = answer(host, ("/", Path::Kept), protocol, application, "/x?y=%20").await else { return };
    assert_eq!(status, expected, "{host}: {body}");
    let protocol = if http2 { "protocol: HTTP/2.0" } else { "protocol: HTTP/1.1" };
    assert!(
        status != 200 || body.contains(protocol) && body.contains("target: /x?y=%20") && body.contains(&format!("sni: {host}")),
        "{body}"
    );
}

#[tokio::test]
async fn applications_are_reached_over_tls_and_verified_as_configured() {
    for http2 in [false, true] {
        check_tls("good.test", Verification::Off, http2, 200).await;
        check_tls("other.test", Verification::Off, http2, 200).await;
        check_tls("good.test", authority(), http2, 200).await;
        check_tls("good.test", Verification::System, http2, 200).await;
        check_tls("other.test", authority(), http2, 502).await;
    }
}

#[tokio::test]
async fn plain_text_http2_reaches_applications_with_rewritten_paths() {
    if nginx().is_none() {
        return;
    }
    let protocol = BackendProtocol { http2: true, tls: None };
    let application = tls_application::start_h2c().await;
    let kept = answer("h", ("/a+b.c", Path::Kept), protocol.clone(), application, "/a+b.c/x?y").await.unwrap();
    assert!(kept.0 == 200 && kept.1.contains("protocol: HTTP/2.0") && kept.1.contains("target: /a+b.c/x?y"), "{kept:?}");
    let cut = answer("h", ("/a+b.c", Path::Cut), protocol.clone(), application, "/a+b.c/x?y").await.unwrap();
    assert!(cut.0 == 200 && cut.1.contains("target: /x?y"), "{cut:?}");
    let broken = answer("h", ("/a", Path::Cut), protocol, application, "/a/b%0Ac").await.unwrap();
    assert!(broken.0 == 200 && broken.1.contains("target: /b%0Ac"), "{broken:?}");
}

#[tokio::test]
async fn clients_can_use_plain_text_http2_with_prior_knowledge() {
    let engine = serving(async |table| {
        route(table, "h.test", "/", Path::Kept, &[tls_application::start_h2c().await]);
        table.backends_mut().for_each(|backend| backend.protocol = BackendProtocol { http2: true, tls: None });
    });
    let Some(engine) = engine.await else { return };
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), certificates::ca()).unwrap();
    let url = format!("http://h.test:{}/x", engine.http().port());
    let seen = ask(engine.http(), &url, &directory.path().join("ca.pem"), &["--http2-prior-knowledge"]).await;
    assert_eq!((seen.status, seen.version.as_str()), (200, "2"), "{seen:?}");
}
