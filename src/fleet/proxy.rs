//! The proxy service. It carries the traffic, so everything here aims to replace its tasks rarely and safely.

use std::time::Duration;

use serde_json::{Value, json};

use super::ShapeInput;
use super::common_service_fields::{self, ServiceNetworks, nanos};
use super::container_limits::{self, Program};
use super::global_mode::{self, ProxyCount};
use super::mounted_config::{self, MountedConfig};
use super::new_networks;
use super::object_names;
use super::peer_addresses;
use super::service_shape::ServiceShape;
use super::spec_field::{DesiredValue, Equivalence, Field, Role, want, whole};
use crate::intent::cluster::Proxy;
use crate::intent::cluster_spec::{FailureAction, PublishMode, RolloutStrategy};
use crate::protocol::ChannelMode;
use crate::protocol::container_contract::{ENV_EXTENSION_URL, EXTENSION_PORT, RUN_DIR, STATE_DIR, USER};
use crate::report::{Finding, WaitingOn};
use crate::swarm::Service;
use crate::types::UpdateOrder;

/// How long a proxy may finish open requests; set at creation.
const GRACE_AT_CREATION: Duration = Duration::from_secs(30);
/// How long Swarm monitors a new task; set at creation: Swarm's own default, made explicit.
const MONITOR_AT_CREATION: Duration = Duration::from_secs(5);
/// Both nginx and our agent finish open requests on this signal.
const STOP_SIGNAL_AT_CREATION: &str = "SIGQUIT";

/// The proxy service of the cluster, and the findings about it.
pub(super) fn shape(input: &ShapeInput<'_>) -> (ServiceShape, Vec<Finding>) {
    let proxy = &input.cluster.proxy;
    let existing = input.snapshot.services.values().find(|service| service.name == proxy.workload.service_name.as_str());
    let mounted = mounted_config::choose_config(input, existing);
    let (own, environment) = env(input);
    let env: Vec<_> = own.iter().chain(&environment.now).cloned().chain(new_networks::variable_before(existing)).collect();
    let newest: Vec<_> = own.iter().chain(environment.newest()).cloned().chain(new_networks::variable_now(input)).collect();
    let newer_env = (newest != env).then(|| common_service_fields::env(&proxy.workload, &newest));
    let mut fields = common_service_fields::fields(input, &proxy.workload, Role::Proxy, &env);
    fields.extend(program(input));
    fields.extend(container_limits::privileges(
        input,
        &proxy.workload,
        if proxy.rollout == RolloutStrategy::Live { Program::Ours } else { Program::Stock },
    ));
    fields.extend([networks(input), stop_signal(proxy), grace(proxy)]);
    fields.extend(endpoint(proxy));
    let ProxyCount { mode, fields: number, follows_nodes, finding: on_number } =
        global_mode::proxy_count(proxy, existing, input.snapshot, will_start_first(proxy, existing));
    fields.extend(number);
    fields.extend(update(proxy, existing));
    let hold = mounted.now.is_empty();
    let MountedConfig { now, when_replaced, objects, finding } = mounted;
    fields.extend(now);
    let name = proxy.workload.service_name.to_string();
    let waits = |verb: &str| hold.then(|| WaitingOn::Extension { step: format!("{verb} service {name}") });
    let shape = ServiceShape {
        role: Role::Proxy,
        mode,
        follows_nodes,
        fields,
        when_replaced: when_replaced.into_iter().chain(newer_env).collect(),
        configs: objects,
        hold_creation: waits("create"),
        hold_update: waits("update"),
        hold_replacement: peer_addresses::unknown_operator_address(input).map(|_| WaitingOn::ManagerAddress),
        contested: None,
        first_alone: !input.network_update.attaching.is_empty(),
        goes_back: input.network_update.withdraws,
        name,
    };
    (shape, finding.into_iter().chain(on_number).collect())
}

/// What the container runs: our agent, or the stock image's own program.
fn program(input: &ShapeInput<'_>) -> Vec<Field> {
    let workload = &input.cluster.proxy.workload;
    let healthcheck_path = &["TaskTemplate", "ContainerSpec", "Healthcheck"];
    match input.cluster.proxy.rollout {
        RolloutStrategy::Live => {
            let volume = json!({"Type": "volume", "Source": object_names::state_volume(&input.cluster.name), "Target": STATE_DIR});
            let mounts = vec![(STATE_DIR.to_owned(), volume), common_service_fields::tmpfs(RUN_DIR), common_service_fields::tmpfs("/tmp")];
            vec![
                common_service_fields::args(workload, Some("proxy")),
                common_service_fields::user(Some(USER)),
                common_service_fields::read_only(Some(true)),
                common_service_fields::mounts(mounts),
                whole("healthcheck", healthcheck_path, DesiredValue::Stated(healthcheck()), Value::Null),
            ]
        }
        RolloutStrategy::Replace => vec![
            common_service_fields::args(workload, None),
            common_service_fields::user(None),
            common_service_fields::read_only(None),
            common_service_fields::mounts(Vec::new()),
            whole("healthcheck", healthcheck_path, DesiredValue::Free, Value::Null),
        ],
    }
}

