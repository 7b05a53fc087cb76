//! From the document as it was typed to the cluster as it is meant: names completed, quantities in units, defaults that
//! need no Swarm knowledge filled in. What is not managed stays absent.

use crate::intent::cluster::{Amounts, Cluster, Proxy, Resources, UpdatePolicy, Workload};
use crate::intent::cluster_spec::{self as spec, Mode, PortMapping, Publish, PublishMode, Rollout, ServiceCluster};
use crate::intent::constraint::{Constraint, parse_preference};
use crate::intent::grammar::{buffer_size, engine_duration, header_buffers, stop_signal, timeout, zone_size};
use crate::intent::quantity::{parse_cpus, parse_duration, parse_memory, parse_size};
use crate::route::{EngineSettings, SizeBytes};
use crate::types::{ClusterName, Port, Refused, ServiceName};

/// Where nginx images look for their configuration.
const CONFIG_PATH: &str = "/etc/nginx/nginx.conf";

/// The checked form of a document.
pub(super) fn cluster(document: ServiceCluster) -> Result<Cluster, Refused> {
    let (name, spec) = (document.metadata.name, document.spec);
    let networks = spec.networks.map(|mut networks| {
        networks.sort();
        networks.dedup();
        networks
    });
    Ok(Cluster {
        service_cluster: spec.service_cluster.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()),
        engine: spec.engine,
        networks,
        extension: workload(spec.extension.workload, "extension", &name)?,
        proxy: proxy(spec.proxy, &name)?,
        settings: settings(&spec.settings)?,
        name,
    })
}

fn workload(spec: spec::WorkloadSpec, role: &str, cluster: &ClusterName) -> Result<Workload, Refused> {
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
    })
}

fn proxy(spec: spec::ProxySpec, cluster: &ClusterName) -> Result<Proxy, Refused> {
    let publish = spec.publish.map_or_else(default_publish, Ok)?;
    Ok(Proxy {
        workload: workload(spec.workload, "proxy", cluster)?,
        mode: spec.mode.unwrap_or(Mode::Replicated),
        replicas: spec.replicas.map(u64::from),
        publish,
        stop_signal: spec.stop_signal.map(|text| stop_signal(&text)).transpose()?,
        stop_grace_period: spec.stop_grace_period.map(|text| parse_duration(&text)).transpose()?,
        update: update(spec.update.unwrap_or_default())?,
        rollout: spec.rollout.unwrap_or(Rollout::Live),
        config_path: spec.config_path.unwrap_or_else(|| CONFIG_PATH.to_owned()),
    })
}

/// The routing mesh with the ports that people expect.
fn default_publish() -> Result<Publish, Refused> {
    let same = |port| Port::new(port).map(|port| PortMapping { published: port, target: port });
    Ok(Publish { mode: PublishMode::Ingress, http: same(80)?, https: Some(same(443)?) })
}

fn update(spec: spec::UpdatePolicy) -> Result<UpdatePolicy, Refused> {
    Ok(UpdatePolicy {
        parallelism: spec.parallelism.map(u64::from),
        delay: spec.delay.map(|text| parse_duration(&text)).transpose()?,
        order: spec.order,
        failure_action: spec.failure_action,
        monitor: spec.monitor.map(|text| parse_duration(&text)).transpose()?,
    })
}

fn resources(spec: spec::Resources) -> Result<Resources, Refused> {
    let amounts = |spec: Option<spec::ResourceAmounts>| {
        let spec = spec.unwrap_or_default();
        let nano_cpus = spec.cpus.map(|text| parse_cpus(&text)).transpose()?;
        let memory_bytes = spec.memory.map(|text| parse_memory(&text)).transpose()?;
        Ok::<_, Refused>(Amounts { nano_cpus, memory_bytes })
    };
    Ok(Resources { limits: amounts(spec.limits)?, reservations: amounts(spec.reservations)? })
}

fn settings(spec: &spec::Settings) -> Result<EngineSettings, Refused> {
    let default = EngineSettings::default();
    let (count, size) = or(spec.large_client_header_buffers.as_deref(), header_buffers, {
        (default.large_client_header_buffers_count, default.large_client_header_buffer_size)
    })?;
    let body_size = |text: &str| parse_size(text).map(SizeBytes);
    Ok(EngineSettings {
        worker_processes: spec.worker_processes.unwrap_or(default.worker_processes),
        max_connections: spec.max_connections.unwrap_or(default.max_connections),
        open_files_max: spec.open_files.unwrap_or(default.open_files_max),
        connect_timeout_ms: or(spec.connect_timeout.as_deref(), timeout, default.connect_timeout_ms)?,
        send_timeout_ms: or(spec.send_timeout.as_deref(), timeout, default.send_timeout_ms)?,
        read_timeout_ms: or(spec.read_timeout.as_deref(), timeout, default.read_timeout_ms)?,
        keepalive_timeout_ms: or(spec.keepalive_timeout.as_deref(), engine_duration, default.keepalive_timeout_ms)?,
        keepalive_min_timeout_ms: or(spec.keepalive_min_timeout.as_deref(), engine_duration, default.keepalive_min_timeout_ms)?,
        worker_shutdown_timeout_ms: or(spec.worker_shutdown_timeout.as_deref(), engine_duration, default.worker_shutdown_timeout_ms)?,
        client_max_body_size: or(spec.client_max_body_size.as_deref(), body_size, default.client_max_body_size)?,
        client_body_buffer_size: or(spec.client_body_buffer_size.as_deref(), buffer_size, default.client_body_buffer_size)?,
        client_header_buffer_size: or(spec.client_header_buffer_size.as_deref(), buffer_size, default.client_header_buffer_size)?,
        large_client_header_buffers_count: count,
        large_client_header_buffer_size: size,
        client_body_timeout_ms: or(spec.client_body_timeout.as_deref(), timeout, default.client_body_timeout_ms)?,
        underscores_in_headers: spec.underscores_in_headers.unwrap_or(default.underscores_in_headers),
        hide_info_headers: spec.hide_info_headers.unwrap_or(default.hide_info_headers),
        access_log: spec.access_log.unwrap_or(default.access_log),
        upstream_zone_size: or(spec.upstream_zone_size.as_deref(), zone_size, default.upstream_zone_size)?,
    })
}

/// The value of a text that may be absent.
fn or<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, Refused>, default: T) -> Result<T, Refused> {
    text.map_or(Ok(default), parse)
}
