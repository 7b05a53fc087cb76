//! Requests that are answered with a redirect, and similar ones that are not.

use super::engine::NginxProcess;
use super::raw_client::{get, request};
use super::route_tables::{Path, route};
use super::serving::serving;
use super::test_application;
use swarmgate::route::{Redirect, RouteTable};
use swarmgate::types::{ContextPath, HostPattern, Port, Scheme, SiteUrl};

fn redirect(table: &mut RouteTable, host: &str, scheme: Scheme, path: &str, target: &str) {
    let redirect = Redirect { scheme, path: ContextPath::parse(path).unwrap(), target: SiteUrl::parse(target).unwrap() };
    table.hosts.entry(HostPattern::parse(host).unwrap()).or_default().redirects.push(redirect);
}

async fn check(engine: &NginxProcess, host: &str, target: &str, expected: (u16, &str)) {
    let answer = get(engine.http(), host, target).await;
    assert_eq!((answer.status, answer.header("location")), expected, "{host}{target}");
}

#[tokio::test]
async fn a_redirect_keeps_path_and_query_and_ignores_other_paths() {
    let engine = serving(async |table| {
        let app = test_application::start("app").await;
        route(table, "part.test", "/", Path::Kept, &[app]);
        route(table, "part.test", "/old/kept", Path::Kept, &[app]);
        redirect(table, "whole.test", Scheme::Http, "/", "http://new.test:8080");
        redirect(table, "part.test", Scheme::Http, "/old", "https://new.test/base");
        redirect(table, "part.test", Scheme::Https, "/", "https://elsewhere.test");
    });
    let Some(engine) = engine.await else { return };
    check(&engine, "whole.test", "/a/b?c=%20d", (302, "http://new.test:8080/a/b?c=%20d")).await;
    check(&engine, "part.test", "/old", (302, "https://new.test/base/old")).await;
    check(&engine, "part.test", "/old/x?y", (302, "https://new.test/base/old/x?y")).await;
    check(&engine, "part.test", "/older", (200, "")).await;
    check(&engine, "part.test", "/old/kept/x", (200, "")).await;
    check(&engine, "part.test", "/", (200, "")).await;
}

#[tokio::test]
async fn https_only_redirects_with_301_for_safe_methods_and_308_otherwise() {
    let engine = serving(async |table| {
        let app = test_application::start("app").await;
        route(table, "*.secure.test", "/", Path::Kept, &[app]);
        route(table, "mixed.test", "/open", Path::Kept, &[app]);
        route(table, "mixed.test", "/closed", Path::Kept, &[app]);
        (table.https_port, table.https_published) = (Port::new(super::ports::free_port()).ok(), Port::new(8443).ok());
        for (host, path) in [("*.secure.test", "/"), ("mixed.test", "/closed")] {
            let host = table.hosts.get_mut(&HostPattern::parse(host).unwrap()).unwrap();
            host.paths.get_mut(&ContextPath::parse(path).unwrap()).unwrap().https_only = true;
        }
    });
    let Some(engine) = engine.await else { return };
    check(&engine, "a.secure.test", "/x?y=1", (301, "https://a.secure.test/x?y=1")).await;
    check(&engine, "a.secure.test:8080", "/x", (301, "https://a.secure.test:8443/x")).await;
    check(&engine, "mixed.test", "/open", (200, "")).await;
    check(&engine, "mixed.test", "/closed/x", (301, "https://mixed.test/closed/x")).await;
    let answer = request(engine.http(), "POST", "mixed.test", "/closed", &["Content-Length: 0"]).await;
    assert_eq!((answer.status, answer.header("location")), (308, "https://mixed.test/closed"));
}

#[tokio::test]
async fn a_passthrough_only_host_redirects_plain_http() {
    let engine = serving(async |table| {
        table.https_published = Port::new(443).ok();
        table.hosts.entry(HostPattern::parse("pass.test").unwrap()).or_default().https_only = true;
        redirect(table, "moved.test", Scheme::Http, "/here", "https://pass.test");
    });
    let Some(engine) = engine.await else { return };
    check(&engine, "pass.test", "/x", (301, "https://pass.test/x")).await;
    check(&engine, "moved.test", "/here/x", (302, "https://pass.test/here/x")).await;
    check(&engine, "moved.test", "/there", (503, "")).await;
}
