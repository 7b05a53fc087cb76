//! The responses that clients get when applications fail, have gone, or never existed.

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::raw_client::{get, request};
use super::route_tables::{Path, backend, empty, route};
use super::test_application;
use swarmgate::protocol::container_contract::ENGINE_READY_PATH;
use swarmgate::render::ConfigPurpose;
use swarmgate::route::DefaultBackend;

#[tokio::test]
async fn a_route_without_endpoints_answers_503_and_its_host_nothing_else() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    route(&mut table, "h", "/app", Path::Kept, &[]);
    route(&mut table, "h", "/cut", Path::Cut, &[]);
    route(&mut table, "i", "/", Path::Kept, &[]);
    table.default_backend = Some(DefaultBackend::plain(backend(&[test_application::start("default").await])));
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
    for (host, target, status) in
        [("h", "/app", 503), ("h", "/app/x", 503), ("h", "/cut/x", 503), ("h", "/", 404), ("i", "/any", 503), ("j", "/", 200)]
    {
        assert_eq!(get(engine.http(), host, target).await.status, status, "{host}{target}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_costs_no_request_whatever_the_method() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    let pool = [test_application::nobody(), test_application::start("alive").await, test_application::nobody()];
    route(&mut table, "h", "/", Path::Kept, &pool);
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
    for round in 0..30 {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let answer = request(engine.http(), method, "h", "/", &["Content-Length: 0"]).await;
            assert_eq!((answer.status, answer.said("app")), (200, "alive"), "{method} {round}: {}", engine.words());
        }
    }
}

#[tokio::test]
async fn a_pool_that_failed_as_a_whole_serves_again_at_once() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    let (first, second) = (test_application::nobody(), test_application::nobody());
    route(&mut table, "h", "/", Path::Kept, &[first, second]);
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
    for _ in 0..20 {
        assert_eq!(get(engine.http(), "h", "/").await.status, 502);
    }
    test_application::start_at(first, "back").await;
    for round in 0..20 {
        let answer = get(engine.http(), "h", "/").await;
        assert_eq!((answer.status, answer.said("app")), (200, "back"), "{round}: {}", engine.words());
    }
}

#[tokio::test]
async fn an_error_of_the_application_is_its_answer_and_takes_nobody_out() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    route(&mut table, "h", "/", Path::Kept, &[test_application::start("one").await, test_application::start("two").await]);
    table.settings.upstream_address_header = true;
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Live).await;
    for status in [500, 502, 503, 504] {
        for _ in 0..10 {
            let answer = get(engine.http(), "h", &format!("/_status/{status}")).await;
            assert_eq!((answer.status, answer.header("x-upstream-addr").contains(',')), (status, false));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        seen.insert(get(engine.http(), "h", "/").await.said("app").to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_boot_snapshot_starts_although_no_name_can_be_resolved() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    route(&mut table, "h", "/", Path::Kept, &[test_application::start("app").await]);
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Boot).await;
    assert_eq!(get(engine.http(), "h", "/").await.status, 502);
    assert_eq!(get(engine.http(), "unknown", "/").await.status, 503);
    assert_eq!(get(engine.status(), "localhost", ENGINE_READY_PATH).await.status, 200);
    assert_eq!(get(engine.status(), "localhost", "/").await.status, 404);
}

#[tokio::test]
async fn a_stock_nginx_serves_the_same_routes() {
    let Some(nginx) = nginx() else { return };
    let place = EngineSandbox::new();
    let mut table = empty(place.http);
    table.https_port = Some(swarmgate::types::Port::new(443).unwrap());
    route(&mut table, "h", "/app", Path::Cut, &[test_application::start("app").await]);
    route(&mut table, "*.h", "/", Path::Kept, &[test_application::start("any").await]);
    let engine = NginxProcess::start(&nginx, place, &table, ConfigPurpose::Stock).await;
    assert_eq!(get(engine.http(), "h", "/app/x").await.said("target"), "/x");
    assert_eq!(get(engine.http(), "x.h", "/y").await.said("app"), "any");
    assert_eq!(get(engine.http(), "x.y.h", "/y").await.status, 503);
    assert_eq!(get(engine.http(), "h", "/").await.header("x-request-id").len(), 32);
}
