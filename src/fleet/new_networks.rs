//! Tells proxies which networks are new to them. No task is replaced for that: the service keeps the values of an earlier
//! rollout until its tasks are replaced anyway.

use jiff::SignedDuration;
use serde_json::Value;

use super::ShapeInput;
use crate::intent::cluster::NETWORK_TIMEOUT;
use crate::intent::cluster_spec::{PublishMode, RolloutStrategy};
use crate::protocol::NewNetworks;
use crate::protocol::container_contract::ENV_NEW_NETWORKS;
use crate::swarm::{Network, Service};

/// Added to the time that a proxy may take: allows for the old one to end and for Swarm to begin.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// The value that the service's tasks got at the last update.
pub(super) fn variable_before(service: Option<&Service>) -> Option<(&'static str, String)> {
    let env = service?.spec.pointer("/TaskTemplate/ContainerSpec/Env")?.as_array()?;
    let value = env.iter().filter_map(Value::as_str).find_map(|entry| entry.strip_prefix(ENV_NEW_NETWORKS)?.strip_prefix('='))?;
    Some((ENV_NEW_NETWORKS, value.to_owned()))
}

/// The value for tasks that get new networks now. `None` if there are no new networks, or no agent of ours that could read
/// it.
pub(super) fn variable_now(input: &ShapeInput<'_>) -> Option<(&'static str, String)> {
    let proxy = &input.cluster.proxy;
    if input.network_update.attaching.is_empty() || proxy.rollout == RolloutStrategy::Replace {
        return None;
    }
    let timeout = SignedDuration::try_from(proxy.update.network_timeout.unwrap_or(NETWORK_TIMEOUT)).unwrap_or(SignedDuration::MAX);
    let on_node = proxy.publish.mode == PublishMode::Host;
    let networks = || input.networks.iter().filter_map(|id| input.snapshot.networks.get(id));
    let is_new = |network: &&Network| input.network_update.attaching.contains(&network.id);
    let mesh = input.snapshot.networks.values().filter(|network| network.routing_mesh && !on_node);
    let new = NewNetworks {
        from: input.now,
        until: input.now.checked_add(timeout.saturating_add(MARGIN)).unwrap_or(input.now),
        known: networks().filter(|network| !is_new(network)).chain(mesh).map(subnets).collect(),
        new: networks().filter(is_new).map(subnets).collect(),
        node_port: on_node.then(|| proxy.publish.http.published.get()),
        port: proxy.publish.http.target.get(),
    };
    Some((ENV_NEW_NETWORKS, new.to_string()))
}

fn subnets(network: &Network) -> Vec<ipnet::IpNet> {
    network.subnets.iter().map(|subnet| subnet.net).collect()
}
