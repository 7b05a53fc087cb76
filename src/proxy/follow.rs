//! Keeps the newest offer of the extension at hand, and notes when it confirms what is running.

use std::convert::Infallible;
use std::sync::Arc;

use super::Agent;
use crate::channel::wire::{ProxyConfig, Refusal};
use crate::channel::{Answer, ChannelClient, Follower};
use crate::types::Digest;

/// Follows for ever. What is damaged or meant for others is refused here and never reaches the engine.
pub(super) async fn follow(client: &ChannelClient, agent: &Agent) -> Infallible {
    let mut follower = Follower::new(client, "/v1/bundle");
    let mut after: Option<Digest> = None;
    loop {
        match follower.next::<ProxyConfig>(after.as_ref()).await {
            Answer::Same => confirm(agent, after.as_ref()),
            Answer::New(config) => {
                after = Some(config.live.digest.clone());
                offer(agent, config);
            }
        }
    }
}

fn confirm(agent: &Agent, digest: Option<&Digest>) {
    if agent.state.borrow().running.as_ref() == digest {
        agent.store.confirm(jiff::Timestamp::now());
    }
}

fn offer(agent: &Agent, config: ProxyConfig) {
    let cluster = &agent.options.cluster;
    match config.live.check(cluster).and_then(|()| config.boot.check(cluster)) {
        Ok(()) => {
            agent.offers.send_replace(Some(Arc::new(config)));
        }
        Err(fault) => {
            tracing::error!(%fault, "the extension offers a configuration that cannot be used");
            let refusal = Refusal { digest: config.live.digest, words: fault.to_string(), undecided: false };
            agent.state.send_modify(|state| state.rejected = Some(refusal));
        }
    }
}
