//! Free addresses on networks: before the proxies are attached, and while they are.

use super::*;

/// Two proxies with start-first updates on three nodes, and an application with `tasks` on a network with this subnet.
fn sized(subnet: &str, app: &str, proxies: &str) -> Translation {
    translated(&format!(
        "
        nodes: [n1, n2, n3]
        networks: [control, {{name: net, {subnet}}}]
        services:
          - {{name: app, labels: {{hosts: h, port: 80}}, networks: [net], {app}}}
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: [{proxies}], tasks: 2}}
        "
    ))
}

fn check_full(subnet: &str, app: &str, free: Option<&str>) {
    let translation = sized(subnet, app, "control");
    let full = translation.findings.iter().find(|finding| finding.code == FindingCode::NetworkFull);
    let Some(part) = free else {
        assert_eq!(full, None, "{subnet} {app}");
        return assert_eq!(network_ids(&translation), ["id-net"], "{subnet} {app}");
    };
    let message = &full.unwrap_or_else(|| panic!("{subnet} {app}")).message;
    assert!(message.starts_with(&format!("the network net of the service is not used: {part}")), "{message}");
    assert_eq!((network_ids(&translation), endpoints(&translation)), (vec![], vec!["h/: ".to_owned()]));
}

#[test]
fn a_network_is_attached_only_if_the_proxies_have_room_on_it() {
    // Twice two proxies, their virtual IP, and load balancers on the nodes without a task: two, because one node has its
    // task's load balancer already. The application: virtual IP, tasks, and one load balancer.
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "tasks: 1", None);
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "tasks: 4", None);
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "tasks: 5", Some("it has 6 of 13 addresses free"));
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "tasks: 5, dnsrr: true", None);
    check_full(
        "subnet: 10.2.0.0/29, gateway: 10.2.0.1",
        "tasks: 1",
        Some(
            "it has 2 of 5 addresses free, and 7 are needed: 4 for the proxies (new ones start before old ones stop), 2 for Swarm itself on \
             their nodes, 1 for the virtual IP of their service",
        ),
    );
    check_full("subnet: 10.2.0.0/30", "tasks: 1", Some("it has 0 of 1 addresses free"));
    check_full("subnet: 10.2.0.0/31", "tasks: 1", Some("it has 0 of 0 addresses free"));
    check_full("subnet: 10.2.0.0/32", "tasks: 1", Some("it has 0 of 0 addresses free"));
    check_full("subnet: 10.2.0.0/16, range: 10.2.4.0/29, gateway: 10.2.0.1", "tasks: 1", Some("it has 5 of 8 addresses free"));
    check_full("subnet: \"fd00::/64\"", "tasks: 1", None);
    check_full("subnet: \"fd00::/125\"", "tasks: 1", Some("it has 3 of 6 addresses free"));
    // Swarm allocates IPv4 if there is any.
    check_full("subnet: [10.2.0.0/29, \"fd00::/64\"]", "tasks: 1", Some("it has 2 of 5"));
    check_full("subnet: [10.2.0.0/29, 10.3.0.0/24]", "tasks: 1", None);
}

#[test]
fn awaited_addresses_are_not_free() {
    // Five wanted, one present; the other four and their nodes' load balancers will come.
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "replicas: 5, tasks: 1", Some("it has 4 of 13"));
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "replicas: 2, tasks: [{}, {state: new, networks: []}]", None);
    check_full("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "vips: false, tasks: 5", Some("it has 6 of 13"));
}

/// What an attached network lacks: whether it is contested, and the words.
fn short(subnet: &str, app: &str, proxies: &str) -> Option<(bool, String)> {
    let translation = sized(subnet, app, proxies);
    assert_eq!((network_ids(&translation), codes(&translation)), (vec!["id-net"], vec![]), "attached networks are kept");
    translation.short.get(&NetworkId("id-net".to_owned())).map(|short| (short.contested, short.message.clone()))
}

