//! Without a control network, extension and proxies ask the operator for the addresses of their peers, and keep its answer
//! until they get a newer one.

use std::convert::Infallible;

use super::client::{ChannelClient, PollResponse, PollResult};
use super::client_error::ClientError;
use super::enrolment::Enrolment;
use super::follower::Follower;
use crate::protocol::messages::{PeerAddresses, WIRE_VERSION};
use crate::types::{ClusterName, Digest};

/// Follows the operator's answers forever: `operators` (which asks) and the enrolment follow the managers, `extension` (on a
/// proxy) follows the extension. `notify` is called with every answer. An empty answer never erases known addresses.
pub async fn follow_peers(
    operators: &ChannelClient,
    enrolment: &Enrolment,
    extension: Option<&ChannelClient>,
    cluster: &ClusterName,
    notify: impl Fn(&PeerAddresses),
) -> Infallible {
    let mut follower = Follower::new(operators, format!("/v1/clusters/{cluster}/peers"));
    let mut after: Option<Digest> = None;
    loop {
        let PollResponse { answer: PollResult::New(peers), .. } = follower.next::<PeerAddresses>(after.as_ref()).await else { continue };
        after = Some(peers.digest.clone());
        if peers.version != WIRE_VERSION {
            tracing::error!(version = peers.version, "ignoring peer addresses from an operator of another version");
            continue;
        }
        tracing::info!(operators = ?peers.operators, extensions = ?peers.extensions, "received the addresses of the channel");
        move_to(&peers.operators, |urls| operators.set_servers(urls).and_then(|()| enrolment.set_servers(urls)));
        if let Some(extension) = extension {
            move_to(&peers.extensions, |urls| extension.set_servers(urls));
        }
        notify(&peers);
    }
}

fn move_to(urls: &[String], set: impl FnOnce(&str) -> Result<(), ClientError>) {
    if urls.is_empty() {
        return;
    }
    if let Err(error) = set(&urls.join(",")) {
        tracing::error!(%error, "the operator sent an invalid address; keeping the known ones");
    }
}
