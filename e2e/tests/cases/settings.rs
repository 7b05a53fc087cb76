//! The administrator's settings for the engine and for who may publish what, on running proxies.

use anyhow::{Result, ensure};
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get};
use swarmgate_e2e::wait::{eventually, throughout};

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE, SPEC, declare};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("settings::a_raw_line_reaches_running_proxies_and_a_bad_one_changes_nothing", raw_lines).with_traffic(),
        case("settings::a_failing_template_is_reported_with_its_line", failing_template),
        case("settings::a_host_that_is_not_admitted_is_served_by_no_other_service", admission),
        case("settings::a_host_stays_with_its_stack_until_it_is_shared", sharing),
    ]
}

/// The shared declaration with additions to the cluster `default`, which is the only one that begins this way.
pub(super) fn with(more: &str) -> Result<String> {
    let old = "  engine: nginx\n  settings: {upstreamAddressHeader: true}\n";
    ensure!(SPEC.contains(old), "the shared declaration has no {old:?}");
    Ok(SPEC.replacen(old, &format!("  engine: nginx\n{more}"), 1))
}

fn raw_lines(testbed: &Testbed) -> Result<()> {
    App::new("lines").create(testbed)?;
    let (kept, fresh) = (testbed.at(1, DEFAULT), testbed.at(2, DEFAULT));
    testbed.await_answer(&kept, "lines.test", "/", "lines")?;
    testbed.await_answer(&fresh, "lines.test", "/", "lines")?;
    let traffic = Steady::start([&kept, &fresh], "lines.test")?;
    declare(testbed, &with("  settings: {accessLogFormat: json, httpOptions: [\"add_header x-team edge always;\"]}\n")?)?;
    await_team(&kept, "lines.test")?;
    await_team(&fresh, "lines.test")?;
    declare(testbed, &with("  settings: {httpOptions: [\"gzpi on;\"]}\n")?)?;
    let finding = testbed.await_finding("default", "RouteQuarantined", "default")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("gzpi")), "it has the engine's words: {finding}");
    throughout(std::time::Duration::from_secs(2), "the last good configuration stays", || {
        let answer = http_get(&kept, "lines.test", "/")?;
        ensure!(answer.header("x-team") == Some("edge"), "{answer:?}");
        Ok(())
    })?;
    traffic.stop_without_loss()?;
    let logs = testbed.log("swarmgate-proxy-default", 2_000)?;
    let objects = logs.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    ensure!(objects.into_iter().any(|object| object["host"] == "lines.test" && object["status"] == 200), "requests are logged as JSON");
    Ok(())
}

fn await_team(address: &str, host: &str) -> Result<()> {
    eventually(SLOW, "answers carry the header of the raw line", || {
        let answer = http_get(address, host, "/")?;
        ensure!(answer.status == 200 && answer.header("x-team") == Some("edge"), "{answer:?}");
        Ok(())
    })
}

fn failing_template(testbed: &Testbed) -> Result<()> {
    App::new("own").create(testbed)?;
    let proxy = testbed.at(1, DEFAULT);
    testbed.await_answer(&proxy, "own.test", "/", "own")?;
    let template = |text: &str| format!("  settings:\n    template: |\n{text}");
    declare(testbed, &with(&template("      {{ builtin.main }}\n      http { {{ table.nonsense }} }\n"))?)?;
    let finding = testbed.await_finding("default", "RouteQuarantined", "default")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("in its line 2")), "it names the line: {finding}");
    testbed.await_answer(&proxy, "own.test", "/", "own")?;
    let whole = "      {{ builtin.main }}{{ builtin.stream }}\n      http {\n      add_header x-team edge always;\n      \
                 {{ builtin.http }}{{ builtin.upstreams }}{{ builtin.servers }}\n      }\n";
    declare(testbed, &with(&template(whole))?)?;
    await_team(&proxy, "own.test")
}

