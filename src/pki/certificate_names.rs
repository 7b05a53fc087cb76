//! The names in the certificates of the channel: one for a role in a cluster, one for a task. They are not network names:
//! nothing resolves them, so an attacker gains nothing by answering to one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::ClusterName;

/// The parent domain of all names of the channel. `internal` is reserved for private use.
const DOMAIN: &str = "swarmgate.internal";
/// The name of the operator.
pub const OPERATOR_NAME: &str = "operator.swarmgate.internal";
/// The longest label of a DNS name, in bytes.
const LABEL_MAX: usize = 63;

/// A participant of the channel other than the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelRole {
    /// The extension of a cluster.
    Extension,
    /// A proxy of a cluster.
    Proxy,
}

impl ChannelRole {
    /// The role in names and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Proxy => "proxy",
        }
    }
}

impl std::fmt::Display for ChannelRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name shared by all tasks of a role in a cluster.
pub fn role_name(role: ChannelRole, cluster: &ClusterName) -> String {
    format!("{role}.{cluster}.{DOMAIN}")
}

/// The name of one task.
pub fn task_name(role: ChannelRole, cluster: &ClusterName, task: &str) -> String {
    format!("{task}.{}", role_name(role, cluster))
}

/// Whether a task id can be part of a name: Swarm's ids are 25 lower-case letters and digits.
pub fn is_task_name(task: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edge_ok = !task.starts_with('-') && !task.ends_with('-');
    (1..=LABEL_MAX).contains(&task.len()) && edge_ok && task.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_cannot_change_the_role_or_cluster_of_a_name() {
        for bad in ["", "a.b", "a/b", "*", "-a", "a-", "A", "a b", &"a".repeat(64)] {
            assert!(!is_task_name(bad), "{bad:?}");
        }
        let cluster = ClusterName::parse("dev").unwrap();
        assert!(is_task_name("z2f5w9k1q8r7s6t5v4x3y2z1a"));
        assert_eq!(task_name(ChannelRole::Proxy, &cluster, "t1"), "t1.proxy.dev.swarmgate.internal");
    }
}
