//! Clusters that left the declaration, and services with a new name or mode: our objects are removed in an order that Swarm
//! allows.

use std::collections::BTreeSet;

use serde_json::json;

use super::world::PlanScenario;
use super::{PROXY, codes, titles};
use crate::fleet::fixtures::{INSTANCE, bundle, cluster, cluster_named, publish};
use crate::intent::cluster_spec::{Mode, PublishMode};
use crate::plan::{leftover_clusters, plan_removal};
use crate::types::{ClusterName, ServiceName};

fn name(text: &str) -> ClusterName {
    ClusterName::parse(text).unwrap()
}

/// Runs removal passes until nothing is left to do.
fn remove(world: &mut PlanScenario, cluster: &str) -> Vec<Vec<String>> {
    let mut passes = Vec::new();
    loop {
        let plan = plan_removal(INSTANCE, &name(cluster), &world.snapshot());
        if plan.is_converged() {
            return passes;
        }
        passes.push(titles(&plan));
        world.carry_out(&plan);
        assert!(passes.len() < 5, "{passes:?}");
    }
}

#[test]
fn a_removed_cluster_loses_its_services_first_then_everything_they_used() {
    let mut world = PlanScenario::converged(&cluster());
    let passes = remove(&mut world, "dev");
    assert_eq!(passes.len(), 2);
    assert_eq!(passes[0].len(), 2);
    let kinds: Vec<&str> = passes[1].iter().map(|title| title.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(kinds, ["remove config", "remove secret", "remove secret", "remove network"]);
    assert_eq!((world.raw.services.len(), world.raw.configs.len(), world.raw.secrets.len(), world.raw.networks.len()), (0, 0, 0, 2));
}

#[test]
fn removing_a_cluster_removes_no_foreign_objects() {
    let mut world = PlanScenario::converged(&cluster());
    let other = cluster_named("other");
    world.boot = Some({
        let mut bundle = bundle("other");
        bundle.cluster = name("other");
        bundle
    });
    world.converge(&other);
    let labels = |role: &str| json!({"swarmgate.owner": INSTANCE, "swarmgate.cluster": "dev", "swarmgate.role": role});
    world.raw.configs.push(json!({"ID": "doc", "Spec": {"Name": "stored-document", "Labels": labels("document")}}));
    world.raw.services.push(json!({"ID": "app", "Spec": {"Name": "app", "Labels": {"com.docker.lb.hosts": "a"}}}));
    remove(&mut world, "dev");
    let left: Vec<&str> = world.raw.services.iter().map(|service| service["Spec"]["Name"].as_str().unwrap()).collect();
    assert_eq!(left, ["swarmgate-extension-other", "swarmgate-proxy-other", "app"]);
    assert_eq!(world.raw.networks.len(), 3, "another cluster needs the control network");
    assert!(world.raw.configs.iter().any(|config| config["ID"] == "doc"));
    assert!(world.plan(&other).is_converged());
}

#[test]
fn a_control_network_that_the_operator_uses_stays() {
    let mut world = PlanScenario::converged(&cluster());
    let control = world.snapshot().networks.values().find(|network| network.name == "swarmgate-control").unwrap().id.0.clone();
    let spec = json!({"Name": "operator", "TaskTemplate": {"Networks": [{"Target": control}]}});
    world.raw.services.push(json!({"ID": "op", "Spec": spec}));
    remove(&mut world, "dev");
    assert_eq!(world.raw.networks.len(), 3);
}

#[test]
fn leftover_clusters_are_undeclared_clusters_of_this_instance() {
    let mut world = PlanScenario::converged(&cluster());
    world.raw.secrets.push(json!({"ID": "s2", "Spec": {"Name": "x", "Labels":
        {"swarmgate.owner": "another", "swarmgate.cluster": "theirs", "swarmgate.role": "proxy-token"}}}));
    let leftover = |declared: &[&str]| {
        let declared: BTreeSet<_> = declared.iter().map(|text| name(text)).collect();
        leftover_clusters(INSTANCE, &declared, &world.snapshot()).into_iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(leftover(&[]), ["dev"]);
    assert_eq!(leftover(&["dev"]), [""; 0]);
}

#[test]
fn a_changed_mode_recreates_the_service_with_a_finding() {
    let mut global = cluster();
    global.proxy.mode = Mode::Global;
    // The operator cannot count these nodes, so Swarm does.
    global.proxy.workload.constraints = Some(vec!["engine.labels.disk==ssd".to_owned()]);
    let mut world = PlanScenario::converged(&global);
    let plan = world.pass(&cluster());
    assert_eq!(titles(&plan), [format!("remove service {PROXY}")]);
    assert_eq!(codes(&plan), ["UpdateGap"]);
    assert_eq!(titles(&world.pass(&cluster())), [format!("create service {PROXY}")]);
    assert!(world.plan(&cluster()).is_converged());
}

#[test]
fn a_renamed_proxy_with_the_same_ports_waits_until_the_old_one_is_removed() {
    let mut world = PlanScenario::converged(&cluster());
    let mut renamed = cluster();
    renamed.proxy.workload.service_name = ServiceName::parse("edge").unwrap();
    let plan = world.pass(&renamed);
    assert_eq!((titles(&plan), codes(&plan)), (vec![format!("remove service {PROXY}")], vec!["UpdateGap".to_owned()]));
    assert_eq!(titles(&world.pass(&renamed)), ["create service edge"]);
    assert!(world.plan(&renamed).is_converged());
}

#[test]
fn a_renamed_service_without_a_port_conflict_is_removed_only_when_the_new_one_runs() {
    let mut world = PlanScenario::converged(&cluster());
    let mut renamed = cluster();
    renamed.extension.service_name = ServiceName::parse("renderer").unwrap();
    let plan = world.pass(&renamed);
    assert_eq!(titles(&plan), ["create service renderer".to_owned(), format!("update service {PROXY}")], "the proxies use the new name");
    assert_eq!(titles(&world.pass(&renamed)), ["remove service swarmgate-extension-dev"]);
    assert!(world.plan(&renamed).is_converged());
}

#[test]
fn a_single_proxy_in_host_mode_produces_a_warning() {
    let mut single = cluster();
    single.proxy.replicas = Some(1);
    assert!(!codes(&PlanScenario::new().plan(&single)).contains(&"UpdateGap".to_owned()), "start-first leaves no gap");
    single.proxy.publish = publish(PublishMode::Host);
    assert!(codes(&PlanScenario::new().plan(&single)).contains(&"UpdateGap".to_owned()));
}

#[test]
fn a_cluster_label_changed_by_hand_moves_no_service_to_another_cluster() {
    for other in ["other", "nobody"] {
        let mut world = PlanScenario::converged(&cluster());
        world.by_hand(PROXY, |spec| spec["Labels"]["swarmgate.cluster"] = json!(other));
        let declared = BTreeSet::from([name("dev"), name("other")]);
        assert!(leftover_clusters(INSTANCE, &declared, &world.snapshot()).is_empty());
        assert!(plan_removal(INSTANCE, &name(other), &world.snapshot()).is_converged());
        assert_eq!(titles(&world.plan(&cluster())), [format!("update service {PROXY}")]);
        world.converge(&cluster());
        assert_eq!(world.service(PROXY).labels["swarmgate.cluster"], "dev");
    }
}