fn admission(testbed: &Testbed) -> Result<()> {
    let rules = "  hosts:\n    allow:\n      - {host: taken.test, services: [owner]}\n      - '*.open.test'\n      - 'anchor*.test'\n";
    App::new("thief").label("hosts", "taken.test,thief.open.test").create(testbed)?;
    let proxy = testbed.at(1, DEFAULT);
    testbed.await_answer(&proxy, "taken.test", "/", "thief")?;
    declare(testbed, &with(rules)?)?;
    let finding = testbed.await_finding("default", "HostNotAllowed", "thief")?;
    ensure!(finding["value"] == "taken.test", "it names the host: {finding}");
    eventually(SLOW, "no service has the host", || {
        let answer = http_get(&proxy, "taken.test", "/")?;
        ensure!(answer.status == 503, "{answer:?}");
        Ok(())
    })?;
    testbed.await_answer(&proxy, "thief.open.test", "/", "thief")?;
    App::new("owner").label("hosts", "taken.test").create(testbed)?;
    testbed.await_answer(&proxy, "taken.test", "/", "owner").map(drop)
}

/// An application that belongs to a stack.
fn of_stack(name: &str, stack: &str, host: &str) -> App {
    App::new(name).label("hosts", host).args(&["--label", &format!("com.docker.stack.namespace={stack}")])
}

fn sharing(testbed: &Testbed) -> Result<()> {
    let proxy = testbed.at(1, DEFAULT);
    of_stack("old-web", "old", "old.test").create(testbed)?;
    of_stack("shop-web", "shop", "shop.test").create(testbed)?;
    testbed.await_answer(&proxy, "shop.test", "/", "shop-web")?;
    of_stack("promo-web", "promo", "shop.test,promo.test").label("weight", "100").create(testbed)?;
    of_stack("promo-login", "promo", "shop.test").label("context_root", "/login").create(testbed)?;
    testbed.await_answer(&proxy, "promo.test", "/", "promo-web")?;
    for service in ["promo-web", "promo-login"] {
        let finding = testbed.await_finding("default", "HostTaken", service)?;
        ensure!(
            finding["severity"] == "error" && finding["message"].as_str().is_some_and(|message| message.contains("shop-web")),
            "{finding}"
        );
    }
    let finding = testbed.await_finding("default", "HostContested", "shop-web")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("promo-web, promo-login")), "{finding}");
    throughout(std::time::Duration::from_secs(3), "the first stack alone answers for its host", || {
        for path in ["/", "/login"] {
            let answer = http_get(&proxy, "shop.test", path)?;
            ensure!(answer.status == 200 && answer.json()?["version"] == "shop-web", "{path}: {answer:?}");
        }
        Ok(())
    })?;
    older_service(testbed, &proxy)?;
    let rules = "  hosts:\n    sharing: allowed\n    allow:\n      - '*'\n      - {host: shop.test, services: [promo-login]}\n";
    declare(testbed, &with(rules)?)?;
    testbed.await_answer(&proxy, "shop.test", "/login", "promo-login")?;
    testbed.await_answer(&proxy, "shop.test", "/", "shop-web").map(drop)
}

/// A service older than the one with the host requests the host, too, and gets it neither at once nor after a restart of the
/// operator.
fn older_service(testbed: &Testbed, proxy: &str) -> Result<()> {
    let label = |service: serde_json::Value| service["Spec"]["Labels"]["swarmgate.host-holders"].clone();
    let holders = || testbed.service("swarmgate-extension-default").map(label);
    ensure!(holders()?.is_null(), "no holder may be recorded yet: {}", holders()?);
    let extension = testbed.await_running("swarmgate-extension-default", 1)?.remove(0);
    testbed.update("old-web", &["--label-add", "com.docker.lb.hosts=old.test,shop.test"])?;
    let finding = testbed.await_finding("default", "HostTaken", "old-web")?;
    ensure!(finding["message"].as_str().is_some_and(|message| message.contains("shop-web")), "{finding}");
    eventually(SLOW, "whose the host is is written down", || {
        ensure!(holders()?.as_str().is_some_and(|label| label.contains("shop.test")), "{}", holders()?);
        Ok(())
    })?;
    let kept = testbed.await_running("swarmgate-extension-default", 1)?.remove(0);
    ensure!(kept["ID"] == extension["ID"], "no task is replaced for that");
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=0"])?;
    testbed.await_running("swarmgate_operator", 0)?;
    testbed.docker(&["service", "scale", "--detach", "swarmgate_operator=1"])?;
    testbed.await_running("swarmgate_operator", 1)?;
    testbed.await_finding("default", "HostTaken", "old-web")?;
    throughout(std::time::Duration::from_secs(3), "the host must stay with its first holder", || {
        let answer = http_get(proxy, "shop.test", "/")?;
        ensure!(answer.status == 200 && answer.json()?["version"] == "shop-web", "{answer:?}");
        Ok(())
    })
}
