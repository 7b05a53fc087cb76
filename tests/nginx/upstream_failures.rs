//! The responses that clients get when applications fail, have gone, or never existed.

use super::ports::free_port;
use super::raw_client::{get, request};
use super::route_tables::{Path, backend, route};
use super::serving::{serving, serving_as};
use super::test_application;
use swarmgate::protocol::container_contract::ENGINE_READY_PATH;
use swarmgate::render::ConfigPurpose;
use swarmgate::route::DefaultBackend;

#[tokio::test]
async fn a_route_without_endpoints_answers_503_and_only_for_its_paths() {
    let engine = serving(async |table| {
        route(table, "h", "/app", Path::Kept, &[]);
        route(table, "h", "/cut", Path::Cut, &[]);
        route(table, "i", "/", Path::Kept, &[]);
        table.default_backend = Some(DefaultBackend::plain(backend(&[test_application::start("default").await])));
    });
    let Some(engine) = engine.await else { return };
    for (host, target, status) in
        [("h", "/app", 503), ("h", "/app/x", 503), ("h", "/cut/x", 503), ("h", "/", 404), ("i", "/any", 503), ("j", "/", 200)]
    {
        assert_eq!(get(engine.http(), host, target).await.status, status, "{host}{target}");
    }
}

#[tokio::test]
async fn a_missing_endpoint_fails_no_request_of_any_method() {
    let engine = serving(async |table| {
        let pool = [test_application::closed_port(), test_application::start("alive").await, test_application::closed_port()];
        route(table, "h", "/", Path::Kept, &pool);
    });
    let Some(engine) = engine.await else { return };
    for round in 0..30 {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let answer = request(engine.http(), method, "h", "/", &["Content-Length: 0"]).await;
            assert_eq!((answer.status, answer.echoed("app")), (200, "alive"), "{method} {round}: {}", engine.error_log());
        }
    }
}

#[tokio::test]
async fn a_fully_failed_pool_recovers_immediately() {
    let (first, second) = (test_application::closed_port(), test_application::closed_port());
    let engine = serving(async |table| route(table, "h", "/", Path::Kept, &[first, second]));
    let Some(engine) = engine.await else { return };
    for _ in 0..20 {
        assert_eq!(get(engine.http(), "h", "/").await.status, 502);
    }
    test_application::start_at(first, "back").await;
    for round in 0..20 {
        let answer = get(engine.http(), "h", "/").await;
        assert_eq!((answer.status, answer.echoed("app")), (200, "back"), "{round}: {}", engine.error_log());
    }
}

#[tokio::test]
async fn application_errors_are_passed_through_and_eject_no_endpoint() {
    let engine = serving(async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start("one").await, test_application::start("two").await]);
        table.settings.upstream_address_header = true;
    });
    let Some(engine) = engine.await else { return };
    for status in [500, 502, 503, 504] {
        for _ in 0..10 {
            let answer = get(engine.http(), "h", &format!("/_status/{status}")).await;
            assert_eq!((answer.status, answer.header("x-upstream-addr").contains(',')), (status, false));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(get(engine.http(), "h", "/").await.echoed("app").to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_boot_snapshot_starts_without_name_resolution() {
    let engine = serving_as(ConfigPurpose::Boot, async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start("app").await]);
    });
    let Some(engine) = engine.await else { return };
    assert_eq!(get(engine.http(), "h", "/").await.status, 502);
    assert_eq!(get(engine.http(), "unknown", "/").await.status, 503);
    assert_eq!(get(engine.status(), "localhost", ENGINE_READY_PATH).await.status, 200);
    assert_eq!(get(engine.status(), "localhost", "/").await.status, 404);
}

#[tokio::test]
async fn a_stock_nginx_serves_the_same_routes() {
    let engine = serving_as(ConfigPurpose::Stock, async |table| {
        table.https_port = swarmgate::types::Port::new(free_port()).ok();
        route(table, "h", "/app", Path::Cut, &[test_application::start("app").await]);
        route(table, "*.h", "/", Path::Kept, &[test_application::start("any").await]);
    });
    let Some(engine) = engine.await else { return };
    assert_eq!(get(engine.http(), "h", "/app/x").await.echoed("target"), "/x");
    assert_eq!(get(engine.http(), "x.h", "/y").await.echoed("app"), "any");
    assert_eq!(get(engine.http(), "x.y.h", "/y").await.status, 503);
    assert_eq!(get(engine.http(), "h", "/").await.header("x-request-id").len(), 32);
}
