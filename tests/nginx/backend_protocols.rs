//! Protocols towards applications: TLS with and without verification, HTTP/2, long-lived connections.

use std::net::SocketAddr;

use super::curl::ask;
use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::raw_client::get;
use super::route_tables::{Path, empty, route};
use super::{certificates, tls_application};
use swarmgate::render::ConfigPurpose;
use swarmgate::route::{BackendProtocol, MaterialKind, MaterialRef, Verification};
use swarmgate::types::ObjectName;

fn authority() -> Verification {
    let name = ObjectName::parse("corp-ca").unwrap();
    Verification::Authority(MaterialRef { kind: MaterialKind::Config, name, id: Some("idca".to_owned()) })
}

/// The response that a client of `host` gets from an application over this protocol.
async fn answer(host: &str, path: (&str, Path), protocol: BackendProtocol, application: SocketAddr, target: &str) -> Option<(u16, String)> {
    let (nginx, place) = (nginx()?, EngineSandbox::new());
    let mut table = empty(place.http);
    route(&mut table, host, path.0, path.1, &[application]);
    table.backends_mut().for_each(|backend| backend.protocol = protocol.clone());
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
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
    let spoken = if http2 { "protocol: HTTP/2.0" } else { "protocol: HTTP/1.1" };
    assert!(
        status != 200 || body.contains(spoken) && body.contains("target: /x?y=%20") && body.contains(&format!("sni: {host}")),
        "{body}"
    );
}

#[tokio::test]
async fn applications_are_spoken_to_in_tls_and_checked_as_asked() {
    for http2 in [false, true] {
        check_tls("good.test", Verification::Off, http2, 200).await;
        check_tls("other.test", Verification::Off, http2, 200).await;
        check_tls("good.test", authority(), http2, 200).await;
        check_tls("good.test", Verification::System, http2, 200).await;
        check_tls("other.test", authority(), http2, 502).await;
    }
}

#[tokio::test]
async fn http2_goes_to_applications_in_plain_text_with_paths_cut_off_as_asked() {
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
async fn clients_speak_http2_in_plain_text_when_they_know_it_beforehand() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    route(&mut table, "h.test", "/", Path::Kept, &[tls_application::start_h2c().await]);
    table.backends_mut().for_each(|backend| backend.protocol = BackendProtocol { http2: true, tls: None });
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), certificates::ca()).unwrap();
    let url = format!("http://h.test:{}/x", engine.http().port());
    let seen = ask(engine.http(), &url, &directory.path().join("ca.pem"), &["--http2-prior-knowledge"]).await;
    assert_eq!((seen.status, seen.version.as_str()), (200, "2"), "{seen:?}");
}