/// A task is considered running once its engine serves, and a rollout waits for that. Swarm ends a task that fails its
/// check, and on an overloaded machine even starting the check takes many seconds. Long timeouts cost little, because the
/// agent exits by itself when its engine does.
fn healthcheck() -> Value {
    json!({
        "Test": ["CMD", "swarmgate", "proxy", "--check"],
        "Interval": nanos(Duration::from_secs(3)),
        "Timeout": nanos(Duration::from_secs(30)),
        "Retries": 10,
        "StartPeriod": nanos(Duration::from_secs(15)),
    })
}

/// The environment of our agent, and separately the part about the peers that it follows: the extension by its name on the
/// control network, or the operator, which knows where the extension is.
fn env(input: &ShapeInput<'_>) -> (Vec<(&'static str, String)>, peer_addresses::PeerEnvironment) {
    let environment = |now| peer_addresses::PeerEnvironment { now, when_replaced: Vec::new() };
    match (input.cluster.proxy.rollout, input.channel) {
        (RolloutStrategy::Replace, _) => (Vec::new(), environment(Vec::new())),
        (RolloutStrategy::Live, ChannelMode::Overlay { .. }) => {
            let url = format!("https://tasks.{}:{EXTENSION_PORT}", input.cluster.extension.service_name);
            let operator = peer_addresses::environment(input, &input.cluster.proxy.workload).now;
            (common_service_fields::channel_env(input), environment(operator.into_iter().chain([(ENV_EXTENSION_URL, url)]).collect()))
        }
        (RolloutStrategy::Live, ChannelMode::Host { .. }) => {
            (common_service_fields::channel_env(input), peer_addresses::environment(input, &input.cluster.proxy.workload))
        }
    }
}

/// The networks of the routes. The proxies follow the extension over the control network, unless they are stock images.
fn networks(input: &ShapeInput<'_>) -> Field {
    let known = |id: &&crate::types::NetworkId| input.snapshot.networks.contains_key(id);
    let mut ids: Vec<String> = input.networks.iter().filter(known).map(|id| id.0.clone()).collect();
    ids.sort();
    ids.dedup();
    let reach = match input.cluster.proxy.rollout {
        RolloutStrategy::Live => ServiceNetworks::Control,
        RolloutStrategy::Replace => ServiceNetworks::Applications,
    };
    common_service_fields::networks(input, reach, &ids)
}

fn stop_signal(proxy: &Proxy) -> Field {
    let path = &["TaskTemplate", "ContainerSpec", "StopSignal"];
    whole("stopSignal", path, want(proxy.stop_signal.as_deref()), json!(STOP_SIGNAL_AT_CREATION))
}

fn grace(proxy: &Proxy) -> Field {
    let path = &["TaskTemplate", "ContainerSpec", "StopGracePeriod"];
    whole("stopGracePeriod", path, want(proxy.stop_grace_period.map(nanos)), nanos(GRACE_AT_CREATION))
        .absent_means(json!(10_000_000_000_u64))
}

/// Host mode needs no VIP; the routing mesh refuses dnsrr.
fn endpoint(proxy: &Proxy) -> [Field; 2] {
    let publish_mode = publish_mode(proxy);
    let port = |mapping: &crate::intent::cluster_spec::PortMapping| {
        json!({
            "Protocol": "tcp", "TargetPort": mapping.target.get(), "PublishedPort": mapping.published.get(), "PublishMode": publish_mode,
        })
    };
    let ports: Vec<Value> = std::iter::once(&proxy.publish.http).chain(&proxy.publish.https).map(port).collect();
    let mode = if proxy.publish.mode == PublishMode::Host { "dnsrr" } else { "vip" };
    [
        whole("endpointMode", &["EndpointSpec", "Mode"], want(Some(mode)), Value::Null).absent_means(json!("vip")),
        whole("ports", &["EndpointSpec", "Ports"], want(Some(ports)), Value::Null)
            .with_equivalence(Equivalence::Ports)
            .absent_means(json!([])),
    ]
}

