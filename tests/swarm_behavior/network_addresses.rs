//! The addresses of a network, and what happens to tasks that get none.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use swarmgate::types::NetworkId;

use super::test_swarm::{TestSwarm, running, tasks};

async fn with_subnet(bench: &TestSwarm, name: &str, subnet: &str) -> NetworkId {
    let ipam = json!({"Driver": "default", "Config": [{"Subnet": subnet}]});
    bench.port().create_network(&json!({"Name": bench.name(name), "Driver": "overlay", "IPAM": ipam})).await.unwrap()
}

fn on(bench: &TestSwarm, name: &str, replicas: u64, network: &NetworkId) -> Value {
    let mut spec = bench.spec(name, replicas);
    spec["TaskTemplate"]["Networks"] = json!([{"Target": network.0}]);
    spec
}

pub async fn a_network_shows_its_subnets(bench: &TestSwarm) {
    let id = with_subnet(bench, "n", "10.213.1.0/28").await;
    let seen = bench.until("the network has a subnet", |s| !s.networks[&id].subnets.is_empty()).await;
    let network = &seen.networks[&id];
    assert_eq!((network.driver.as_str(), network.scope.as_str(), network.internal), ("overlay", "swarm", false));
    assert!(network.created_at.as_second() > 0);
    assert_eq!(network.subnets.len(), 1);
    let subnet = &network.subnets[0];
    assert_eq!((subnet.net, subnet.range), ("10.213.1.0/28".parse().unwrap(), None));
    assert_eq!(subnet.gateway, Some("10.213.1.1".parse().unwrap()));
}

pub async fn a_network_with_a_foreign_subnet_has_no_addresses(bench: &TestSwarm) {
    let first = with_subnet(bench, "a", "10.213.2.0/24").await;
    bench.until("the network has a subnet", |s| !s.networks[&first].subnets.is_empty()).await;
    let second = with_subnet(bench, "b", "10.213.2.128/25").await;
    let id = bench.create(&on(bench, "s", 1, &second)).await;
    bench.until("there is a task", |s| tasks(s, &id).len() == 1).await;
    for _ in 0..15 {
        bench.pass(std::time::Duration::from_millis(100)).await;
        let seen = bench.snapshot().await;
        let network = &seen.networks[&second];
        assert_eq!((network.driver.as_str(), &network.subnets[..]), ("", &[][..]), "the network must report neither driver nor subnet");
        assert!(tasks(&seen, &id).iter().all(|task| task.state.as_str() == "new" && task.addresses.is_empty() && task.error.is_empty()));
    }
}

pub async fn tasks_on_a_full_network_stay_new_without_a_reason(bench: &TestSwarm) {
    let network = with_subnet(bench, "n", "10.213.3.0/29").await;
    let id = bench.create(&on(bench, "s", 7, &network)).await;
    let waiting = |s: &swarmgate::swarm::Snapshot| tasks(s, &id).iter().filter(|task| task.state.as_str() == "new").count();
    let full = |s: &swarmgate::swarm::Snapshot| !running(s, &id).is_empty() && running(s, &id).len() + waiting(s) == 7;
    let seen = bench.until("some run and the others wait", full).await;
    let addresses: Vec<_> = tasks(&seen, &id).iter().flat_map(|task| &task.addresses).map(|(_, address)| address.addr()).collect();
    let vips = seen.services[&id].virtual_ips.iter().map(|vip| vip.address);
    let different: BTreeSet<_> = addresses.iter().copied().chain(vips).collect();
    // Eight addresses, three of them unusable: the network's own, the broadcast address and the gateway's.
    assert!(waiting(&seen) >= 3 && different.len() <= 5 && different.len() > addresses.len(), "{different:?}");
    assert!(
        tasks(&seen, &id).iter().filter(|task| task.state.as_str() == "new").all(|task| task.addresses.is_empty() && task.error.is_empty())
    );
}
