//! Tests of translations of small Swarms, in the short form of the golden cases.

mod addresses;
mod admission;
mod capacity;
mod colliding_hosts;
#[path = "../../tests/golden/compact_swarm.rs"]
mod compact_swarm;
mod grants;
#[path = "../../tests/any_input/hash_collisions.rs"]
mod hash_collisions;
mod host_owners;
mod isolation;
mod kinds;
#[path = "../../tests/any_input/label_generator.rs"]
mod label_generator;
mod label_mistakes;
mod limits;
mod network_choice;
mod network_exchange;
mod network_suitability;
mod node_ports;
mod ownership;
mod routes;
mod shares;
mod tls;

use std::collections::BTreeMap;

use super::*;
use crate::intent::cluster::{Proxy, UpdatePolicy, Workload};
use crate::intent::cluster_spec::{Mode, PortMapping, Publish, PublishMode, RolloutStrategy};
use crate::report::FindingCode;
use crate::route::EngineSettings;
use crate::types::{ClusterName, HostPattern, NetworkName, Port, ServiceName};

fn workload(name: &str) -> Workload {
    Workload {
        service_name: ServiceName::parse(name).unwrap(),
        image: "swarmgate-nginx:dev".to_owned(),
        args: None,
        env: None,
        constraints: None,
        placement_preferences: None,
        labels: None,
        container_labels: None,
        resources: None,
        logging: None,
    }
}

/// The cluster `default`, which publishes services without `service_cluster`.
fn cluster() -> Cluster {
    let port = |number| PortMapping { published: Port::new(number).unwrap(), target: Port::new(number).unwrap() };
    Cluster {
        name: ClusterName::parse("default").unwrap(),
        service_cluster: None,
        engine: crate::types::EngineKind::Nginx,
        networks: crate::intent::networks::NetworkRules::default(),
        extension: workload("swarmgate-extension-default"),
        proxy: Proxy {
            workload: workload("swarmgate-proxy-default"),
            mode: Mode::Replicated,
            replicas: None,
            publish: Publish { mode: PublishMode::Ingress, http: port(80), https: Some(port(443)) },
            stop_signal: None,
            stop_grace_period: None,
            update: UpdatePolicy::default(),
            rollout: RolloutStrategy::Live,
            config_path: "/etc/nginx/nginx.conf".to_owned(),
        },
        hosts: crate::intent::hosts::HostRules::default(),
        material: crate::intent::reference_grants::MaterialRules::default(),
        settings: EngineSettings::default(),
        limits: crate::intent::config_quotas::ConfigQuotas::default(),
    }
}

fn snapshot(compact: &str) -> Snapshot {
    let raw = serde_json::from_value(compact_swarm::expand(&compact_swarm::yaml(compact))).unwrap();
    Snapshot::from_raw(&raw).unwrap()
}

fn translated(compact: &str) -> Translation {
    translate(&cluster(), &snapshot(compact))
}

fn closed(networks: &[&str]) -> Cluster {
    let networks = networks.iter().map(|name| NetworkName::parse(name).unwrap()).collect();
    let rules = crate::intent::networks::NetworkRules { only: Some(networks), ..Default::default() };
    Cluster { networks: rules, ..cluster() }
}

/// The endpoints of each route as `host/path: address, address`.
fn endpoints(translation: &Translation) -> Vec<String> {
    let mut lines = Vec::new();
    for (host, virtual_host) in &translation.table.hosts {
        for (path, route) in &virtual_host.paths {
            let endpoints = route.backend.services.iter().flat_map(|service| &service.endpoints);
            let addresses: Vec<_> = endpoints.map(|endpoint| format!("{}:{}", endpoint.address, endpoint.port)).collect();
            lines.push(format!("{host}{path}: {}", addresses.join(", ")));
        }
    }
    lines
}

fn check_endpoints(compact: &str, expected: &[&str]) {
    assert_eq!(endpoints(&translated(compact)), expected);
}

fn network_ids(translation: &Translation) -> Vec<&str> {
    translation.networks.iter().map(|network| network.0.as_str()).collect()
}

fn codes(translation: &Translation) -> Vec<FindingCode> {
    translation.findings.iter().map(|finding| finding.code.clone()).collect()
}

fn default_services(translation: &Translation) -> Vec<&str> {
    translation.table.default_backend.iter().flat_map(|default| &default.backend.services).map(|service| service.name.as_str()).collect()
}

fn findings_of<'a>(translation: &'a Translation, code: &FindingCode) -> Vec<&'a Finding> {
    translation.findings.iter().filter(|finding| finding.code == *code).collect()
}

fn count_of(findings: &[Finding]) -> BTreeMap<FindingCode, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.code.clone()).or_default() += 1;
    }
    counts
}

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}
