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
    /// Tasks are about to be replaced, and the extension is still testing the newest configuration, with which they are to start.
    NewestConfiguration {
        /// The service whose tasks are replaced.
        service: String,
    },
    /// A rollout of this service is in progress; only one change is made at a time.
    Rollout {
        /// The service that is being rolled out.
        service: String,
        /// Its state in Swarm, and its progress.
        detail: String,
    },
    /// Swarm paused or rolled back the rollout; it is retried at the given time, or when the declaration or the nodes change.
    FailedRollout {
        /// The service concerned.
        service: String,
        /// Swarm's message.
        detail: String,
        /// When it is retried.
        retry_at: Option<jiff::Timestamp>,
    },
    /// Tasks of this service are not running yet.
    Tasks {
        /// The service concerned.
        service: String,
        /// How many of the tasks are running, and Swarm's explanation for the others.
        detail: String,
    },
    /// An object that does not belong to this operator has the required name.
    ForeignObject {
        /// `service`, `config`, `secret` or `network`, and its name.
        object: String,
    },
    /// An object cannot be removed yet because something uses it.
    InUse {
        /// The object.
        object: String,
        /// What uses it.
        by: String,
    },
    /// A network that the cluster declares does not exist.
    MissingNetwork {
        /// The network's name.
        network: String,
    },
    /// Networks that the proxies need are not attached yet, or are being attached.
    Networks {
        /// The networks' names.
        networks: Vec<String>,
        /// The reason, and the time if it is known.
        detail: String,
        /// That time: nothing is attached earlier, or the next proxy must be running by then.
        until: Option<jiff::Timestamp>,
    },
    /// A service that does not belong to this operator would get a node port of this service's tasks as soon as one of them stops.
    HostPort {
        /// The service whose tasks are not replaced.
        service: String,
        /// The ports: `80/tcp`.
        ports: String,
        /// The other services that ask for these ports.
        by: String,
    },
    /// No manager's address is known at which containers without a control network could reach the operator.
    ManagerAddress,
    /// The extension has not accepted the newest routes.
    Acceptance {
        /// The progress, or the reason.
        detail: String,
    },
}

/// The sentence that status, command line and logs show.
impl std::fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Extension { step } => write!(f, "the extension's first configuration, required before: {step}"),
            Self::NewestConfiguration { service } => {
                write!(f, "the extension to accept the newest configuration, with which the new tasks of {service} are to start")
            }
            Self::Rollout { service, detail } => write!(f, "the rollout of {service}: {detail}"),
            Self::FailedRollout { service, detail, retry_at: Some(at) } => {
                write!(f, "the failed rollout of {service}, retried at {at:.0}: {detail}")
            }
            Self::FailedRollout { service, detail, retry_at: None } => write!(f, "the failed rollout of {service}: {detail}"),
            Self::Tasks { service, detail } => write!(f, "tasks of {service}: {detail}"),
            Self::ForeignObject { object } => {
                write!(f, "{object} to be removed or renamed: it has the required name but does not belong to this operator")
            }
            Self::InUse { object, by } => write!(f, "{object} to be released by {by}"),
            Self::MissingNetwork { network } => write!(f, "network {network} to exist"),
            Self::Networks { networks, detail, .. } => write!(f, "the {}: {detail}", named(networks)),
            Self::HostPort { service, ports, by } => {
                write!(f, "{by} to release {ports} on the nodes of {service} (HostPortContested); until then its tasks are not replaced")
            }
            Self::ManagerAddress => write!(f, "a manager with a known address"),
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
    fn networks_are_named_in_the_singular_or_plural() {
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
