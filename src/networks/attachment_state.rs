//! What the operator remembers about the networks of one cluster's proxies from one pass to the next. Losing it costs at
//! most one early attempt: failed networks are also remembered on the proxy service itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::{Digest, NetworkId};

/// The memory of one cluster. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachmentState {
    /// Whether there was a pass before.
    pub known: bool,
    /// The networks with which proxies are known to run.
    pub settled: BTreeSet<NetworkId>,
    /// Networks with which proxies are starting.
    pub trial: Option<NetworkTrial>,
    /// Networks that failed, until the service no longer has them.
    pub withdrawn: BTreeSet<NetworkId>,
    /// Networks that failed together, in the parts in which they are tried next.
    pub parts: Vec<BTreeSet<NetworkId>>,
    /// Networks that failed alone.
    pub quarantine: BTreeMap<NetworkId, QuarantinedNetwork>,
    /// When networks of each team failed within the last hour.
    pub failures: BTreeMap<String, Vec<Timestamp>>,
    /// The networks that the proxy service declared at the last pass.
    pub declared: BTreeSet<NetworkId>,
    /// When the proxies were last replaced for networks that stayed.
    pub last_update: Option<Timestamp>,
    /// Since when networks are wanted, by name: a recreated network has another id.
    pub wanted_since: BTreeMap<String, Timestamp>,
    /// How often networks came and went, by name.
    pub visits: BTreeMap<String, RecentAttachments>,
    /// How often networks that were attached for a team left the proxies, by team.
    pub team_visits: BTreeMap<String, RecentAttachments>,
    /// The teams whose routes need each attached network, or needed it last.
    pub teams: BTreeMap<NetworkId, BTreeSet<String>>,
    /// Since when declared networks are no longer wanted.
    pub unwanted_since: BTreeMap<NetworkId, Timestamp>,
    /// Since when declared networks have too few addresses.
    pub short_since: BTreeMap<NetworkId, Timestamp>,
    /// Since when restarting proxies fail, by the network that the engine names as the reason.
    pub stuck_since: BTreeMap<NetworkId, Timestamp>,
    /// Since when a proxy waits for addresses.
    pub waits_since: Option<Timestamp>,
}

/// Networks with which proxies start for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkTrial {
    /// The networks.
    pub networks: BTreeSet<NetworkId>,
    /// When Swarm began to replace the proxies.
    pub began: Timestamp,
    /// How many proxies run with them.
    pub running: usize,
    /// When that last changed.
    pub progress_at: Timestamp,
    /// Since when a proxy that does not run yet is visible.
    pub starting_since: Option<Timestamp>,
    /// Swarm's last message about a proxy that did not run.
    pub message: String,
    /// Swarm's last message about a proxy that failed.
    pub last_failure: Option<TaskFailure>,
    /// When the proxies had last been replaced for networks before this trial.
    pub update_before: Option<Timestamp>,
}

/// Swarm's message about a failed proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// When it failed.
    pub at: Timestamp,
    /// The message, shortened.
    pub message: String,
}

/// A network with which proxies did not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedNetwork {
    /// When the last attempt failed.
    pub failed_at: Timestamp,
    /// How many attempts failed, from 1.
    pub tries: u32,
    /// The state of the network, its services and the nodes at that time.
    pub state: Digest,
    /// Swarm's message.
    #[serde(rename = "words")]
    pub message: String,
    /// Whether the proxies left it because it had too few addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

/// How often a network recently came and went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentAttachments {
    /// How often it went.
    pub count: u32,
    /// When it last went.
    pub gone_at: Timestamp,
}
