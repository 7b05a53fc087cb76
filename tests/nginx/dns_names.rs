//! Boot snapshots with a name server: names that resolve, do not resolve, and resolve later.

use std::net::Ipv4Addr;
use std::time::Duration;

use swarmgate::render::ConfigPurpose;

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::name_server::name_server;
use super::raw_client::get;
use super::route_tables::{empty, route_by_name};
use super::test_application;

/// The maximum time until the engine learns a name.
const LEARN_MAX: Duration = Duration::from_secs(15);

async fn wait_for(engine: &NginxProcess, host: &str, expected: &str) {
    let deadline = tokio::time::Instant::now() + LEARN_MAX;
    loop {
        let answer = get(engine.http(), host, "/").await;
        if answer.echoed("app") == expected {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{host} is not served by {expected}: {answer:?}\n{}", engine.error_log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_boot_snapshot_serves_names_once_they_resolve() {
    let Some(nginx) = nginx() else { return };
    let (resolver, names) = name_server(Duration::ZERO).await;
    let (sandbox, port) = (EngineSandbox::with_resolver(resolver), test_application::start("app").await.port());
    let mut table = empty(sandbox.http);
    route_by_name(&mut table, "known", "/", &[("shop_known", port)]);
    route_by_name(&mut table, "pool", "/", &[("shop_never", port), ("shop_known", port)]);
    route_by_name(&mut table, "later", "/", &[("shop_later", port)]);
    names.lock().unwrap().insert("tasks.shop_known".to_owned(), vec![Ipv4Addr::LOCALHOST]);
    let engine = NginxProcess::start(&nginx, sandbox, &table, ConfigPurpose::Boot).await;
    wait_for(&engine, "known", "app").await;
    for round in 0..10 {
        assert_eq!(get(engine.http(), "pool", "/").await.echoed("app"), "app", "{round}: {}", engine.error_log());
    }
    assert_eq!(get(engine.http(), "later", "/").await.status, 502);
    names.lock().unwrap().insert("tasks.shop_later".to_owned(), vec![Ipv4Addr::LOCALHOST]);
    wait_for(&engine, "later", "app").await;
}
