//! What must be known from one pass to the next about the networks of one cluster's proxies. Losing it costs at most one
//! early try: what failed is also remembered on the proxy service itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::types::{Digest, NetworkId};

/// The memory of one cluster. Its default knows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkMemory {
    /// Whether there was a pass before.
    pub known: bool,
    /// The networks with which proxies are known to run.
    pub settled: BTreeSet<NetworkId>,
    /// Networks with which proxies are starting.
    pub trial: Option<NetworkTrial>,
    /// Networks that failed, until the service is without them again.
    pub withdrawn: BTreeSet<NetworkId>,
    /// Networks that failed together, in the parts in which they are tried next.
    pub parts: Vec<BTreeSet<NetworkId>>,
    /// Networks that failed alone.
    pub quarantine: BTreeMap<NetworkId, QuarantinedNetwork>,
    /// By team, when networks of theirs failed, of the last hour.
    pub failures: BTreeMap<String, Vec<Timestamp>>,
    /// What the proxy service declared at the last pass.
    pub declared: BTreeSet<NetworkId>,
    /// When the proxies were last replaced for networks, for good.
    pub last_update: Option<Timestamp>,
    /// Since when networks are wanted, by name: a network that is made anew has another id.
    pub wanted_since: BTreeMap<String, Timestamp>,
    /// How often networks came and went, by name.
    pub visits: BTreeMap<String, Visits>,
    /// How often networks left the proxies that a team had them attached to, by team.
    pub team_visits: BTreeMap<String, Visits>,
    /// The teams whose routes need the networks that are attached, or needed them last.
    pub teams: BTreeMap<NetworkId, BTreeSet<String>>,
    /// Since when networks that are declared are not wanted any more.
    pub unwanted_since: BTreeMap<NetworkId, Timestamp>,
    /// Since when networks that are declared have too few addresses.
    pub short_since: BTreeMap<NetworkId, Timestamp>,
    /// Since when proxies fail that start again, by the network that the engine names as the reason.
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
    /// Since when a proxy is seen that does not run yet.
    pub starting_since: Option<Timestamp>,
    /// What Swarm last said about one that did not run.
    pub words: String,
    /// What it said about one that failed.
    pub last_words: Option<LastWords>,
    /// When the proxies had last been replaced for networks before.
    pub update_before: Option<Timestamp>,
}

/// Swarm's words about a proxy that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWords {
    /// When it failed.
    pub at: Timestamp,
    /// The words, shortened.
    pub says: String,
}

/// A network with which proxies did not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantinedNetwork {
    /// When the last try failed.
    pub failed_at: Timestamp,
    /// How many tries failed, from 1.
    pub tries: u32,
    /// What the network, its services and the nodes were then.
    pub state: Digest,
    /// Swarm's words.
    pub words: String,
    /// Whether it had too few addresses, so that the proxies left it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

/// How often a network came and went lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visits {
    /// How often it went.
    pub count: u32,
    /// When it last went.
    pub gone_at: Timestamp,
}
