//! Services other than ordinary replicated ones: jobs, and services on the host network.

use super::*;

#[test]
fn running_tasks_of_a_job_get_requests() {
    let job = |tasks: &str| {
        translated(&format!(
            "{{networks: [net], services: [{{name: app, job: true, updateOrder: stop-first, labels: {{hosts: h, port: 80}}, networks: [net], tasks: {tasks}}}]}}"
        ))
    };
    let running = job("[{}, {state: complete}, {state: starting}]");
    assert_eq!(endpoints(&running), ["h/: 10.1.1.2:80"]);
    assert_eq!(codes(&running), [], "neither scaled to zero nor a gap at updates");
    let over = job("[{state: complete}, {state: failed}]");
    assert_eq!(endpoints(&over), ["h/: "]);
    let finding = &over.findings[0];
    assert!(finding.code == FindingCode::NoEndpoints && finding.message.contains("no task of the job is running"), "{finding}");
    assert!(over.routes[0].services[0].endpoints.is_empty(), "a completed task is not a waiting endpoint");
}

fn on_host(label: &str, others: &str) -> Translation {
    translated(&format!(
        "
        nodes: [{{name: n1, address: 192.0.2.1}}, {{name: n2, address: 192.0.2.2}}]
        services:
          - {{name: app, labels: {{hosts: h, port: 8080{label}}}, hostNetwork: true, tasks: [{{node: n1}}, {{node: n2}}]}}{others}
        "
    ))
}

#[test]
fn a_service_on_the_host_network_is_reached_at_its_nodes_addresses_and_its_port() {
    for label in ["", ", network: host"] {
        let translation = on_host(label, "");
        assert_eq!(endpoints(&translation), ["h/: 192.0.2.1:8080, 192.0.2.2:8080"]);
        assert_eq!((codes(&translation), network_ids(&translation)), (vec![], vec![]));
        let services = translation.table.backends().flat_map(|backend| &backend.services);
        let lasting: Vec<_> =
            services.flat_map(|service| service.endpoints.iter().map(|endpoint| (service.on_nodes, endpoint.lasting))).collect();
        assert_eq!(lasting, [(true, false); 2], "no service publishes the port, so nothing reserves it for the service");
    }
}

/// Another service's port is no endpoint, even if a label says so.
#[test]
fn a_port_of_another_service_is_no_endpoint() {
    let bound = "\n          - {name: other, hostPorts: [{target: 80, published: 8080}], tasks: [{node: n1}]}";
    assert_eq!(endpoints(&on_host("", bound)), ["h/: 192.0.2.2:8080"]);
    let proxy =
        "\n          - {proxyOf: default, name: swarmgate-proxy-default, hostPorts: [{target: 80, published: 8080}], tasks: [{node: n2}]}";
    assert_eq!(endpoints(&on_host("", proxy)), ["h/: 192.0.2.1:8080"]);
    let second = "\n          - {name: second, labels: {hosts: g, port: 8080}, hostNetwork: true, tasks: [{node: n1}]}";
    let translation = on_host("", second);
    assert_eq!(endpoints(&translation), ["g/: ", "h/: 192.0.2.1:8080, 192.0.2.2:8080"], "the older service owns it");
    let reason = translation.routes[0].services[0].endpoints[0].reason.as_deref();
    assert_eq!(reason, Some("port 8080 of the node n1 belongs to another service"));
}

#[test]
fn a_service_on_the_host_network_without_tasks_gets_no_wrong_finding() {
    let translation =
        translated("{nodes: [n1], services: [{name: app, labels: {hosts: h, port: 80, network: host}, hostNetwork: true, tasks: 0}]}");
    assert_eq!(codes(&translation), [FindingCode::NoEndpoints]);
    let elsewhere =
        translated("{networks: [net], services: [{name: app, labels: {hosts: h, port: 80, network: host}, networks: [net], tasks: 1}]}");
    assert_eq!(codes(&elsewhere), [FindingCode::NetworkNotFound]);
    assert_eq!(endpoints(&elsewhere), ["h/: 10.1.1.2:80"]);
}

#[test]
fn the_remedy_for_an_update_gap_can_work() {
    let remedy = |more: &str| {
        let translation = translated(&format!(
            "{{nodes: [{{name: n1, address: 192.0.2.1}}], networks: [net], services: [{{name: app, updateOrder: stop-first, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 1{more}}}]}}"
        ));
        translation.findings.iter().find(|finding| finding.code == FindingCode::UpdateGap).unwrap().remedy.clone()
    };
    assert!(remedy(", stack: shop").contains("deploy.update_config.order"));
    assert!(remedy("").contains("docker service update --update-order start-first app"));
    assert!(remedy(", hostPorts: [{target: 80, published: 80}]").starts_with("Run two replicas on two nodes"));
}