#[test]
fn an_attached_network_stays_when_it_becomes_full() {
    let message = "has 0 of 5 addresses free, and a rollout of the proxies temporarily needs 1 more".to_owned();
    assert_eq!(short("subnet: 10.2.0.0/29, gateway: 10.2.0.1", "tasks: 2", "net"), Some((false, message)));
    assert_eq!(short("subnet: 10.2.0.0/28, gateway: 10.2.0.1", "tasks: 2", "net"), None);
}

/// A waiting task gets the address that a proxy releases, whatever the order in which proxies are replaced.
#[test]
fn addresses_that_tasks_wait_for_are_contested() {
    let waiting = |count: usize| format!("replicas: 9, tasks: [{{}}, {{}}{}]", ", {state: new, networks: []}".repeat(count));
    // Of thirteen: two tasks and the service's virtual IP, two proxies and their virtual IP, one load balancer.
    let slash28 = "subnet: 10.2.0.0/28, gateway: 10.2.0.1";
    for (count, contested) in [(6, false), (7, true)] {
        let found = short(slash28, &waiting(count), "net");
        assert_eq!(found.as_ref().is_some_and(|(contested, _)| *contested), contested, "{count}: {found:?}");
    }
    let (_, message) = short(slash28, &waiting(7), "net").unwrap();
    assert!(message.contains(" addresses free, and 7 tasks or virtual IPs wait for one ("), "{message}");
    // Replicas without a task take no addresses.
    assert_eq!(short(slash28, "replicas: 4, tasks: 2", "net"), None);
}

/// A rollout in progress already has the addresses that it needs.
#[test]
fn surplus_proxies_during_a_rollout_do_not_cause_a_shortage() {
    let with = |tasks: usize| {
        let translation = translated(&format!(
            "
            nodes: [n1, n2, n3]
            networks: [{{name: net, subnet: 10.2.0.0/28, gateway: 10.2.0.1}}]
            services:
              - {{name: app, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 5}}
              - {{proxyOf: default, name: swarmgate-proxy-default, networks: [net], replicas: 2, tasks: {tasks}}}
            "
        ));
        translation.short.len()
    };
    assert_eq!((with(2), with(3)), (0, 0));
}

/// Whose tasks make the network of `app` (of the stack `shop`) short: the name of another service, `its own`, or
/// `nobody's`.
fn filled_by(others: &str) -> String {
    let translation = translated(&format!(
        "
        nodes: [n1, n2]
        networks: [{{name: net, subnet: 10.2.0.0/28, gateway: 10.2.0.1}}]
        services:
          - {{name: app, stack: shop, labels: {{hosts: h, port: 80}}, networks: [net], tasks: 2}}
          - {{proxyOf: default, name: swarmgate-proxy-default, networks: [net], replicas: 2, tasks: 2}}
          {others}
        "
    ));
    let short = translation.short.get(&NetworkId("id-net".to_owned()));
    short.map_or_else(|| "nobody's".to_owned(), |short| short.by_others.clone().unwrap_or_else(|| "its own".to_owned()))
}

/// Any service that may be attached to a network takes its addresses. It needs neither a label for that nor a node for its
/// tasks.
#[test]
fn a_team_is_not_blamed_for_a_network_that_others_fill() {
    let waiting = |count: usize| vec!["{state: new, networks: []}"; count].join(", ");
    let service = |name: &str, stack: &str, labels: &str| {
        format!("- {{name: {name}, {stack}labels: {{{labels}}}, networks: [net], vips: false, tasks: [{}]}}", waiting(9))
    };
    assert_eq!(filled_by(""), "nobody's");
    assert_eq!(filled_by(&service("filler", "", "")), "filler");
    assert_eq!(filled_by(&service("own", "stack: shop, ", "")), "its own");
    let published = service("filler", "stack: evil, ", "hosts: i, port: 80");
    assert_eq!(filled_by(&published), "filler", "its own route does not change the outcome");
}
