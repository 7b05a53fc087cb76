//! Measures the pure part of a pass at scale: reading a snapshot, selecting the effective labels while they change again and
//! again, translating and rendering. Run with `make bench`. Measures only; no test makes a claim about time.
#![expect(missing_docs, reason = "criterion's macro makes a public function without docs")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use swarmgate::controller::label_damping::{HeldLabels, LabelDamping};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::config_quotas::ConfigQuotas;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::swarm::{RawSnapshot, Snapshot};
use swarmgate::translate::translate;

const SPEC: &str = "apiVersion: swarmgate/v1
kind: ServiceCluster
metadata: {name: default}
spec:
  engine: nginx
  extension: {image: swarmgate-nginx:dev}
  proxy: {image: swarmgate-nginx:dev}
";
const TASKS_PER_SERVICE: usize = 3;
const FLAPPING_AMONG: usize = 5_000;
const NETWORKS: usize = 1_000;

fn passes(criterion: &mut Criterion) {
    let cluster = cluster();
    let mut group = criterion.benchmark_group("pass");
    group.sample_size(20);
    for services in [300, 2000] {
        let raw = raw(services);
        let Ok(snapshot) = Snapshot::from_raw(&raw) else { continue };
        let table = translate(&cluster, &snapshot).table;
        assert_eq!(table.hosts.len(), services, "every service is published");
        group.bench_with_input(BenchmarkId::new("read", services), &raw, |bench, raw| bench.iter(|| Snapshot::from_raw(raw)));
        group.bench_with_input(BenchmarkId::new("translate", services), &snapshot, |bench, snapshot| {
            bench.iter(|| translate(&cluster, snapshot));
        });
        group.bench_with_input(BenchmarkId::new("digest", services), &table, |bench, table| bench.iter(|| table.digest()));
        group.bench_with_input(BenchmarkId::new("render", services), &table, |bench, table| {
            bench.iter(|| render(table, ConfigPurpose::Live));
        });
    }
    group.finish();
}

/// The cost of each snapshot while one service of thousands keeps changing its labels.
fn flapping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flapping");
    group.sample_size(20);
    let Ok(mut snapshot) = Snapshot::from_raw(&raw(FLAPPING_AMONG)) else { return };
    let (mut damping, limits) = (LabelDamping::default(), ConfigQuotas::default().label_updates);
    let Some(id) = snapshot.services.keys().next().cloned() else { return };
    for number in 0..2 * limits.burst {
        if let Some(service) = snapshot.services.get_mut(&id) {
            service.labels.insert("com.docker.lb.hosts".to_owned(), format!("h{number}.example.org"));
        }
        damping.observe(|_| Some(limits), &snapshot, jiff::Timestamp::UNIX_EPOCH);
    }
    let held = damping.held();
    assert_ne!(held, HeldLabels::default(), "one is held");
    group.bench_function("observe", |bench| bench.iter(|| damping.observe(|_| Some(limits), &snapshot, jiff::Timestamp::UNIX_EPOCH)));
    group.bench_function("held", |bench| bench.iter(|| damping.held()));
    group.bench_function("apply", |bench| bench.iter(|| held.applied_to(&snapshot)));
    group.finish();
}

/// The cost of finding the networks of services when the snapshot does not contain them: each reference could be a name.
fn unknown_networks(criterion: &mut Criterion) {
    let cluster = cluster();
    let mut world = raw(FLAPPING_AMONG);
    world
        .networks
        .extend((0..NETWORKS).map(|n| json!({"Id": format!("n{n}"), "Name": format!("net{n}"), "Driver": "overlay", "Scope": "swarm"})));
    for service in &mut world.services {
        service["Spec"]["TaskTemplate"]["Networks"] = json!([{"Target": "net1"}, {"Target": "gone1"}, {"Target": "gone2"}]);
    }
    let Ok(snapshot) = Snapshot::from_raw(&world) else { return };
    let mut group = criterion.benchmark_group("unknown networks");
    group.sample_size(10);
    group.bench_function("translate", |bench| bench.iter(|| translate(&cluster, &snapshot)));
    group.finish();
}

fn cluster() -> Cluster {
    let declaration = read_documents(&[SourceFile::new("bench.yaml", SPEC)]);
    declaration.valid().next().cloned().unwrap_or_else(|| unreachable!("the spec above is valid"))
}

fn raw(services: usize) -> RawSnapshot {
    let network = json!({"Id": "net1", "Name": "apps", "Driver": "overlay", "Scope": "swarm", "Labels": {}});
    RawSnapshot {
        taken_at: jiff::Timestamp::UNIX_EPOCH,
        services: (0..services).map(service).collect(),
        tasks: (0..services).flat_map(|n| (0..TASKS_PER_SERVICE).map(move |k| task(n, k))).collect(),
        nodes: Vec::new(),
        networks: vec![network],
        configs: Vec::new(),
        secrets: Vec::new(),
    }
}

fn service(n: usize) -> Value {
    json!({
        "ID": format!("service{n}"), "Version": {"Index": n}, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z",
        "Spec": {
            "Name": format!("app{n}"),
            "Labels": {"com.docker.lb.hosts": format!("app{n}.example.org"), "com.docker.lb.port": "8080"},
            "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": "net1"}]},
            "Mode": {"Replicated": {"Replicas": TASKS_PER_SERVICE}}, "EndpointSpec": {"Mode": "vip"},
        },
        "Endpoint": {"Spec": {"Mode": "vip"}, "VirtualIPs": []},
    })
}

fn task(n: usize, k: usize) -> Value {
    let number = n * TASKS_PER_SERVICE + k;
    json!({
        "ID": format!("task{n}.{k}"), "ServiceID": format!("service{n}"), "NodeID": "node1", "CreatedAt": "2026-01-01T00:00:00Z",
        "DesiredState": "running", "Status": {"State": "running", "Timestamp": "2026-01-01T00:00:00Z"}, "Spec": {},
        "NetworksAttachments": [{"Network": {"ID": "net1", "Spec": {"Name": "apps"}},
            "Addresses": [format!("10.{}.{}.{}/8", 1 + number / 65536, (number / 256) % 256, number % 256)]}],
    })
}

criterion_group!(benches, passes, flapping, unknown_networks);
criterion_main!(benches);
