//! Converts the document as written to the checked cluster: names completed, quantities in units, defaults resolved that
//! need no Swarm knowledge. What is not managed stays absent.

use crate::intent::cluster::{Amounts, Cluster, Logging, Proxy, Resources, UpdatePolicy, Workload};
use crate::intent::cluster_spec::{self as spec, Mode, PortMapping, Publish, PublishMode, RolloutStrategy, ServiceCluster};
use crate::intent::documents::{config_quotas, hosts, networks, reference_grants, settings};
use crate::intent::formats::stop_signal;
use crate::intent::placement_constraint::{Constraint, parse_preference};
use crate::intent::quantity::{parse_cpus, parse_duration, parse_memory};
use crate::types::{ClusterName, EngineKind, InvalidValue, Port, ServiceName};

/// The checked form of a document.
pub(super) fn cluster(document: ServiceCluster) -> Result<Cluster, InvalidValue> {
    let (name, spec) = (document.metadata.name, document.spec);
    Ok(Cluster {
        service_cluster: spec.service_cluster.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()),
        engine: spec.engine,
        networks: networks::checked(spec.networks)?,
        hosts: hosts::checked(spec.hosts)?,
        material: reference_grants::checked(spec.material)?,
        limits: config_quotas::checked(&spec.limits)?,
        extension: workload(spec.extension.workload, "extension", &name)?,
        settings: settings::checked(&spec.settings, publish_mode(&spec.proxy))?,
        proxy: proxy(spec.proxy, spec.engine, &name)?,
        name,
    })
}

fn workload(spec: spec::WorkloadSpec, role: &str, cluster: &ClusterName) -> Result<Workload, InvalidValue> {
    let service_name = spec.service_name.map_or_else(|| ServiceName::parse(&format!("swarmgate-{role}-{cluster}")), Ok)?;
    let constraint = |text: &String| Constraint::parse(text).map(|constraint| constraint.to_swarm());
    Ok(Workload {
        service_name,
        image: spec.image,
        args: spec.args,
        env: spec.env,
        constraints: spec.constraints.map(|list| list.iter().map(constraint).collect()).transpose()?,
        placement_preferences: spec
            .placement_preferences
            .map(|list| list.iter().map(|text| parse_preference(text)).collect())
            .transpose()?,
        labels: spec.labels,
        container_labels: spec.container_labels,
        resources: spec.resources.map(resources).transpose()?,
        logging: spec.logging.map(logging),
    })
}

fn proxy(spec: spec::ProxySpec, engine: EngineKind, cluster: &ClusterName) -> Result<Proxy, InvalidValue> {
    let publish = spec.publish.map_or_else(default_publish, Ok)?;
    Ok(Proxy {
        workload: workload(spec.workload, "proxy", cluster)?,
        mode: spec.mode.unwrap_or(Mode::Replicated),
        replicas: spec.replicas.map(u64::from),
        publish,
        stop_signal: spec.stop_signal.map(|text| stop_signal(&text)).transpose()?,
        stop_grace_period: spec.stop_grace_period.map(|text| parse_duration(&text)).transpose()?,
        update: update(spec.update.unwrap_or_default())?,
        rollout: spec.rollout.unwrap_or(RolloutStrategy::Live),
        config_path: spec.config_path.unwrap_or_else(|| engine.stock_config_path().to_owned()),
    })
}

/// How ports are published, with the default resolved.
fn publish_mode(spec: &spec::ProxySpec) -> PublishMode {
    spec.publish.as_ref().map_or(PublishMode::Ingress, |publish| publish.mode)
}

/// The routing mesh with the usual ports.
fn default_publish() -> Result<Publish, InvalidValue> {
    let same = |port| Port::new(port).map(|port| PortMapping { published: port, target: port });
    Ok(Publish { mode: PublishMode::Ingress, http: same(80)?, https: Some(same(443)?) })
}

fn update(spec: spec::UpdatePolicy) -> Result<UpdatePolicy, InvalidValue> {
    Ok(UpdatePolicy {
        parallelism: spec.parallelism.map(u64::from),
        delay: spec.delay.map(|text| parse_duration(&text)).transpose()?,
        order: spec.order,
        failure_action: spec.failure_action,
        monitor: spec.monitor.map(|text| parse_duration(&text)).transpose()?,
        network_interval: spec.network_interval.map(|text| parse_duration(&text)).transpose()?,
        network_timeout: spec.network_timeout.map(|text| parse_duration(&text)).transpose()?,
    })
}

fn resources(spec: spec::Resources) -> Result<Resources, InvalidValue> {
    let amounts = |cpus: Option<String>, memory: Option<String>| {
        let nano_cpus = cpus.map(|text| parse_cpus(&text)).transpose()?;
        let memory_bytes = memory.map(|text| parse_memory(&text)).transpose()?;
        Ok::<_, InvalidValue>(Amounts { nano_cpus, memory_bytes })
    };
    let (limits, reservations) = (spec.limits.unwrap_or_default(), spec.reservations.unwrap_or_default());
    Ok(Resources {
        limits: amounts(limits.cpus, limits.memory)?,
        pids_limit: limits.pids.map(i64::from),
        reservations: amounts(reservations.cpus, reservations.memory)?,
    })
}

fn logging(spec: spec::Logging) -> Logging {
    match spec.driver.as_str() {
        "default" => Logging::EngineDefault,
        _ => Logging::Driver { name: spec.driver, options: spec.options.unwrap_or_default() },
    }
}
