//! Keeps the newest offer of the extension at hand, and notes when it confirms what is running.

use std::convert::Infallible;
use std::sync::Arc;

use super::Agent;
use crate::channel::wire::{BundleFault, ProxyConfig, Refusal};
use crate::channel::{Answer, ChannelClient, Follower};
use crate::engine::last_words;
use crate::pki::TrustRoot;
use crate::types::{ClusterName, Digest};

/// Follows for ever. What is damaged or meant for others is refused here and never reaches the engine.
pub(super) async fn follow(client: &ChannelClient, agent: &Agent) -> Infallible {
    let mut follower = Follower::new(client, "/v1/bundle").telling(|trouble| cut(agent, trouble));
    let mut after: Option<(Digest, Digest)> = None;
    loop {
        match follower.next::<ProxyConfig>(after.as_ref().map(|(offer, _)| offer)).await {
            Answer::Same => confirm(agent, after.as_ref().map(|(_, live)| live)),
            Answer::New(config) => {
                after = Some((config.digest.clone(), config.live.digest.clone()));
                offer(agent, config);
            }
        }
    }
}

/// Notes why nothing newer can be had: reports may still get through.
fn cut(agent: &Agent, trouble: Option<&str>) {
    agent.state.send_modify(|state| {
        let since = state.cut.as_ref().map_or_else(jiff::Timestamp::now, |(_, since)| *since);
        state.cut = trouble.map(|words| (last_words(words), since));
    });
}

fn confirm(agent: &Agent, digest: Option<&Digest>) {
    if agent.state.borrow().running.as_ref() == digest {
        agent.store.confirm(jiff::Timestamp::now());
    }
}

fn offer(agent: &Agent, config: ProxyConfig) {
    let had = agent.state.borrow().generation;
    match usable(&config, agent.root(), &agent.options.cluster, had) {
        Ok(()) => {
            agent.offers.send_replace(Some(Arc::new(config)));
        }
        Err(fault) => {
            tracing::error!(%fault, "the extension offers a configuration that cannot be used");
            let refusal = Refusal::new(config.live.digest, fault.to_string());
            agent.state.send_modify(|state| state.rejected = Some(refusal));
        }
    }
}

/// Made by this cluster's extension, whole, and not older than what ran here before. The snapshot that comes along may be: it
/// changes seldom.
fn usable(config: &ProxyConfig, root: &TrustRoot, cluster: &ClusterName, had: u64) -> Result<(), BundleFault> {
    config.live.check_usable(cluster, root, had)?;
    config.boot.check_usable(cluster, root, 0)
}
