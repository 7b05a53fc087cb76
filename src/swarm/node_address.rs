//! The address at which other nodes reach a node. Swarm's own value is right for most Swarms; a label on the node overrides it
//! where the node is behind address translation or has a separate network for this traffic.

use std::net::IpAddr;

use super::Node;

/// Node label: the IP address at which other nodes reach this one.
pub const NODE_ADDRESS_LABEL: &str = "swarmgate.address";

impl Node {
    /// The address at which containers on other nodes reach it: from the label, else as Swarm reports it.
    pub fn reached_at(&self) -> Option<IpAddr> {
        self.labels.get(NODE_ADDRESS_LABEL).and_then(|label| labelled(label)).or(self.address)
    }

    /// The label's value, if it is not an address at which other nodes could reach this one.
    pub fn unusable_address(&self) -> Option<&str> {
        self.labels.get(NODE_ADDRESS_LABEL).map(String::as_str).filter(|label| labelled(label).is_none())
    }
}

fn labelled(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok().filter(is_reachable)
}

/// Whether the address means the same node everywhere.
pub(super) fn is_reachable(address: &IpAddr) -> bool {
    let is_link_scoped = match address {
        IpAddr::V4(four) => four.is_link_local() || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_link_scoped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{NodeAvailability, NodeId, NodeState};

    fn check(label: Option<&str>, known: Option<&str>, expected: Option<&str>, unusable: bool) {
        let node = Node {
            docker_release: None,
            id: NodeId("n".to_owned()),
            hostname: "n1".to_owned(),
            os: "linux".to_owned(),
            architecture: "x86_64".to_owned(),
            state: NodeState::Ready,
            availability: NodeAvailability::Active,
            manager: false,
            labels: label.map(|value| (NODE_ADDRESS_LABEL.to_owned(), value.to_owned())).into_iter().collect(),
            address: known.map(|address| address.parse().unwrap()),
        };
        assert_eq!(node.reached_at().map(|address| address.to_string()).as_deref(), expected, "{label:?}");
        assert_eq!(node.unusable_address(), label.filter(|_| unusable));
    }

    #[test]
    fn a_label_overrides_swarms_address() {
        check(None, Some("192.0.2.1"), Some("192.0.2.1"), false);
        check(Some("198.51.100.7"), Some("192.0.2.1"), Some("198.51.100.7"), false);
        check(Some(" 2001:db8::7 "), None, Some("2001:db8::7"), false);
        check(None, None, None, false);
    }

    #[test]
    fn an_invalid_address_label_is_ignored() {
        for label in ["", "node1.example.org", "192.0.2.1:80", "0.0.0.0", "127.0.0.1", "224.0.0.1", "fe80::1", "1.2.3.4; evil"] {
            check(Some(label), Some("192.0.2.1"), Some("192.0.2.1"), true);
        }
    }
}
