//! Swarms of services with arbitrary labels, and the cluster that publishes them. Shared with the fuzz targets.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::swarm::Snapshot;

use crate::golden_compact::expand;

/// One service: its labels, how many tasks run, and whether it is as old as the previous one.
pub type GeneratedService = (BTreeMap<String, String>, u8, bool);

/// The Swarm that runs these services, with two networks, two secrets with certificates and one with a CA.
pub fn swarm(services: &[GeneratedService]) -> Snapshot {
    let listed: Vec<Value> = services.iter().enumerate().map(|(at, service)| body(at, service)).collect();
    let mut raw = expand(&json!({"nodes": ["n1"], "networks": ["net", "qz1zq_net"], "services": listed}));
    let secret =
        |name: &str| json!({"ID": format!("id{name}").replace('.', ""), "Version": {"Index": 1}, "Spec": {"Name": name, "Labels": {}}});
    raw["secrets"] = ["qz1zq.pem", "qz1zq.both", "qz1zq.ca"].map(secret).into_iter().collect();
    Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap()
}

fn body(at: usize, (labels, tasks, older): &GeneratedService) -> Value {
    let networks = if at.is_multiple_of(3) { json!(["net", "qz1zq_net"]) } else { json!(["net"]) };
    let created = if *older { at / 2 } else { at };
    json!({"name": format!("app-{at}_qz1zq"), "labels": labels, "networks": networks, "tasks": tasks, "created": created})
}

/// The cluster, with the test's ports.
pub fn cluster(http: u16, https: Option<u16>) -> Cluster {
    let https = https.map_or_else(String::new, |port| format!("\n      https: {{published: 443, target: {port}}}"));
    let text = format!(
        "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: any}}\nspec:\n  engine: nginx\n  extension: {{image: i}}\n  \
         proxy:\n    image: i\n    publish:\n      mode: ingress\n      http: {{published: 80, target: {http}}}{https}\n"
    );
    let declaration = read_documents(&[SourceFile::new("spec.yaml", text)]);
    declaration.valid().next().unwrap_or_else(|| panic!("{:?}", declaration.findings)).clone()
}
