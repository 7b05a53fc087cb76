//! Tells the extension what this proxy runs: after every change, and as a heartbeat.

use std::convert::Infallible;
use std::time::Duration;

use super::{Agent, State};
use crate::channel::ChannelClient;
use crate::channel::wire::{ProxyReport, WIRE_VERSION};
use crate::retry::{Retry, RetryLimits};

/// The extension forgets a proxy after a dozen of these.
const HEARTBEAT: Duration = Duration::from_secs(5);
const RETRY: RetryLimits = RetryLimits { initial: Duration::from_millis(100), max: HEARTBEAT };

/// Reports for ever. What cannot be delivered is not kept: the next report says what is true then.
pub(super) async fn report(client: &ChannelClient, agent: &Agent) -> Infallible {
    let mut state = agent.state.subscribe();
    let mut retry = Retry::new(RETRY);
    let path = format!("/v1/proxies/{}", agent.options.task);
    loop {
        let now = state.borrow_and_update().clone();
        let pause = match client.send(&path, &message(agent, now)).await {
            Ok(()) => {
                retry.reset();
                HEARTBEAT
            }
            Err(error) => {
                tracing::debug!(%error, "the report was not delivered");
                retry.next()
            }
        };
        // The sender is the agent itself: a change or the time, there is no third way out.
        let _ = tokio::time::timeout(pause, state.changed()).await;
    }
}

fn message(agent: &Agent, state: State) -> ProxyReport {
    ProxyReport {
        version: WIRE_VERSION,
        task: agent.options.task.clone(),
        node: agent.options.node.clone(),
        running: state.running,
        source: state.source.map(|source| source.as_str().to_owned()),
        rejected: state.rejected,
        generation: state.generation,
        reloads: state.reloads,
        load: state.load,
        seen_at: None,
    }
}
