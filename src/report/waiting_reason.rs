//! What a held-back step waits for: a typed value, so that status, command line and logs agree.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "on")]
pub enum WaitingOn {
    /// The extension has not rendered a first configuration yet, so the proxy service has no boot snapshot.
    Extension {
        /// The step held back.
        step: String,
    },
    /// Tasks are about to be replaced, and the extension is still testing the newest configuration that shall go along.
    NewestConfiguration {
        /// The service whose tasks are replaced.
        service: String,
    },
    /// A rollout of this service is under way; one change at a time.
    Rollout {
        /// The service that is being rolled out.
        service: String,
        /// Swarm's word for its state, and how far it is.
        detail: String,
    },
    /// Swarm paused or rolled back; tried again at the time given, or when the declaration or the nodes change.
    FailedRollout {
        /// The service concerned.
        service: String,
        /// Swarm's own words.
        detail: String,
        /// When it is tried again.
        retry_at: Option<jiff::Timestamp>,
    },
    /// Tasks of this service are not running yet.
    Tasks {
        /// The service concerned.
        service: String,
        /// How many run of how many, and Swarm's explanation of the others.
        detail: String,
    },
    /// A foreign object holds the name.
    ForeignObject {
        /// `service`, `config`, `secret` or `network`, and its name.
        object: String,
    },
    /// An object cannot be removed yet because something uses it.
    InUse {
        /// The object.
        object: String,
        /// Who uses it.
        by: String,
    },
    /// A network that the cluster declares does not exist.
    MissingNetwork {
        /// The network's name.
        network: String,
    },
    /// Networks that the proxies shall have are not attached yet, or are only just being attached.
    Networks {
        /// The networks' names.
        networks: Vec<String>,
        /// Why, and the time if one is known.
        detail: String,
        /// That time: before it nothing is attached, or by then the next proxy must run.
        until: Option<jiff::Timestamp>,
    },
    /// A service of somebody else would get a port of nodes that tasks of ours have, as soon as one of them stops.
    HostPort {
        /// The service whose tasks are not replaced.
        service: String,
        /// The ports: `80/tcp`.
        ports: String,
        /// The services that ask for them, too.
        by: String,
    },
    /// No address of any manager is known, at which containers without a control network could find the operator.
    ManagerAddress,
    /// The extension has not accepted the newest routes.
    Acceptance {
        /// How far it is, or why not.
        detail: String,
    },
}

/// The sentence that status, command line and logs show.
impl std::fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Extension { step } => write!(f, "the extension's first configuration, before: {step}"),
            Self::NewestConfiguration { service } => {
                write!(f, "the extension to accept the newest configuration, which goes along when the tasks of {service} are replaced")
            }
            Self::Rollout { service, detail } => write!(f, "the rollout of {service}: {detail}"),
            Self::FailedRollout { service, detail, retry_at: Some(at) } => {
                write!(f, "the failed rollout of {service}, tried again at {at:.0}: {detail}")
            }
            Self::FailedRollout { service, detail, retry_at: None } => write!(f, "the failed rollout of {service}: {detail}"),
            Self::Tasks { service, detail } => write!(f, "tasks of {service}: {detail}"),
            Self::ForeignObject { object } => {
                write!(f, "{object} to be removed or renamed: it is not ours and has the name that is needed")
            }
            Self::InUse { object, by } => write!(f, "{object} to be released by {by}"),
            Self::MissingNetwork { network } => write!(f, "network {network} to exist"),
            Self::Networks { networks, detail, .. } => write!(f, "the {}: {detail}", named(networks)),
            Self::HostPort { service, ports, by } => {
                write!(f, "{by} to give up {ports} of the nodes of {service} (HostPortContested), whose tasks are not replaced before")
            }
            Self::ManagerAddress => write!(f, "a manager whose address is known"),
            Self::Acceptance { detail } => write!(f, "the extension to accept the newest routes: {detail}"),
        }
    }
}

/// `network a`, `networks a, b and c`.
fn named(networks: &[String]) -> String {
    match networks {
        [one] => format!("network {one}"),
        [first @ .., last] => format!("networks {} and {last}", first.join(", ")),
        [] => "networks".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_no_several() {
        for (networks, expected) in [
            (&["edge"][..], "the network edge: why"),
            (&["edge", "shop"], "the networks edge and shop: why"),
            (&["a", "b", "c"], "the networks a, b and c: why"),
        ] {
            let networks = networks.iter().map(ToString::to_string).collect();
            let waiting = WaitingOn::Networks { networks, detail: "why".to_owned(), until: Some(jiff::Timestamp::UNIX_EPOCH) };
            assert_eq!(waiting.to_string(), expected);
        }
    }
}
