//! Sizes: which work, and which produce a finding instead. `cargo test --test any_input limits -- --nocapture --test-threads 1`
//! prints the cost of each; docs/limits.md has the table. Asserts neither time nor memory.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use swarmgate::fleet::OBJECT_BYTES_MAX;
use swarmgate::intent::cluster::Cluster;
use swarmgate::protocol::boot_snapshot;
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::report::FindingCode;
use swarmgate::route::RouteTable;
use swarmgate::swarm::Snapshot;
use swarmgate::translate::{Translation, translate};

use crate::EngineFixture;
use crate::swarm_generator::{self, GeneratedService};

fn service(labels: &[(&str, &str)], tasks: u8) -> GeneratedService {
    let labels = labels.iter().map(|(name, value)| (format!("com.docker.lb.{name}"), (*value).to_owned()));
    (labels.collect(), tasks, false)
}

#[expect(clippy::disallowed_methods, reason = "it measures for people, and asserts nothing")]
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    print(&format!("{what}: {} ms", began.elapsed().as_millis()));
    result
}

fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "    {line}");
}

impl EngineFixture {
    /// Translates, renders, and has the engine test the result for every purpose.
    fn measure(&self, about: &str, cluster: &Cluster, snapshot: &Snapshot) -> Translation {
        print(about);
        let translation = timed("translate", || translate(cluster, snapshot));
        self.measure_table(&translation.table);
        translation
    }

    fn measure_table(&self, table: &RouteTable) {
        let bundle = timed("render", || render(table, ConfigPurpose::Live));
        print(&format!("configuration: {} KiB", bundle.files.values().map(String::len).sum::<usize>() >> 10));
        let packed = boot_snapshot::encode(&render(table, ConfigPurpose::Boot)).unwrap().len();
        print(&format!("boot snapshot: {} KiB", packed >> 10));
        assert!(packed < OBJECT_BYTES_MAX, "the boot snapshot fits a Swarm config object");
        for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
            let result = timed(&format!("nginx -t ({purpose:?})"), || self.sandbox.test(&self.nginx, table, purpose));
            assert_eq!(result.map_err(|error| error.chars().take(600).collect::<String>()), Ok(String::new()), "{purpose:?}");
        }
        let config = self.sandbox.write(table, ConfigPurpose::Live);
        print(&format!("memory of nginx: {} MiB", memory_kib(&self.nginx, &config) >> 10));
    }
}

/// The peak memory of the engine while it reads a configuration, which is also where each of its workers starts.
fn memory_kib(nginx: &std::path::Path, config: &std::path::Path) -> u64 {
    let script = "import resource, subprocess, sys\n\
        subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL, check=True)\n\
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(nginx).arg("-p").arg(config.parent().unwrap()).arg("-c").arg(config).args(["-e", "stderr", "-t"]);
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().parse().unwrap()
}

fn codes(translation: &Translation) -> BTreeMap<FindingCode, usize> {
    let mut codes = BTreeMap::new();
    for finding in translation.findings.iter().filter(|finding| finding.code != FindingCode::UpdateGap) {
        *codes.entry(finding.code.clone()).or_default() += 1;
    }
    codes
}

fn hosts(count: usize) -> String {
    (0..count).map(|number| format!("h{number}.example.org")).collect::<Vec<_>>().join(",")
}

#[test]
fn limits_one_service_can_have_a_thousand_hosts_and_the_next_is_reported() {
    let Some(bench) = EngineFixture::new() else { return };
    let snapshot = |count| swarm_generator::swarm(&[service(&[("hosts", &hosts(count)), ("port", "80"), ("network", "net")], 2)]);
    let all = bench.measure("1,000 hosts on one service", &bench.cluster(true), &snapshot(1000));
    assert_eq!((all.table.hosts.len(), codes(&all)), (1000, BTreeMap::new()));
    let more = translate(&bench.cluster(true), &snapshot(1001));
    assert_eq!((more.table.hosts.len(), codes(&more)), (1000, BTreeMap::from([(FindingCode::InvalidLabelValue, 1)])));
}

#[test]
fn limits_five_thousand_routes_work() {
    let Some(bench) = EngineFixture::new() else { return };
    let app = |number: usize| service(&[("hosts", &format!("h{number}.example.org")), ("port", "80"), ("network", "net")], 2);
    let services: Vec<GeneratedService> = (0..5000).map(app).collect();
    let translation =
        bench.measure("5,000 services with a host and two tasks each", &bench.cluster(true), &swarm_generator::swarm(&services));
    assert_eq!(translation.table.hosts.len(), 5000);
}

#[test]
fn limits_names_of_every_allowed_length_work() {
    let Some(bench) = EngineFixture::new() else { return };
    let label = "l".repeat(63);
    let host = format!("{label}.{label}.{label}.{}", "l".repeat(61));
    assert_eq!(host.len(), 253);
    let path = format!("/{}", "A@".repeat(512)).chars().take(1024).collect::<String>();
    let (cookie, secret) = ("c".repeat(128), "s".repeat(64));
    let labels =
        [("hosts", host.as_str()), ("port", "65535"), ("network", "net"), ("context_root", &path), ("context_root_rewrite", "true")];
    let rest = [
        ("sticky_session_cookie", cookie.as_str()),
        ("ssl_cert", &secret),
        ("backend_protocol", "grpcs"),
        ("ssl_backend_tls_verify", &secret),
    ];
    let translation = bench.measure(
        "a host of 253 bytes, a path of 1,024, a cookie of 128, a secret of 64",
        &bench.cluster(true),
        &swarm_generator::swarm(&[service(&labels, 2), service(&[&labels[..], &rest].concat(), 2)]),
    );
    assert_eq!(translation.table.hosts.keys().map(|host| host.as_str().len()).collect::<Vec<_>>(), [253]);
    for (label, longer) in
        [("hosts", format!("{host}l")), ("context_root", format!("{path}a")), ("sticky_session_cookie", format!("{cookie}c"))]
    {
        let labels = [("hosts", "h"), ("port", "80"), ("network", "net"), (label, longer.as_str())];
        let labels: BTreeMap<&str, &str> = labels.into_iter().collect();
        let labels: Vec<(&str, &str)> = labels.into_iter().collect();
        let translation = translate(&bench.cluster(true), &swarm_generator::swarm(&[service(&labels, 2)]));
        assert_eq!(codes(&translation), BTreeMap::from([(FindingCode::InvalidLabelValue, 1)]), "{label}");
    }
}