fn publish_mode(proxy: &Proxy) -> &'static str {
    match proxy.publish.mode {
        PublishMode::Ingress => "ingress",
        PublishMode::Host => "host",
    }
}

/// How Swarm replaces tasks and rolls back. The rollback policy is not in the document: it follows the update policy.
fn update(proxy: &Proxy, existing: Option<&Service>) -> Vec<Field> {
    let policy = &proxy.update;
    let order = order(proxy, existing);
    let (parallelism, delay) = (want(policy.parallelism), want(policy.delay.map(nanos)));
    let action = want(policy.failure_action.map(action_word));
    let monitor = want(policy.monitor.map(nanos));
    let order_default = json!(default_order(proxy));
    vec![
        whole("update.parallelism", &["UpdateConfig", "Parallelism"], parallelism.clone(), json!(1)).absent_means(json!(1)),
        whole("update.delay", &["UpdateConfig", "Delay"], delay, Value::Null).absent_means(json!(0)),
        whole("update.failureAction", &["UpdateConfig", "FailureAction"], action, json!("rollback")).absent_means(json!("pause")),
        whole("update.monitor", &["UpdateConfig", "Monitor"], monitor.clone(), nanos(MONITOR_AT_CREATION))
            .absent_means(nanos(MONITOR_AT_CREATION)),
        whole("update.order", &["UpdateConfig", "Order"], order.clone(), order_default.clone()).absent_means(json!(UpdateOrder::StopFirst)),
        whole("rollback.parallelism", &["RollbackConfig", "Parallelism"], parallelism, json!(1)).absent_means(json!(1)),
        whole("rollback.failureAction", &["RollbackConfig", "FailureAction"], DesiredValue::Free, json!("pause"))
            .absent_means(json!("pause")),
        whole("rollback.monitor", &["RollbackConfig", "Monitor"], monitor, nanos(MONITOR_AT_CREATION))
            .absent_means(nanos(MONITOR_AT_CREATION)),
        whole("rollback.order", &["RollbackConfig", "Order"], order, order_default).absent_means(json!(UpdateOrder::StopFirst)),
    ]
}

/// If not stated, the order is unmanaged, but it is set once when the publish mode changes, and whenever a manual value
/// cannot work: start-first tasks wait forever for a fixed host port.
fn order(proxy: &Proxy, existing: Option<&Service>) -> DesiredValue {
    if let Some(order) = proxy.update.order {
        return DesiredValue::Stated(json!(order));
    }
    let wanted_host = proxy.publish.mode == PublishMode::Host;
    let moves = existing.is_some_and(|service| publishes_on_host(service).is_some_and(|host| host != wanted_host));
    let waits_for_ever = wanted_host && existing.is_some_and(starts_first);
    if moves || waits_for_ever { DesiredValue::Once(json!(default_order(proxy))) } else { DesiredValue::Free }
}

/// Whether updates or rollbacks will start new tasks before the old ones have stopped.
fn will_start_first(proxy: &Proxy, existing: Option<&Service>) -> bool {
    match (order(proxy, existing), existing) {
        (DesiredValue::Stated(word) | DesiredValue::Once(word), _) => word == UpdateOrder::StartFirst.as_str(),
        (DesiredValue::Free, Some(service)) => starts_first(service),
        (DesiredValue::Free, None) => default_order(proxy) == UpdateOrder::StartFirst.as_str(),
    }
}

/// Whether an update or a rollback would start new tasks before the old ones have stopped.
fn starts_first(service: &Service) -> bool {
    let order = |config: &str| service.spec.pointer(&format!("/{config}/Order")).and_then(Value::as_str);
    ["UpdateConfig", "RollbackConfig"].into_iter().any(|config| order(config) == Some(UpdateOrder::StartFirst.as_str()))
}

fn publishes_on_host(service: &Service) -> Option<bool> {
    let ports = service.spec.pointer("/EndpointSpec/Ports")?.as_array()?;
    let first = ports.first()?;
    Some(first.get("PublishMode").and_then(Value::as_str) == Some("host"))
}

fn default_order(proxy: &Proxy) -> &'static str {
    match proxy.publish.mode {
        PublishMode::Ingress => UpdateOrder::StartFirst.as_str(),
        PublishMode::Host => UpdateOrder::StopFirst.as_str(),
    }
}

fn action_word(action: FailureAction) -> &'static str {
    match action {
        FailureAction::Pause => "pause",
        FailureAction::Continue => "continue",
        FailureAction::Rollback => "rollback",
    }
}
