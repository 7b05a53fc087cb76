//! What the engine refuses or cannot check: only the offending part is left out where possible, the refusal is reported in the
//! engine's words, and the configuration is retried. Traffic continues with what was accepted before.

use swarmgate::protocol::messages::ExtensionReport;
use swarmgate::route::{LineList, QuarantineUnit};
use swarmgate::types::EngineLine;

use crate::route_tables::routes;
use crate::stage::{eventually, on_stage};
use crate::test_application::TestApplication;

#[test]
fn a_rejected_table_keeps_traffic_and_is_reported_with_the_engine_error() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_spoiling_extension("worker_connections 1234");
        stage.start_proxy();
        let good = stage.publish(routes(stage, &[("app.example.org", &[&app])]));
        stage.until_answer("app.example.org", "one").await;
        // A setting that cannot be left out on its own.
        let mut table = routes(stage, &[("app.example.org", &[&app]), ("new.example.org", &[&app])]);
        table.settings.max_connections = 1234;
        let bad = stage.publish(table);
        let message = eventually("the rejection is reported", || {
            let report = stage.report()?;
            let refused = report.refused?;
            (refused.digest == bad && report.accepted?.desired_digest == good).then_some(refused.message)
        })
        .await;
        assert!(message.contains("unknown directive \"spoilt\" in nginx.conf:"), "the engine's error message is missing: {message}");
        assert!(!message.contains(stage.run_dir().to_str().unwrap()), "the message contains a local path: {message}");
        assert_eq!(stage.answer("app.example.org").await.unwrap(), "one");

        let better = stage.publish(routes(stage, &[("new.example.org", &[&app])]));
        stage.until_running(&better).await;
        assert_eq!(stage.report().unwrap().refused, None, "the rejection must end with the next valid table");
    });
}

#[test]
fn an_engine_that_cannot_start_is_not_a_rejection_and_is_retried() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.start_extension_with_own_engine();
        let good = stage.publish(routes(stage, &[("app.example.org", &[&app])]));
        let accepted = |digest: &_| {
            stage.report().filter(|report| report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == *digest))
        };
        eventually("the first table is accepted", || accepted(&good)).await;
        stage.take_engine();
        let next = stage.publish(routes(stage, &[("next.example.org", &[&app])]));
        let refusal = eventually("the failure is reported", || stage.report()?.refused).await;
        assert!(refusal.undecided && refusal.digest == next && refusal.message.contains("cannot start the engine"), "{refusal:?}");
        stage.give_engine_back();
        let report = eventually("the engine is tried again", || accepted(&next)).await;
        assert_eq!(report.refused, None);
    });
}

#[test]
fn only_rejected_routes_are_quarantined_and_they_are_retried_when_they_change() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await, TestApplication::start("bad").await];
        let [one, two, bad] = &apps;
        // Matches every endpoint of the third application and every mention of the fourth host.
        stage.start_spoiling_extension(&format!("server {}\\|spoilt", bad.address));
        stage.start_proxy();
        stage.publish(routes(stage, &[("a.example.org", &[one])]));
        stage.until_answer("a.example.org", "one").await;

        let hosts: &[(&str, &[&TestApplication])] =
            &[("a.example.org", &[one]), ("b.example.org", &[bad]), ("c.example.org", &[two]), ("spoilt.org", &[two])];
        let desired = stage.publish(routes(stage, hosts));
        stage.until_answer("c.example.org", "two").await;
        assert_eq!(stage.answer("a.example.org").await.unwrap(), "one");
        assert!(stage.answer("b.example.org").await.unwrap_err().contains("503"), "another application answered for the quarantined host");
        let report = eventually("the report arrives", || {
            stage.report().filter(|report| report.accepted.as_ref().is_some_and(|a| a.desired_digest == desired))
        })
        .await;
        let hosts_of = |report: &ExtensionReport| report.quarantined.iter().map(|held| host_of(&held.part)).collect::<Vec<_>>();
        assert_eq!(hosts_of(&report), ["b.example.org", "spoilt.org"]);
        assert!(
            report.quarantined.iter().all(|held| held.message.contains("unknown directive \"spoilt\"")),
            "the engine's error message is missing: {report:?}"
        );
        assert_eq!(report.refused, None);

        let hosts: &[(&str, &[&TestApplication])] = &[("a.example.org", &[two]), ("b.example.org", &[one]), ("spoilt.org", &[two])];
        stage.publish(routes(stage, hosts));
        stage.until_answer("a.example.org", "two").await;
        let mut table = routes(stage, hosts);
        table.hosts.values_mut().flat_map(|host| host.paths.values_mut()).for_each(|route| route.rewrite = true);
        stage.publish(table);
        stage.until_answer("b.example.org", "one").await;
        let report = eventually("one quarantined route is left", || stage.report().filter(|report| report.quarantined.len() == 1)).await;
        assert_eq!(hosts_of(&report), ["spoilt.org"]);
    });
}

fn host_of(part: &QuarantineUnit) -> String {
    match part {
        QuarantineUnit::Route { host, .. } => host.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_rejected_engine_line_keeps_earlier_settings_while_new_routes_are_served() {
    on_stage(async |stage| {
        let apps = [TestApplication::start("one").await, TestApplication::start("two").await];
        stage.start_extension();
        stage.start_proxy();
        let with_lines = |hosts: &[(&str, &[&TestApplication])], lines: &[&str]| {
            let mut table = routes(stage, hosts);
            table.settings.nginx.http_options = lines.iter().map(|line| EngineLine::parse(line).unwrap()).collect();
            table
        };
        stage.publish(with_lines(&[("a.example.org", &[&apps[0]])], &["add_header x-before 1;"]));
        stage.until_answer("a.example.org", "one").await;
        let hosts: &[(&str, &[&TestApplication])] = &[("a.example.org", &[&apps[0]]), ("b.example.org", &[&apps[1]])];
        stage.publish(with_lines(hosts, &["add_header x-after 1;", "gzpi on;"]));
        stage.until_answer("b.example.org", "two").await;
        let report = eventually("the report arrives", || stage.report().filter(|report| !report.quarantined.is_empty())).await;
        let held = &report.quarantined[0];
        assert_eq!(held.part, QuarantineUnit::Line { list: LineList::Http, line: EngineLine::parse("gzpi on;").unwrap() });
        assert!(held.message.contains("unknown directive \"gzpi\""), "{held:?}");
        let config = report.boot.unwrap().files["nginx.conf"].clone();
        assert!(config.contains("x-before") && !config.contains("x-after"), "{config}");
    });
}
