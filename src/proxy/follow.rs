//! Fetches the newest offer of the extension, and records when the extension confirms the running one.

use std::convert::Infallible;
use std::sync::Arc;

use super::Agent;
use crate::channel::{ChannelClient, Follower, Moment, PollResponse, PollResult};
use crate::protocol::messages::{BundleFault, ConfigRejection, ProxyConfig};
use crate::protocol::timings::PROXY_CONFIRM_INTERVAL;
use crate::runtime::last_bytes;
use crate::types::Digest;

/// Follows forever. Damaged offers and those for other clusters are refused here and never reach the engine.
pub(super) async fn follow(client: &ChannelClient, agent: &Agent) -> Infallible {
    let mut follower = Follower::new(client, "/v1/bundle").with_wait(PROXY_CONFIRM_INTERVAL).on_problem(|trouble| cut(agent, trouble));
    let mut after: Option<Digest> = None;
    loop {
        let PollResponse { answer, confirmed } = follower.next::<ProxyConfig>(after.as_ref()).await;
        match answer {
            PollResult::Same => {
                if let Some(same) = &after {
                    confirm(agent, same, confirmed);
                }
            }
            PollResult::New(config) => {
                after = Some(config.digest.clone());
                agent.confirmations.record(&config.digest, confirmed);
                offer(agent, config);
            }
        }
    }
}

/// Records why newer offers cannot be fetched: reports may still get through.
fn cut(agent: &Agent, trouble: Option<&str>) {
    agent.state.send_modify(|state| {
        let since = state.cut.as_ref().map_or_else(jiff::Timestamp::now, |(_, since)| *since);
        state.cut = trouble.map(|message| (last_bytes(message), since));
    });
}

fn confirm(agent: &Agent, offer: &Digest, confirmed: Moment) {
    agent.confirmations.record(offer, confirmed);
    agent.store.confirm(offer, confirmed.date());
}

fn offer(agent: &Agent, config: ProxyConfig) {
    let had = agent.state.borrow().generation;
    match usable(&config, agent, had) {
        Ok(()) => {
            agent.offers.send_replace(Some(Arc::new(config)));
        }
        Err(fault) => {
            tracing::error!(%fault, "rejected an invalid configuration from the extension");
            let refusal = ConfigRejection::new(config.live.digest, fault.to_string());
            agent.state.send_modify(|state| state.rejected = Some(refusal));
        }
    }
}

/// Checks that an offer is from this cluster's extension, complete, and not older than what ran here before. Its boot snapshot may
/// be older: it rarely changes.
fn usable(config: &ProxyConfig, agent: &Agent, had: u64) -> Result<(), BundleFault> {
    let (cluster, engine, root) = (&agent.options.cluster, agent.options.engine_kind, agent.root());
    config.live.check_usable(cluster, engine, root, had)?;
    config.boot.check_usable(cluster, engine, root, 0)
}
