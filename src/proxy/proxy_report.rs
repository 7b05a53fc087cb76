//! Reports to the extension what this proxy runs: after every change, and as a heartbeat.

use std::convert::Infallible;

use jiff::Timestamp;

use super::{Agent, ProxyState};
use crate::channel::ChannelClient;
use crate::protocol::messages::{Activity, ActivityKind, ProxyReport, WIRE_VERSION};
use crate::protocol::timings::{PROXY_HEARTBEAT, PROXY_REPORT_RETRY};
use crate::retry::Retry;

/// Reports forever. A report that cannot be delivered is dropped: the next one has the newer state.
pub(super) async fn report(client: &ChannelClient, agent: &Agent) -> Infallible {
    let mut state = agent.state.subscribe();
    let mut retry = Retry::new(PROXY_REPORT_RETRY);
    let path = format!("/v1/proxies/{}", agent.options.task);
    loop {
        let now = state.borrow_and_update().clone();
        let pause = match client.send(&path, &message(agent, now)).await {
            Ok(()) => {
                retry.reset();
                PROXY_HEARTBEAT
            }
            Err(error) => {
                tracing::debug!(%error, "cannot deliver the report");
                retry.next()
            }
        };
        // The agent holds the sender: only a change or the timeout ends the wait.
        let _ = tokio::time::timeout(pause, state.changed()).await;
    }
}

fn message(agent: &Agent, state: ProxyState) -> ProxyReport {
    let activity = Some(activity(&state, agent.started));
    ProxyReport {
        version: WIRE_VERSION,
        task: agent.options.task.clone(),
        node: agent.options.node.clone(),
        running: state.running,
        source: state.source,
        rejected: state.rejected,
        generation: state.generation,
        reloads: state.reloads,
        applied: state.applied,
        runtime_changes: state.runtime_changes,
        activity,
        fallbacks: state.fallbacks,
        load: state.load,
        seen_at: None,
        silent: false,
    }
}

/// What is in progress is reported before faults, because it may be about to fix them.
fn activity(state: &ProxyState, started: Timestamp) -> Activity {
    if let Some((digest, since)) = &state.testing {
        return Activity { kind: ActivityKind::Testing, since: *since, digest: Some(digest.clone()), message: String::new() };
    }
    match &state.cut {
        Some((message, since)) => Activity { kind: ActivityKind::Cut, since: *since, digest: None, message: message.clone() },
        None => Activity { kind: ActivityKind::Following, since: started, digest: None, message: String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Digest;

    #[test]
    fn a_running_test_is_reported_before_a_lost_connection() {
        let [started, later] = [0, 10].map(|second| Timestamp::from_second(second).unwrap());
        let idle = ProxyState::default();
        assert_eq!(activity(&idle, started).kind, ActivityKind::Following);
        let cut = ProxyState { cut: Some(("refused".to_owned(), later)), ..idle };
        let reported = activity(&cut, started);
        assert_eq!((reported.kind, reported.message.as_str(), reported.since), (ActivityKind::Cut, "refused", later));
        let digest = Digest::of_bytes(b"new");
        let testing = ProxyState { testing: Some((digest.clone(), later)), ..cut };
        let reported = activity(&testing, started);
        assert_eq!((reported.kind, reported.digest), (ActivityKind::Testing, Some(digest)));
    }
}
