//! What the operator finds wrong with its own Swarm service. Pure; only reports. The only thing that the operator changes
//! in that service is its authority's mount, in `certificate_authority`.

use crate::fleet::host_port_conflicts;
use crate::pki::Seals;
use crate::protocol::ChannelMode;
use crate::report::{Finding, Subject, cases};
use crate::swarm::{Service, Snapshot};
use crate::types::ServiceId;

/// Findings about anything that separates the fleet from its operator. An operator that is no Swarm service (`own` is
/// `None`) has none.
pub fn findings(own: Option<&ServiceId>, channel: &ChannelMode, snapshot: &Snapshot) -> Vec<Finding> {
    let service = own.and_then(|id| snapshot.services.get(id));
    service.and_then(|service| off_the_control_network(service, channel, snapshot)).into_iter().collect()
}

/// Services that claim the ports that the operator publishes on its node: the operator itself cannot prevent that.
pub fn contested_ports(own: Option<&ServiceId>, instance: &str, seals: &Seals, snapshot: &Snapshot) -> Vec<Finding> {
    let contests = own.map(|own| host_port_conflicts::of_operator(own, instance, seals, snapshot));
    contests.iter().flatten().map(host_port_conflicts::PortConflict::finding).collect()
}

fn off_the_control_network(service: &Service, channel: &ChannelMode, snapshot: &Snapshot) -> Option<Finding> {
    let ChannelMode::Overlay { network, .. } = channel else { return None };
    let attached = |found: &crate::swarm::Network| {
        // Very old services refer to networks by name.
        &found.name == network && service.networks.iter().any(|id| *id == found.id || id.0 == found.name)
    };
    if snapshot.networks.values().any(attached) {
        return None;
    }
    let message = format!(
        "The operator's service is not attached to the control network {network}, so extensions cannot reach it: routes are not updated, \
         and new proxies do not start."
    );
    let subject = Subject::Service(service.name.clone());
    Some(Finding::new(cases::ControlNetworkNotAttached, subject, message).with_field("networks", network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;
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

    fn found(own: Option<&str>, channel: &ChannelMode, on: &str) -> usize {
        findings(own.map(|id| ServiceId(id.to_owned())).as_ref(), channel, &world(on)).len()
    }

    #[test]
    fn a_service_that_could_take_the_operators_port_produces_a_finding() {
        let mut raw_ports = json!([{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 8080, "PublishMode": "host"}]);
        let service = |id: &str, ports: &Value| json!({"ID": id, "Spec": {"Name": format!("{id}_it"), "Mode": {"Replicated": {"Replicas": 1}}, "EndpointSpec": {"Ports": ports}}});
        let mut found = |port: u16| {
            let own = service("own", &raw_ports);
            raw_ports[0]["PublishedPort"] = json!(port);
            let services = vec![own, service("stray", &raw_ports)];
            raw_ports[0]["PublishedPort"] = json!(8080);
            let nodes = vec![json!({"ID": "n", "Spec": {"Availability": "active"}, "Status": {"State": "ready"}, "Description": {}})];
            let taken_at = "2026-01-01T00:00:00Z".parse().unwrap();
            let raw = RawSnapshot { taken_at, services, networks: vec![], tasks: vec![], nodes, configs: vec![], secrets: vec![] };
            let seals = Seals::believing(crate::types::Digest::of_bytes(b"authority"));
            contested_ports(Some(&ServiceId("own".to_owned())), "swarmgate", &seals, &Snapshot::from_raw(&raw).unwrap())
        };
        assert!(found(8081).is_empty());
        let found = found(8080);
        assert_eq!((found.len(), found[0].severity, &found[0].subject), (1, Severity::Error, &Subject::Service("stray_it".to_owned())));
        assert!(found[0].message.contains("token") && !found[0].message.contains("Meanwhile"), "{}", found[0].message);
    }

    #[test]
    fn an_operator_that_extensions_cannot_reach_produces_a_finding() {
        assert_eq!(found(Some("own"), &overlay(), "swarmgate-control"), 0);
        assert_eq!(found(Some("own"), &overlay(), "swarmgate_control"), 1);
        assert_eq!(found(None, &overlay(), "swarmgate_control"), 0, "the operator is not a service of this Swarm");
        assert_eq!(found(Some("own"), &ChannelMode::Host { operator_port: Port::new(8081).unwrap() }, "swarmgate_control"), 0);
    }
}
