//! Traffic shares of several services for one host, measured with real requests.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, HttpCall, Steady, Testbed};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("traffic_split::by_default_traffic_is_shared_by_replicas", by_replicas),
        case("traffic_split::a_weight_applies_regardless_of_replicas_and_changes_live", by_weight).with_traffic(),
    ]
}

/// The number of requests from which a share is measured.
const REQUESTS: u16 = 300;
/// If every request chose at random, a count would deviate by this many standard deviations once in 100,000 times (two-sided).
/// Proxies use weighted round-robin, which is steadier than chance.
const DEVIATIONS: f64 = 4.42;

fn by_replicas(testbed: &Testbed) -> Result<()> {
    App::new("steady").label("hosts", "mixed.test").replicas(4).create(testbed)?;
    App::new("canary").label("hosts", "mixed.test").create(testbed)?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "mixed.test", 5)?;
    check_share(testbed, "mixed.test", 200)?;
    testbed.update("canary", &["--replicas", "4"])?;
    testbed.await_answering(&testbed.at(1, DEFAULT), "mixed.test", 8)?;
    check_share(testbed, "mixed.test", 500)
}

/// The canary has more tasks than the old version and yet gets few requests; a change of weight loses none.
fn by_weight(testbed: &Testbed) -> Result<()> {
    App::new("steady").label("hosts", "weighed.test").create(testbed)?;
    App::new("canary").label("hosts", "weighed.test").label("weight", "10").replicas(3).create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answering(&kept, "weighed.test", 4)?;
    let traffic = Steady::start([&kept, &fresh], "weighed.test")?;
    check_share(testbed, "weighed.test", 100)?;
    for weight in ["60", "0", "100"] {
        testbed.update("canary", &["--label-add", &format!("com.docker.lb.weight={weight}")])?;
        check_share(testbed, "weighed.test", weight.parse::<u16>()? * 10)?;
    }
    traffic.stop_without_loss()?;
    testbed.update("canary", &["--label-add", "com.docker.lb.weight=60", "--replicas", "1"])?;
    testbed.await_alive("canary", 1)?;
    check_share(testbed, "weighed.test", 600)
}

/// Waits until the operator reports this share for the canary and all proxies have it; then counts.
fn check_share(testbed: &Testbed, host: &str, permille: u16) -> Result<()> {
    eventually(SLOW, &format!("the status gives the canary {permille} of 1000 requests"), || {
        let routes = testbed.cluster("default")?["routes"].take();
        let route = routes.as_array().into_iter().flatten().find(|route| route["host"] == host);
        let services = route.map(|route| route["services"].clone()).unwrap_or_default();
        let canary = services.as_array().into_iter().flatten().find(|service| service["service"] == "canary");
        ensure!(canary.is_some_and(|canary| canary["sharePermille"] == permille), "the status shows {services}");
        Ok(())
    })?;
    testbed.await_converged("default")?;
    let share = f64::from(permille) / 1000.0;
    for k in [1, 3] {
        let counts = answers(&testbed.at(k, DEFAULT), host)?;
        let canary = counts.get("canary").copied().unwrap_or_default();
        let expected = f64::from(REQUESTS) * share;
        let slack = DEVIATIONS * (expected * (1.0 - share)).sqrt();
        ensure!(
            (f64::from(canary) - expected).abs() <= slack,
            "node{k}: {counts:?}, but the canary should answer {expected} \u{b1} {slack:.0}"
        );
    }
    Ok(())
}

/// How many requests each service answers.
fn answers(address: &str, host: &str) -> Result<BTreeMap<String, u32>> {
    let mut counts = BTreeMap::new();
    for answer in HttpCall::get(address, host, "/").repeat(REQUESTS.into())? {
        ensure!(answer.status == 200, "status {} {:.200}", answer.status, answer.body);
        *counts.entry(answer.json()?["version"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(counts)
}
