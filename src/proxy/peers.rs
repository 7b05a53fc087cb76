//! Finds the extension where no name tells: the operator says where it is, and where the managers are. The managers'
//! addresses are kept on the volume, because the environment of a task that runs for months may name none that is left.
//! The extension's never are: its port may be a stranger's by the next start.

use std::convert::Infallible;
use std::future::pending;
use std::path::Path;

use super::{Agent, Follow, ProxyOptions};
use crate::channel::wire::Peers;
use crate::channel::{ChannelClient, ClientError, follow_peers};

const FILE: &str = "operators";
/// No honest list is longer, in bytes.
const BYTES_MAX: u64 = 64 << 10;

/// The client for the extension, and the one for the operator if that must be asked.
pub(super) fn clients(options: &ProxyOptions) -> Result<(ChannelClient, Option<ChannelClient>), ClientError> {
    match &options.follow {
        Follow::Extension(url) => Ok((ChannelClient::new(url, options.token.clone())?, None)),
        Follow::Operator(told) => {
            let operators = ChannelClient::new(told, options.token.clone())?;
            if let Some(kept) = kept(&options.state_dir) {
                // What cannot be read as addresses is as good as nothing.
                let _ = operators.set_servers(&format!("{kept},{told}"));
            }
            Ok((ChannelClient::new("", options.token.clone())?, Some(operators)))
        }
    }
}

/// Follows the operator for ever, if it must be asked.
pub(super) async fn follow(operators: Option<&ChannelClient>, extension: &ChannelClient, agent: &Agent) -> Infallible {
    let Some(operators) = operators else { return pending().await };
    let keep = |peers: &Peers| keep(&agent.options.state_dir, &peers.operators);
    follow_peers(operators, Some(extension), &agent.options.cluster, keep).await
}

fn kept(directory: &Path) -> Option<String> {
    let path = directory.join(FILE);
    let is_small = std::fs::metadata(&path).is_ok_and(|about| about.len() <= BYTES_MAX);
    std::fs::read_to_string(&path).ok().filter(|text| is_small && !text.is_empty())
}

/// A volume that cannot be written has been complained about already, and is not needed as long as this agent lives.
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
        tracing::debug!(%error, "the managers' addresses are not kept");
    }
}
