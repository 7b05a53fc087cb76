//! The connections to the operator and the extension: first a certificate from the operator, then the extension. If no name leads
//! to the extension, the operator states its address and those of the managers. The managers' addresses are kept on the volume,
//! because those in the environment of a task that runs for months may all be gone. The extension's address is never kept: another
//! program may have its port by the next start.

use std::convert::Infallible;
use std::future::pending;
use std::path::Path;

use super::last_good_state::small_file;
use super::{Agent, Follow, ProxyOptions, departed_endpoints, follow, proxy_report};
use crate::channel::{ChannelClient, ClientError, Enrolment, follow_peers};
use crate::pki::{ChannelRole, OPERATOR_NAME, role_name};
use crate::protocol::messages::PeerAddresses;

const FILE: &str = "operators";
/// In bytes; no genuine list is longer.
const BYTES_MAX: u64 = 64 << 10;

/// The connections to extension and operator.
pub(super) struct Channel {
    enrolment: Enrolment,
    extension: ChannelClient,
    /// For asking where the extension is, if no name leads to it.
    operators: Option<ChannelClient>,
}

impl Channel {
    pub(super) fn new(options: &ProxyOptions) -> Result<Self, ClientError> {
        let enrolment = Enrolment::new(options.bootstrap.clone(), options.task.clone(), &options.operator_url)?;
        let credentials = enrolment.credentials();
        let name = role_name(ChannelRole::Extension, &options.cluster);
        let (url, operators) = match &options.follow {
            Follow::Extension(url) => (url.as_str(), None),
            Follow::Operator => ("", Some(ChannelClient::new(&options.operator_url, credentials, OPERATOR_NAME)?)),
        };
        let extension = ChannelClient::new(url, credentials, &name)?;
        let channel = Self { enrolment, extension, operators };
        channel.remember(options);
        Ok(channel)
    }

    /// Tries the managers that are known from earlier first.
    fn remember(&self, options: &ProxyOptions) {
        let Some((operators, kept)) = self.operators.as_ref().zip(kept(&options.state_dir)) else { return };
        let all = format!("{kept},{}", options.operator_url);
        // A list that cannot be parsed is ignored.
        let _ = operators.set_servers(&all).and_then(|()| self.enrolment.set_servers(&all));
    }

    /// Follows and reports forever, once there is a certificate.
    pub(super) async fn run(&self, agent: &Agent) -> Infallible {
        let follow_all = async {
            self.enrolment.credentials().ready().await;
            tokio::select! {
                never = follow::follow(&self.extension, agent) => never,
                never = departed_endpoints::poll_departures(&self.extension, agent) => never,
                never = proxy_report::report(&self.extension, agent) => never,
                never = self.follow_operator(agent) => never,
            }
        };
        tokio::select! {
            never = self.enrolment.run() => never,
            never = follow_all => never,
        }
    }

    async fn follow_operator(&self, agent: &Agent) -> Infallible {
        let Some(operators) = &self.operators else { return pending().await };
        let keep = |peers: &PeerAddresses| keep(&agent.options.state_dir, &peers.operators);
        follow_peers(operators, &self.enrolment, Some(&self.extension), &agent.options.cluster, keep).await
    }
}

fn kept(directory: &Path) -> Option<String> {
    let text = small_file(&directory.join(FILE), BYTES_MAX).ok()?;
    String::from_utf8(text).ok().filter(|text| !text.is_empty())
}

/// An unwritable volume has already been reported, and this agent does not need the file itself.
fn keep(directory: &Path, operators: &[String]) {
    let text = operators.join(",");
    if operators.is_empty() || kept(directory).as_ref() == Some(&text) {
        return;
    }
    let written = tempfile::NamedTempFile::new_in(directory).and_then(|file| {
        std::fs::write(file.path(), &text)?;
        file.persist(directory.join(FILE)).map_err(|error| error.error)
    });
    if let Err(error) = written {
        tracing::debug!(%error, "cannot save the managers' addresses");
    }
}
