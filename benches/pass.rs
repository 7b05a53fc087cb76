//! What the pure part of a pass costs at scale: reading a snapshot, translating, rendering. `cargo bench`.
//! Measures only; no claim about time stands in a test.
#![expect(missing_docs, reason = "criterion's macro makes a public function without docs")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{DeclaredCluster, SourceFile, read_documents};
use swarmgate::render::{Purpose, render};
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
        group.bench_with_input(BenchmarkId::new("render", services), &table, |bench, table| bench.iter(|| render(table, Purpose::Live)));
    }
    group.finish();
}

fn cluster() -> Cluster {
    let declaration = read_documents(&[SourceFile::new("bench.yaml", SPEC)]);
    let valid = declaration.clusters.into_iter().find_map(|declared| match declared {
        DeclaredCluster::Valid(cluster) => Some(*cluster),
        DeclaredCluster::Broken { .. } => None,
    });
    valid.unwrap_or_else(|| unreachable!("the spec above is valid"))
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

criterion_group!(benches, passes);
criterion_main!(benches);
