//! Clusters, bundles and objects for the tests of `fleet`, `plan` and `execute`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::intent::cluster::{Cluster, Proxy, UpdatePolicy, Workload};
use crate::intent::cluster_spec::{Mode, PortMapping, Publish, PublishMode, RolloutStrategy};
use crate::pki::{Authority, ChannelRole, Seals};
use crate::protocol::ChannelMode;
use crate::protocol::messages::Bundle;
use crate::route::EngineSettings;
use crate::types::{ClusterName, Digest, Port, ServiceName};

/// The instance name of the tests.
pub const INSTANCE: &str = "swarmgate";
/// The control network of the tests.
pub const CONTROL: &str = "swarmgate-control";
/// The operator's URL of the tests.
pub const URL: &str = "https://swarmgate-operator:8081";

/// The channel of the tests, over the control network.
pub fn overlay() -> ChannelMode {
    ChannelMode::Overlay { network: CONTROL.to_owned(), encrypted: false, operator_url: URL.to_owned() }
}

/// The authority of the tests: one for all tests in a process.
pub fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    Arc::clone(AUTHORITY.get_or_init(|| Arc::new(Authority::create(jiff::Timestamp::UNIX_EPOCH).unwrap())))
}

/// The authority's seals.
pub fn seals() -> Seals {
    authority().seals()
}

/// The name of the secret with a role's token in cluster `dev`.
pub fn token_name(role: ChannelRole) -> String {
    super::object_names::token_secret(role, &cluster().name, seals().authority())
}

/// A cluster `dev` that states no optional field.
pub fn cluster() -> Cluster {
    cluster_named("dev")
}

/// A cluster that states no optional field.
pub fn cluster_named(name: &str) -> Cluster {
    Cluster {
        name: ClusterName::parse(name).unwrap(),
        service_cluster: None,
        engine: crate::types::EngineKind::Nginx,
        networks: crate::intent::networks::NetworkRules::default(),
        extension: workload(&format!("swarmgate-extension-{name}")),
        proxy: Proxy {
            workload: workload(&format!("swarmgate-proxy-{name}")),
            mode: Mode::Replicated,
            replicas: None,
            publish: publish(PublishMode::Ingress),
            stop_signal: None,
            stop_grace_period: None,
            update: UpdatePolicy::default(),
            rollout: RolloutStrategy::Live,
            config_path: "/etc/nginx/nginx.conf".to_owned(),
        },
        hosts: crate::intent::hosts::HostRules::default(),
        material: crate::intent::reference_grants::MaterialRules::default(),
        limits: crate::intent::config_quotas::ConfigQuotas::default(),
        settings: EngineSettings::default(),
    }
}

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

/// Ports 80 and 443.
pub fn publish(mode: PublishMode) -> Publish {
    let port = |number| PortMapping { published: Port::new(number).unwrap(), target: Port::new(number).unwrap() };
    Publish { mode, http: port(80), https: Some(port(443)) }
}

/// A rendered configuration of cluster `dev`.
pub fn bundle(text: &str) -> Bundle {
    let files = BTreeMap::from([("nginx.conf".to_owned(), text.to_owned())]);
    Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(text.as_bytes()), files)
}

/// `{a: b}` as an owned map.
pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Owned texts.
pub fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}
