//! Invalid labels: each one is reported, and none harms another service.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get};
use swarmgate_e2e::wait::throughout;

use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("findings::broken_services_affect_no_other_service_and_are_reported", broken_services).with_traffic(),
        case("findings::the_valid_hosts_of_a_service_with_a_broken_one_are_published", partly_broken),
        case("findings::labels_without_effect_are_reported", without_effect),
    ]
}

fn broken_services(testbed: &Testbed) -> Result<()> {
    App::new("sane").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, "sane.test", "/", "sane")?;
    testbed.await_answer(&fresh, "sane.test", "/", "sane")?;
    let before = testbed.await_converged("default")?["configDigest"].clone();
    let traffic = Steady::start([&kept, &fresh], "sane.test")?;
    App::new("wrong-port").label("port", "http").create(testbed)?;
    App::new("evil-host").label("hosts", "x.test; } server { return 200 \"$y").create(testbed)?;
    App::new("evil-path").label("context_root", "/a\" { deny all; } #").create(testbed)?;
    App::new("portless").without("port").create(testbed)?;
    let expected = [
        ("wrong-port", "InvalidLabelValue", "com.docker.lb.port"),
        ("evil-host", "InvalidLabelValue", "com.docker.lb.hosts"),
        ("evil-path", "InvalidLabelValue", "com.docker.lb.context_root"),
        ("portless", "MissingLabel", "com.docker.lb.port"),
    ];
    for (service, code, field) in expected {
        let finding = testbed.await_finding("default", code, service)?;
        ensure!(finding["field"] == field, "it names {}", finding["field"]);
        ensure!(finding["remedy"].as_str().is_some_and(|remedy| remedy.len() > 10), "the finding has no remedy: {finding}");
        testbed.await_running(service, 1)?;
    }
    // Their tasks are running by now, so nothing more will ever come of them.
    throughout(std::time::Duration::from_secs(4), "the configuration is the same", || {
        let now = testbed.cluster("default")?["configDigest"].clone();
        ensure!(now == before, "{before} became {now}");
        Ok(())
    })?;
    for host in ["wrong-port.test", "x.test", "evil-path.test", "portless.test"] {
        let answer = http_get(&kept, host, "/")?;
        ensure!(answer.status == 503, "{host}: {answer:?}");
    }
    traffic.stop_without_loss()
}

fn partly_broken(testbed: &Testbed) -> Result<()> {
    App::new("partly").label("hosts", "partly.test,_?bad host?_,also.partly.test").create(testbed)?;
    for host in ["partly.test", "also.partly.test"] {
        testbed.await_answer(&testbed.at(1, DEFAULT), host, "/", "partly")?;
    }
    let finding = testbed.await_finding("default", "InvalidLabelValue", "partly")?;
    ensure!(finding["value"].as_str().is_some_and(|value| value.contains("bad host")), "it shows the value: {finding}");
    Ok(())
}

fn without_effect(testbed: &Testbed) -> Result<()> {
    App::new("keyed").label("ssl_key", "key-without-certificate").label("defaul_backend", "true").create(testbed)?;
    testbed.await_answer(&testbed.at(1, DEFAULT), "keyed.test", "/", "keyed")?;
    let finding = testbed.await_finding("default", "LabelWithoutEffect", "keyed")?;
    ensure!(finding["field"] == "com.docker.lb.ssl_key", "{finding}");
    let finding = testbed.await_finding("default", "UnknownLabel", "keyed")?;
    ensure!(finding["remedy"].as_str().is_some_and(|remedy| remedy.contains("default_backend")), "it says what was meant: {finding}");
    Ok(())
}
