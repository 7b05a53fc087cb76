//! Which application answers for each host and path, and the path that it sees.

use super::engine::NginxProcess;
use super::raw_client::{get, raw};
use super::route_tables::{Path, route};
use super::serving::serving;
use super::{route_tables, test_application};
use swarmgate::route::DefaultBackend;

/// Starts an engine with one application per route, named after it. Returns `None` if there is no engine.
async fn engine(routes: &[(&'static str, &str, &str, Path)], default: Option<&'static str>) -> Option<NginxProcess> {
    serving(async |table| {
        for (name, host, path, kept) in routes {
            route(table, host, path, *kept, &[test_application::start(name).await]);
        }
        if let Some(name) = default {
            table.default_backend = Some(DefaultBackend::plain(route_tables::backend(&[test_application::start(name).await])));
        }
    })
    .await
}

/// Sends a request and compares the answer: the name of the application, or the status if there is none.
async fn check(engine: &NginxProcess, host: &str, target: &str, expected: &str) {
    let answer = get(engine.http(), host, target).await;
    let got = if answer.status == 200 { answer.echoed("app").to_owned() } else { answer.status.to_string() };
    assert_eq!(got, expected, "http://{host}{target}: {answer:?}\n{}", engine.error_log());
}

#[tokio::test]
async fn hosts_match_without_case_and_port_and_wildcards_match_one_label() {
    let routes = [
        ("exact", "a.example.org", "/", Path::Kept),
        ("any", "*.example.org", "/", Path::Kept),
        ("longer", "*.dev.example.org", "/", Path::Kept),
        ("underscore", "_", "/", Path::Kept),
    ];
    let Some(engine) = engine(&routes, None).await else { return };
    for (host, expected) in [
        ("a.example.org", "exact"),
        ("A.Example.ORG", "exact"),
        ("a.example.org:8080", "exact"),
        ("a.example.org.", "exact"),
        ("b.example.org", "any"),
        ("B.EXAMPLE.org:1", "any"),
        ("x.b.example.org", "503"),
        ("x.dev.example.org", "longer"),
        ("dev.example.org", "any"),
        ("example.org", "503"),
        ("a.example.org.evil.net", "503"),
        ("axexample.org", "503"),
        ("bexample.org", "503"),
        ("_", "underscore"),
        ("10.0.0.1", "503"),
        ("[::1]:80", "503"),
    ] {
        check(&engine, host, "/", expected).await;
    }
    assert_eq!(raw(engine.http(), "GET / HTTP/1.0\r\n\r\n").await.status, 503);
}

#[tokio::test]
async fn the_default_backend_answers_only_for_unpublished_hosts() {
    let routes = [("published", "a.example.org", "/app", Path::Kept)];
    let Some(engine) = engine(&routes, Some("default")).await else { return };
    check(&engine, "elsewhere.example.org", "/any/path", "default").await;
    check(&engine, "a.example.org", "/app", "published").await;
    check(&engine, "a.example.org", "/elsewhere", "404").await;
    let old = raw(engine.http(), "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((old.status, old.echoed("app")), (200, "default"));
}

#[tokio::test]
async fn the_longest_path_at_a_segment_boundary_wins() {
    let routes = [
        ("site", "h", "/", Path::Kept),
        ("app", "h", "/app", Path::Kept),
        ("deep", "h", "/app/deep", Path::Kept),
        ("dots", "h", "/v1.0", Path::Kept),
        ("alone", "alone", "/app", Path::Kept),
    ];
    let Some(engine) = engine(&routes, None).await else { return };
    for (target, expected) in [
        ("/", "site"),
        ("/app", "app"),
        ("/app?x=/app/deep", "app"),
        ("/app/", "app"),
        ("/app/x", "app"),
        ("/apple", "site"),
        ("/APP", "site"),
        ("/app.html", "site"),
        ("/app/deep", "deep"),
        ("/app/deep/x", "deep"),
        ("/app/deeper", "app"),
        ("/x/../app/y", "app"),
        ("/app/../secret", "site"),
        ("/%61pp/x", "app"),
        ("//app//deep/x", "deep"),
        ("/v1.0/x", "dots"),
        ("/v1x0/x", "site"),
    ] {
        check(&engine, "h", target, expected).await;
    }
    check(&engine, "alone", "/app/x", "alone").await;
    check(&engine, "alone", "/", "404").await;
    check(&engine, "alone", "/nginx_status", "404").await;
}

#[tokio::test]
async fn without_rewriting_applications_receive_the_exact_target() {
    let routes = [("app", "h", "/app", Path::Kept)];
    let Some(engine) = engine(&routes, None).await else { return };
    for target in ["/app", "/app/", "/app/a%2Fb%20c?d=e%20f&g", "/app//x", "/app/./y", "/app/%C3%A4?"] {
        let answer = get(engine.http(), "h", target).await;
        assert_eq!((answer.status, answer.echoed("target")), (200, target));
    }
}

#[tokio::test]
async fn rewriting_strips_the_path_and_adds_a_slash_only_to_the_context_root() {
    let routes = [("app", "h", "/app", Path::Cut), ("deep", "h", "/app/deep", Path::Cut), ("root", "r", "/", Path::Cut)];
    let Some(engine) = engine(&routes, None).await else { return };
    for (target, seen) in [
        ("/app/", "/"),
        ("/app/x", "/x"),
        ("/app/x/", "/x/"),
        ("/app/x.html?a=b%20c", "/x.html?a=b%20c"),
        ("/app/a%20b", "/a%20b"),
        ("/app/app/x", "/app/x"),
        ("/app/deep/x", "/x"),
    ] {
        let answer = get(engine.http(), "h", target).await;
        assert_eq!((answer.status, answer.echoed("target")), (200, seen), "{target}");
    }
    for (target, location) in [("/app", "/app/"), ("/app?x=1&y", "/app/?x=1&y"), ("/app/deep", "/app/deep/")] {
        let answer = get(engine.http(), "h", target).await;
        assert_eq!((answer.status, answer.header("location")), (301, location));
    }
    check(&engine, "h", "/apple", "404").await;
    assert_eq!(get(engine.http(), "r", "/any").await.echoed("target"), "/any");
}

/// Paths that some reader may interpret as leading out of the application's own path.
const LEADING_OUT: [&str; 47] = [
    "/app/..;/admin",
    "/app/..;x=1/admin",
    "/app/.;/../admin",
    "/app/%2e%2e;/admin",
    "/app/..%3badmin",
    "/app/..%5cadmin",
    "/app/..\\admin",
    "/app\\..\\admin",
    "/app/%5c../admin",
    "/app/%252e%252e/admin",
    "/app/%25252e%25252e/admin",
    "/app/..%252fadmin",
    "/app/%C0%AE%c0%ae/admin",
    "/app/..%c0%afadmin",
    "/app/..%C1%9Cadmin",
    "/app/%25%32%65%25%32%65/admin",
    "/app/..%25%32%66admin",
    "/app/%e0%80%ae%E0%80%AE/admin",
    "/app/..%f0%80%80%afadmin",
    "/app/%c0%2e%c0%2e/admin",
    "/app/..%c0%5cadmin",
    "/app/..%20/admin",
    "/app/.%09./admin",
    "/app/%0d%0a../admin",
    "/app/..%2520;x/admin",
    "/app/..%ef%bc%8fadmin",
    "/app/..%E2%81%84admin",
    "/app/%e3%80%82%EF%BC%8E/admin",
    "/b/a//../../app/x",
    "/app/x%2fy/../../admin",
    "/app/x%2fy/../../app",
    "/b/..%2fapp",
    "/app/%e2%80%a5/admin",
    "/app/%ef%b8%b0/admin",
    "/app/%ef%b9%92%ef%b9%92/admin",
    "/app/%ef%b9%92%ef%b9%92%2fadmin",
    "/app/..%ef%bc%9b/admin",
    "/app/..%ef%b9%94/admin",
    "/app/..%cd%be/admin",
    "/app/..%c0%bb/admin",
    "/app/..%c2%a0/admin",
    "/app/..%e3%80%80/admin",
    "/app/..%85/admin",
    "/app/..%c2%85/admin",
    "/app/;x/../admin",
    "/cut/..;/admin",
    "/rest/..;/app",
];

/// nginx resolves what it interprets as a step up before it chooses a location; it refuses what only applications may interpret
/// as one.
#[tokio::test]
async fn no_path_escapes_its_application() {
    let routes = [
        ("shop", "h", "/app", Path::Kept),
        ("cut", "h", "/cut", Path::Cut),
        ("rest", "h", "/", Path::Kept),
        ("alone", "alone", "/", Path::Kept),
    ];
    let Some(engine) = engine(&routes, None).await else { return };
    for target in LEADING_OUT {
        check(&engine, "h", target, "400").await;
        check(&engine, "alone", target, "alone").await;
    }
    for (target, app, seen) in [
        ("/app/../app/x", "shop", "/app/../app/x"),
        ("/app/%2e%2e/x", "rest", "/app/%2e%2e/x"),
        ("/app/x%2fy/./z", "shop", "/app/x%2fy/./z"),
        ("/app/.%c0%ae./x", "shop", "/app/.%c0%ae./x"),
        ("/app/a%ef%bc%9bb%c2%a0/x", "shop", "/app/a%ef%bc%9bb%c2%a0/x"),
        ("/app/a%2Fb;c=1?x=/..;/", "shop", "/app/a%2Fb;c=1?x=/..;/"),
        ("/app/a%5cb", "shop", "/app/a%5cb"),
        ("/app/.%20x/%20", "shop", "/app/.%20x/%20"),
        ("/app/a%ef%bc%8fb", "shop", "/app/a%ef%bc%8fb"),
        ("/app/...", "shop", "/app/..."),
        ("/app//x", "shop", "/app//x"),
        ("/app/50%25", "shop", "/app/50%25"),
        ("/app/%C0/%253Dx", "shop", "/app/%C0/%253Dx"),
    ] {
        check(&engine, "h", target, app).await;
        assert_eq!(get(engine.http(), "h", target).await.echoed("target"), seen);
    }
    let absolute = raw(engine.http(), "GET http://h/app/..;/admin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(absolute.status, 400);
}

#[tokio::test]
async fn applications_answer_only_their_own_requests() {
    let routes = [("neighbour", "h", "/app", Path::Kept), ("own", "h", "/own", Path::Kept)];
    let Some(engine) = engine(&routes, None).await else { return };
    let answer = get(engine.http(), "h", "/own/_commands").await;
    assert_eq!((answer.status, answer.echoed("app"), answer.echoed("target")), (200, "own", "/own/_commands"), "{answer:?}");
}

#[tokio::test]
async fn applications_receive_the_stripped_prefix() {
    let routes = [("kept", "h", "/kept", Path::Kept), ("cut", "h", "/cut/deep", Path::Cut), ("root", "h", "/", Path::Cut)];
    let Some(engine) = engine(&routes, None).await else { return };
    for (target, prefix) in [("/cut/deep/x", "/cut/deep"), ("/kept/x", ""), ("/x", "")] {
        let answer = super::raw_client::request(engine.http(), "GET", "h", target, &["X-Forwarded-Prefix: /evil"]).await;
        assert_eq!((answer.status, answer.echoed("x-forwarded-prefix")), (200, prefix), "{target}: {answer:?}");
    }
    assert!(!engine.error_log().contains("uninitialized"), "{}", engine.error_log());
}
