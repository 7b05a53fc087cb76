//! What the operator finds wrong with its own Swarm service. Pure; only tells. What the operator changes of that service
//! (its authority's mount) is in `authority`, and nothing else may be.

use crate::channel::ChannelMode;
use crate::report::{Finding, FindingCode, Severity, Subject};
use crate::swarm::{Service, Snapshot};
use crate::types::ServiceId;

/// Whatever keeps the fleet from its operator. An operator that is no Swarm service (`own` is absent) has nothing to tell.
pub fn findings(own: Option<&ServiceId>, channel: &ChannelMode, snapshot: &Snapshot) -> Vec<Finding> {
    let service = own.and_then(|id| snapshot.services.get(id));
    service.and_then(|service| off_the_control_network(service, channel, snapshot)).into_iter().collect()
}

fn off_the_control_network(service: &Service, channel: &ChannelMode, snapshot: &Snapshot) -> Option<Finding> {
    let ChannelMode::Overlay { network, .. } = channel else { return None };
    let attached = |found: &crate::swarm::Network| {
        // Very old services name networks by name.
        &found.name == network && service.networks.iter().any(|id| *id == found.id || id.0 == found.name)
    };
    if snapshot.networks.values().any(attached) {
        return None;
    }
    let message = format!(
        "The operator's service is not on the control network {network}, so no extension reaches it: routes stay as they are, and new proxies \
         do not start."
    );
    let remedy = "Attach the service to that network in the stack file, or set SWARMGATE_CONTROL_NETWORK to the network that it is on.";
    let subject = Subject::Service(service.name.clone());
    Some(Finding::new(Severity::Error, FindingCode::ControlNetworkNotAttached, subject, message, remedy).at("networks", network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::RawSnapshot;
    use crate::types::Port;
    use serde_json::{Value, json};

    /// An operator's service on a network.
    fn world(on: &str) -> Snapshot {
        let network = |name: &str| json!({"Id": format!("id of {name}"), "Name": name, "Driver": "overlay", "Scope": "swarm"});
        let spec: Value = json!({"Name": "swarmgate_operator", "TaskTemplate": {"Networks": [{"Target": format!("id of {on}")}]}});
        let services = vec![json!({"ID": "own", "CreatedAt": "2026-01-01T00:00:00Z", "Spec": spec})];
        let networks = ["swarmgate-control", "swarmgate_control"].map(network).into();
        let taken_at = "2026-01-01T00:00:00Z".parse().unwrap();
        let raw = RawSnapshot { taken_at, services, networks, tasks: vec![], nodes: vec![], configs: vec![], secrets: vec![] };
        Snapshot::from_raw(&raw).unwrap()
    }

    fn overlay() -> ChannelMode {
        ChannelMode::Overlay { encrypted: false, network: "swarmgate-control".to_owned(), operator_url: String::new() }
    }

    fn told(own: Option<&str>, channel: &ChannelMode, on: &str) -> usize {
        findings(own.map(|id| ServiceId(id.to_owned())).as_ref(), channel, &world(on)).len()
    }

    #[test]
    fn an_operator_that_its_extensions_cannot_reach_says_so() {
        assert_eq!(told(Some("own"), &overlay(), "swarmgate-control"), 0);
        assert_eq!(told(Some("own"), &overlay(), "swarmgate_control"), 1);
        assert_eq!(told(None, &overlay(), "swarmgate_control"), 0, "it is no service of this Swarm");
        assert_eq!(told(Some("own"), &ChannelMode::Host { operator_port: Port::new(8081).unwrap() }, "swarmgate_control"), 0);
    }
}
