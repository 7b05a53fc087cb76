//! A foreign service that asks for the port that proxies publish on nodes: the real pass, on a Swarm that gives the port to
//! whichever task waits for it.

use std::collections::BTreeSet;

use serde_json::json;
use swarmgate::report::{FindingCode, Severity};
use swarmgate::swarm::Task;

use crate::scenario::Scenario;

const PROXY: &str = "swarmgate-proxy-default";
const OTHER_SERVICE: &str = "stray_web";

fn deploy(story: &Scenario, network: &str) {
    let network = story.truth().networks.values().find(|found| found.name == network).map(|found| found.id.0.clone());
    let spec = json!({
        "Name": "web",
        "Labels": {"com.docker.lb.hosts": "web.test", "com.docker.lb.port": "8080"},
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": network.unwrap()}]},
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "vip"},
    });
    story.swarm().user_creates_service(&spec).unwrap();
}

fn publish_other_service(story: &Scenario) {
    let spec = json!({
        "Name": OTHER_SERVICE,
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}},
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 8080, "PublishMode": "host"}]},
    });
    story.swarm().user_creates_service(&spec).unwrap();
}

/// The running tasks of a service.
fn running(story: &Scenario, name: &str) -> Vec<Task> {
    let truth = story.truth();
    let service = truth.services.values().find(|service| service.name == name).map(|service| service.id.clone());
    truth.tasks.values().filter(|task| Some(&task.service) == service.as_ref() && task.state.as_str() == "running").cloned().collect()
}

fn ids(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|task| task.id.0.clone()).collect()
}

fn networks(story: &Scenario) -> usize {
    story.truth().services.values().find(|service| service.name == PROXY).unwrap().networks.len()
}

fn is_found(story: &Scenario, code: &FindingCode) -> bool {
    story.findings().iter().any(|finding| finding.code == *code && finding.severity == Severity::Error)
}

#[test]
fn a_network_change_waits_until_no_other_service_can_take_the_port_of_a_proxy() {
    let mut story = Scenario::on_nodes();
    story.converge();
    let (before, few) = (running(&story, PROXY), networks(&story));
    publish_other_service(&story);
    deploy(&story, "app2");
    story.go_on(40);
    assert!(is_found(&story, &FindingCode::HostPortContested));
    assert_eq!((ids(&running(&story, PROXY)), running(&story, OTHER_SERVICE).len()), (ids(&before), 0));

    story.swarm().user_removes_service(OTHER_SERVICE).unwrap();
    story.converge();
    assert_eq!((networks(&story), running(&story, PROXY).len()), (few + 1, before.len()));
}

#[test]
fn a_proxy_that_exits_affects_at_most_one_node_and_blames_no_network() {
    let mut story = Scenario::on_nodes();
    story.converge();
    let before = running(&story, PROXY);
    publish_other_service(&story);
    story.go_on(2);
    assert!(story.swarm().kill_task(PROXY));
    deploy(&story, "app2");
    story.go_on(60);
    assert!(running(&story, PROXY).len() + 1 >= before.len());
    assert!(is_found(&story, &FindingCode::HostPortContested) && !is_found(&story, &FindingCode::NetworkQuarantined));
    assert!(ids(&running(&story, PROXY)).intersection(&ids(&before)).count() + 1 >= before.len(), "another task was replaced");

    story.swarm().user_removes_service(OTHER_SERVICE).unwrap();
    story.converge();
    assert_eq!(running(&story, PROXY).len(), before.len());
}
