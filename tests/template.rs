//! The templates of docs/template.md do what the page says: for every golden case and purpose they give configurations that the
//! real nginx accepts. Without an nginx (`make setup`) the second half is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot do its work has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "support/ports.rs"]
mod ports;
#[path = "support/skip.rs"]
mod skip;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use golden_cases::all_cases;
use nginx_binary::nginx;
use ports::free_port;
use swarmgate::render::{ConfigPurpose, Layout, Materials, render, render_in, template_fault};
use swarmgate::route::RouteTable;
use swarmgate::translate::translate;
use swarmgate::types::{ConfigTemplate, EngineKind, HostPattern, Port};

/// The file in which the rendered configuration is.
const CONFIG_FILE: &str = EngineKind::Nginx.main_file();

const PURPOSES: [ConfigPurpose; 3] = [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock];

/// The examples on the page.
fn examples() -> Vec<ConfigTemplate> {
    let page = include_str!("../docs/template.md");
    let blocks = page.split("```jinja\n").skip(1).map(|rest| rest.split_once("```").expect("a block ends").0);
    blocks.map(|text| ConfigTemplate::parse(text).unwrap()).collect()
}

/// The tables of all golden cases, each with a template.
fn tables(template: &ConfigTemplate) -> Vec<(String, RouteTable)> {
    let of_case = |case: golden_cases::GoldenCase| {
        let snapshot = case.snapshot();
        let table = |cluster| {
            let mut table = translate(cluster, &snapshot).table;
            table.settings.nginx.template = Some(template.clone());
            (case.name.clone(), table)
        };
        case.clusters().0.iter().map(table).collect::<Vec<_>>()
    };
    all_cases().into_iter().flat_map(of_case).collect()
}

fn filled(text: &str) -> BTreeMap<String, String> {
    let (_, mut table) = tables(&ConfigTemplate::parse(text).unwrap()).remove(0);
    table.settings.hide_info_headers = true;
    render(&table, ConfigPurpose::Live).files
}

#[test]
fn the_examples_render_every_case_for_every_purpose() {
    assert_eq!(examples().len(), 2);
    for (case, table) in examples().iter().flat_map(tables) {
        for purpose in PURPOSES {
            let bundle = render(&table, purpose);
            assert_eq!(template_fault(&bundle), None, "{case}, {purpose:?}");
            assert!(bundle.files[CONFIG_FILE].contains("http {"), "{case}, {purpose:?}");
        }
    }
}

#[test]
fn the_examples_respect_segment_boundaries() {
    for (_, table) in examples().iter().flat_map(tables).filter(|(case, _)| case == "match-segment-borders") {
        let text = render(&table, ConfigPurpose::Live).files[CONFIG_FILE].replace('"', "");
        assert!(text.contains("location = /foo {") && text.contains("location /foo/ {"), "{text}");
        assert!(!text.contains("location /foo {"), "it would answer for /foobar:\n{text}");
    }
}

#[test]
fn the_engine_accepts_the_rendered_examples() {
    let Some(nginx) = nginx() else { return };
    let directory = tempfile::tempdir().unwrap();
    let run_dir: &'static str = Box::leak(directory.path().to_str().unwrap().to_owned().into_boxed_str());
    let layout = Layout { run_dir, status_port: free_port(), ..Layout::default() };
    // The engine's test binds the listening ports, so it must not use well-known ones.
    let (http, https) = (Port::new(free_port()).unwrap(), Port::new(free_port()).unwrap());
    for (case, table) in examples().iter().flat_map(tables) {
        let table = RouteTable { http_port: http, https_port: table.https_port.map(|_| https), ..table };
        for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot] {
            let bundle = render_in(&table, purpose, &layout, &Materials::default());
            for (name, text) in &bundle.files {
                fs::write(directory.path().join(name), text).unwrap();
            }
            let config = directory.path().join(CONFIG_FILE);
            let output =
                Command::new(&nginx).arg("-t").arg("-p").arg(run_dir).arg("-c").arg(&config).args(["-e", "stderr"]).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{case}, {purpose:?}: {errors}\n{}", bundle.files[CONFIG_FILE]);
        }
    }
}

#[test]
fn the_built_in_parts_compose_the_built_in_configuration() {
    let text = "{{ builtin.main }}{{ builtin.stream }}http {\n{{ builtin.http }}{{ builtin.upstreams }}{{ builtin.servers }}}\n";
    let (_, table) = tables(&ConfigTemplate::parse(text).unwrap()).remove(0);
    let mut plain = table.clone();
    plain.settings.nginx.template = None;
    for purpose in PURPOSES {
        let built_in = render(&plain, purpose).files[CONFIG_FILE].clone();
        let (_, built_in) = built_in.split_once('\n').expect("a comment of one line");
        assert_eq!(render(&table, purpose).files[CONFIG_FILE], built_in, "{purpose:?}");
    }
}

#[test]
fn a_failing_template_yields_only_its_error_with_a_line() {
    for (text, fault) in [
        ("http {\n{{ table.nonsense }}\n}", "in its line 2: "),
        ("{{ 'a' | pool }}", "in its line 1: filter pool is unknown"),
        ("\n\n{{ pool('a b', '/') }}", "in its line 3: a host name may contain only"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}", "ran out of fuel"),
    ] {
        let text = &filled(text)[CONFIG_FILE];
        assert!(text.starts_with("# the template fails") && text.lines().count() == 1 && text.contains(fault), "{text}");
    }
}

#[test]
fn five_thousand_hosts_stay_within_the_step_limit() {
    for template in examples() {
        let (_, mut table) = tables(&template).into_iter().find(|(case, _)| case == "several-hosts").expect("a case of this name");
        let model = table.hosts.values().next().expect("a host").clone();
        table.hosts.extend((0..5000).map(|number| (HostPattern::parse(&format!("h{number}.example.org")).unwrap(), model.clone())));
        assert_eq!(template_fault(&render(&table, ConfigPurpose::Live)), None);
    }
}

#[test]
fn filters_quote_arguments() {
    let text = "{{ 'a \"b\\\\' | quote }} {{ 1500 | duration }} {{ 33554432 | size }} {{ '*.a.org' | server_name }} {{ pool('a.org', '/x') }} \
         {{ {'address': 'fd00::1', 'port': 80} | address }} {{ purpose }} {% if table.defaultBackend %}x{% endif %}";
    let expected = "\"a \\\"b\\\\\" 1500ms 32m \"~^[^.]+[.]a[.]org$\" up-a.org~x [fd00::1]:80 live\n";
    assert_eq!(filled(text)[CONFIG_FILE], expected);
}
