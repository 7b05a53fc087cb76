//! Which of a task's addresses is its endpoint on networks with IPv6.

use super::*;

/// Two tasks of one service on one network, each with these addresses.
fn with_addresses(each: [&[&str]; 2]) -> Translation {
    let compact = "nodes: [n1]\nnetworks: [web]\nservices:\n  - {name: a, labels: {hosts: a.test, port: 80}, networks: [web], tasks: 2}";
    let mut snapshot = snapshot(compact);
    for (task, addresses) in snapshot.tasks.values_mut().zip(each) {
        let network = task.addresses[0].0.clone();
        task.addresses = addresses.iter().map(|address| (network.clone(), address.parse().unwrap())).collect();
    }
    translate(&cluster(), &snapshot)
}

#[test]
fn a_task_with_addresses_of_both_families_is_one_endpoint() {
    let translation = with_addresses([&["fd00::2/64", "10.1.1.2/16"], &["10.1.1.3/16", "fd00::3/64"]]);
    assert_eq!(endpoints(&translation), ["a.test/: 10.1.1.2:80, 10.1.1.3:80"]);
}

#[test]
fn an_ipv6_address_is_an_endpoint_if_there_is_no_other() {
    let translation = with_addresses([&["fd00::2/64"], &["10.1.1.3/16", "fd00::3/64"]]);
    assert_eq!(endpoints(&translation), ["a.test/: 10.1.1.3:80, fd00::2:80"]);
}

#[test]
fn an_ipv6_virtual_ip_is_used_if_there_is_no_other() {
    let compact = "nodes: [n1]\nnetworks: [web]\nservices:\n  - {name: a, labels: {hosts: a.test, port: 80, backend_mode: vip}, networks: [web], tasks: 1}";
    let mut snapshot = snapshot(compact);
    let service = snapshot.services.values_mut().next().unwrap();
    let six = crate::swarm::VirtualIp { address: "fd00::1".parse().unwrap(), ..service.virtual_ips[0].clone() };
    service.virtual_ips.push(six.clone());
    assert_eq!(endpoints(&translate(&cluster(), &snapshot)), ["a.test/: 10.1.1.1:80"]);
    snapshot.services.values_mut().next().unwrap().virtual_ips = vec![six];
    assert_eq!(endpoints(&translate(&cluster(), &snapshot)), ["a.test/: fd00::1:80"]);
}
