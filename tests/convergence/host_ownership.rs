//! The first service to publish a host keeps it: the real pass, an operator that restarts, and what it leaves on the Swarm.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use swarmgate::protocol::container_contract::LABEL_HOST_HOLDERS;

use crate::scenario::Scenario;

const EXTENSION: &str = "swarmgate-extension-default";

fn deploy(story: &Scenario, stack: &str, name: &str, hosts: &str) {
    // The services get different ages.
    story.swarm().advance(Duration::from_secs(60));
    let network = story.truth().networks.values().find(|network| network.name == "app1").map(|network| network.id.0.clone());
    let spec = json!({
        "Name": name,
        "Labels": labels(stack, hosts),
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}, "Networks": [{"Target": network.unwrap()}]},
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "vip"},
    });
    story.swarm().user_creates_service(&spec).unwrap();
}

fn labels(stack: &str, hosts: &str) -> serde_json::Value {
    json!({"com.docker.stack.namespace": stack, "com.docker.lb.hosts": hosts, "com.docker.lb.port": "8080"})
}

/// The services that serve `shop.test`.
fn holders_of(story: &Scenario) -> Vec<String> {
    let table = story.published().table;
    let sites = table.hosts.iter().filter(|(host, _)| host.as_str() == "shop.test");
    let services = sites.flat_map(|(_, site)| site.paths.values()).flat_map(|route| &route.backend.services);
    services.map(|service| service.name.to_string()).collect()
}

fn label(story: &Scenario) -> Option<String> {
    let truth = story.truth();
    let extension = truth.services.values().find(|service| service.name == EXTENSION)?;
    extension.labels.get(LABEL_HOST_HOLDERS).cloned()
}

fn extension_tasks(story: &Scenario) -> BTreeSet<String> {
    let truth = story.truth();
    let extension = truth.services.values().find(|service| service.name == EXTENSION).unwrap();
    truth.tasks.values().filter(|task| task.service == extension.id).map(|task| task.id.0.clone()).collect()
}

#[test]
fn an_older_service_of_another_stack_never_takes_over_a_published_host() {
    let mut story = Scenario::plain();
    deploy(&story, "old", "old_web", "other.test");
    deploy(&story, "shop", "shop_web", "shop.test");
    story.converge();
    assert_eq!((holders_of(&story), label(&story)), (vec!["shop_web".to_owned()], None));
    let before = extension_tasks(&story);

    story.swarm().user_edits_service("old_web", |spec| spec["Labels"] = labels("old", "other.test,shop.test")).unwrap();
    story.converge();
    assert_eq!(holders_of(&story), ["shop_web"]);
    assert!(label(&story).is_some_and(|label| label.contains("shop.test")));
    story.restart();
    assert_eq!(holders_of(&story), ["shop_web"], "a restarted operator must remember it");

    deploy(&story, "shop", "shop_green", "shop.test");
    story.converge();
    assert_eq!(holders_of(&story), ["shop_web", "shop_green"]);
    story.swarm().user_removes_service("shop_web").unwrap();
    story.converge();
    assert_eq!(holders_of(&story), ["shop_green"], "a stack that is replaced service by service keeps its host");
    story.restart();
    assert_eq!(holders_of(&story), ["shop_green"]);

    story.swarm().user_removes_service("shop_green").unwrap();
    story.converge();
    assert_eq!((holders_of(&story), label(&story)), (vec!["old_web".to_owned()], None), "holders that are gone must be forgotten");
    assert_eq!(extension_tasks(&story), before, "no task is replaced for any of this");
}

/// Anyone who may create services could create one with the extension's name before it exists, and write into it which service
/// holds which hosts.
#[test]
fn host_ownership_written_by_others_is_ignored() {
    let mut story = Scenario::plain();
    deploy(&story, "shop", "shop_web", "shop.test");
    deploy(&story, "evil", "evil_web", "shop.test");
    let id = story.truth().services.values().find(|service| service.name == "evil_web").map(|service| service.id.0.clone()).unwrap();
    let holders = json!({"holders": [{"services": [id], "hosts": ["shop.test"]}]}).to_string();
    let spec = json!({
        "Name": EXTENSION,
        "Labels": {"swarmgate.owner": "swarmgate", "swarmgate.cluster": "default", "swarmgate.role": "extension", LABEL_HOST_HOLDERS: holders},
        "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}},
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    story.swarm().user_creates_service(&spec).unwrap();
    story.converge();
    assert_eq!((holders_of(&story), label(&story)), (vec!["shop_web".to_owned()], None));
}
