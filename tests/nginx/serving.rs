//! Starts the engine of a test with the table that the test completes. It must never run a test without an engine silently: without
//! one, the test is skipped and on record.

use swarmgate::render::ConfigPurpose;
use swarmgate::route::RouteTable;

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::route_tables::empty;

/// An engine that serves the table that `fill` completes. Returns `None` after skipping the test because there is no engine.
pub async fn serving(fill: impl AsyncFnOnce(&mut RouteTable)) -> Option<NginxProcess> {
    serving_as(ConfigPurpose::Live, fill).await
}

/// Like [`serving`], with the configuration for this purpose.
pub async fn serving_as(purpose: ConfigPurpose, fill: impl AsyncFnOnce(&mut RouteTable)) -> Option<NginxProcess> {
    let (nginx, sandbox) = (nginx()?, EngineSandbox::new());
    let mut table = empty(sandbox.http);
    fill(&mut table).await;
    Some(NginxProcess::start(&nginx, sandbox, &table, purpose).await)
}