#[test]
fn limits_a_thousand_cookies_and_a_thousand_paths_work() {
    let Some(bench) = EngineFixture::new() else { return };
    let app = |number: usize| {
        let (path, cookie) = (format!("/p{number}"), format!("c{number}"));
        service(&[("hosts", "h"), ("port", "80"), ("network", "net"), ("context_root", &path), ("sticky_session_cookie", &cookie)], 2)
    };
    let services: Vec<GeneratedService> = (0..1000).map(app).collect();
    let translation =
        bench.measure("1,000 paths of one host, each with a cookie of its own", &bench.cluster(true), &swarm_generator::swarm(&services));
    assert_eq!(translation.table.hosts.values().map(|host| host.paths.len()).collect::<Vec<_>>(), [1000]);
}

#[test]
fn limits_a_thousand_passthrough_hosts_and_a_thousand_redirects_work() {
    let Some(bench) = EngineFixture::new() else { return };
    let passed = service(&[("hosts", &hosts(1000)), ("port", "443"), ("network", "net"), ("ssl_passthrough", "true")], 2);
    let redirects = (0..1000).map(|number| format!("http://r.example.org/p{number},https://t.example.org/q{number}")).collect::<Vec<_>>();
    let redirected = service(&[("hosts", "r.example.org"), ("port", "80"), ("network", "net"), ("redirects", &redirects.join(";"))], 2);
    let swarm = swarm_generator::swarm(&[passed, redirected]);
    let translation = bench.measure("1,000 hosts passed through, 1,000 redirects of one host", &bench.cluster(true), &swarm);
    assert_eq!(translation.table.passthrough.len(), 1000);
}

#[test]
fn limits_a_hundred_networks_work() {
    let Some(bench) = EngineFixture::new() else { return };
    let names: Vec<String> = (0..100).map(|number| format!("net-{number}")).collect();
    let app = |(number, network): (usize, &String)| {
        serde_json::json!({
            "name": format!("app-{number}"), "networks": [network], "tasks": 2, "labels": {"hosts": format!("h{number}.example.org"), "port": 80}
        })
    };
    let services: Vec<_> = names.iter().enumerate().map(app).collect();
    let raw = crate::golden_compact::expand(&serde_json::json!({"nodes": ["n1"], "networks": names, "services": services}));
    let snapshot = Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap();
    let translation = bench.measure("100 services on a network each", &bench.cluster(true), &snapshot);
    assert_eq!((translation.networks.len(), translation.table.hosts.len()), (100, 100));
}

#[test]
fn limits_a_cluster_serves_its_route_limit_and_drops_the_newest_routes() {
    let Some(bench) = EngineFixture::new() else { return };
    // Two teams, so that neither reaches its share.
    let app = |number: usize| {
        let hosts = (0..1000).map(|host| format!("h{host}.s{number:02}.example.org")).collect::<Vec<_>>().join(",");
        let (mut labels, tasks, older) = service(&[("hosts", &hosts), ("port", "80"), ("network", "net")], 1);
        labels.insert("com.docker.stack.namespace".to_owned(), format!("team-{}", number % 2));
        (labels, tasks, older)
    };
    let services: Vec<GeneratedService> = (0..20).map(app).collect();
    let translation =
        bench.measure("20 services of 1,000 hosts, of which 10 fit", &bench.cluster(false), &swarm_generator::swarm(&services));
    assert_eq!(translation.table.hosts.len(), 10_000);
    assert!(translation.table.hosts.keys().all(|host| host.as_str().contains(".s0")), "the oldest ten");
    assert_eq!(codes(&translation), BTreeMap::from([(FindingCode::LimitExceeded, 10), (FindingCode::LimitNear, 1)]));
}

#[test]
fn limits_a_hundred_thousand_websocket_endpoints_in_one_label_affect_no_other_service() {
    let Some(bench) = EngineFixture::new() else { return };
    let endpoints = (0..95_000).map(|number| format!("/socket/{number}")).collect::<Vec<_>>().join(",");
    let heavy = service(&[("hosts", &hosts(1000)), ("port", "80"), ("network", "net"), ("websocket_endpoints", &endpoints)], 2);
    let calm = service(&[("hosts", "calm.example.org"), ("port", "80"), ("network", "net")], 2);
    let swarm = swarm_generator::swarm(&[heavy, calm]);
    let translation = bench.measure("95,000 websocket endpoints on 1,000 hosts", &bench.cluster(true), &swarm);
    // A hundred of them on each of the first hosts, the maximum number of locations of a service.
    assert!((20..=25).contains(&translation.table.hosts.len()), "{}", translation.table.hosts.len());
    assert!(translation.table.hosts.keys().any(|host| host.as_str() == "calm.example.org"));
    assert_eq!(codes(&translation), BTreeMap::from([(FindingCode::InvalidLabelValue, 2), (FindingCode::LimitExceeded, 1)]));
}
