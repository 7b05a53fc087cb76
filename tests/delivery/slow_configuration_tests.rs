//! Configurations that take longer to test than addresses may stay unconfirmed: proxies confirm addresses and drop released ones
//! meanwhile, and no test of a configuration passes for silence of the control plane.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use swarmgate::route::RouteTable;
use swarmgate::types::{Digest, HostPattern};
use tokio::time::Instant;

use crate::silence_fixture::{FIRST, HOST, LIMIT, SECOND, SLACK, SilenceFixture, check_answers};
use crate::stage::{Stage, on_stage};
use crate::test_application::TestApplication;
use crate::traffic::SteadyLoad;

/// Longer than the limit, so that proxies would consider the addresses unconfirmed if the test of a configuration blocked
/// confirmations.
const SLOW: u64 = 20;
const SLOW_HOST: &str = "slow.example.org";

impl SilenceFixture<'_> {
    /// The same table with another host whose configuration takes long to test.
    fn slow_table(&self, addresses: &[Ipv4Addr]) -> RouteTable {
        let mut table = self.table_with(LIMIT, addresses);
        let host = table.hosts.values().next().unwrap().clone();
        table.hosts.insert(HostPattern::parse(SLOW_HOST).unwrap(), host);
        table
    }

    /// While a slow table is tested and until it runs, the proxy keeps using addresses, and only the service's tasks answer.
    async fn check_slowness(&self, desired: &Digest) {
        let load = SteadyLoad::start(self.stage.http(), HOST, 2);
        let began = Instant::now();
        let mut running = false;
        while !running {
            assert_eq!(self.source().await, "live", "after {:?}", began.elapsed());
            assert!(began.elapsed() < Duration::from_secs(3 * SLOW), "the slow table was never applied");
            tokio::time::sleep(Duration::from_millis(100)).await;
            running = self.stage.runs(desired);
        }
        assert!(began.elapsed() > LIMIT, "the slow table was tested too quickly: the test proves nothing");
        check_answers(&load.finish().await);
    }
}

/// Uses a table that takes longer to test than addresses may stay unconfirmed; either the extension or the proxy tests it
/// slowly.
async fn check_that_slow_is_not_silent(stage: &mut Stage, extension_is_slow: bool) {
    let scene = SilenceFixture::new(stage).await;
    if extension_is_slow {
        scene.stage.start_slow_extension(SLOW_HOST, SLOW);
        scene.stage.start_proxy();
    } else {
        scene.stage.start_extension();
        scene.stage.start_slow_proxy(SLOW_HOST, SLOW);
    }
    scene.stage.publish(scene.table(LIMIT));
    scene.stage.until_answer(HOST, "own").await;
    // The engine serves a moment before the agent reports that it does.
    scene.until_source("live", SLACK).await;
    let desired = scene.stage.publish(scene.slow_table(&[FIRST]));
    scene.check_slowness(&desired).await;
    assert_eq!(scene.stage.report().unwrap().proxies[0].fallbacks, 0);
}

#[test]
fn a_slow_configuration_test_in_the_extension_is_not_silence() {
    on_stage(async |stage| check_that_slow_is_not_silent(stage, true).await);
}

#[test]
fn a_slow_configuration_test_in_a_proxy_is_not_silence() {
    on_stage(async |stage| check_that_slow_is_not_silent(stage, false).await);
}

#[test]
fn a_released_address_is_dropped_while_a_slow_configuration_test_runs() {
    on_stage(async |stage| {
        let scene = SilenceFixture::new(stage).await;
        scene.stage.start_slow_extension(SLOW_HOST, 2);
        scene.stage.start_slow_proxy(SLOW_HOST, 2 * SLOW);
        let _second = TestApplication::start_at("own", SocketAddr::from((SECOND, scene.port))).await;
        scene.stage.publish(scene.table_with(LIMIT, &[FIRST, SECOND]));
        scene.stage.until_answer(HOST, "own").await;
        scene.stage.publish(scene.slow_table(&[FIRST, SECOND]));
        // By then the proxy is testing the table.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let desired = scene.stage.publish(scene.slow_table(&[SECOND]));
        // Swarm frees the address of a task that has ended; here a stranger gets it as late as the proxy may still use it.
        tokio::time::sleep(LIMIT).await;
        let _other_service = scene.take_first_address().await;
        let load = SteadyLoad::start(scene.stage.http(), HOST, 2);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!scene.stage.runs(&desired), "the configuration test ended too early: the test proves nothing");
        assert_eq!(scene.source().await, "live");
        check_answers(&load.finish().await);
    });
}
