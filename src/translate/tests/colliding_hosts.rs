//! Hosts that nginx cannot distinguish affect only their own team's services.

use super::*;

fn lookalike(number: usize) -> String {
    super::hash_collisions::lookalike(number, 40)
}

fn service(name: &str, stack: &str, hosts: &[String], more: &str) -> String {
    let hosts = hosts.join(",");
    format!("      - {{name: {name}, stack: {stack}, labels: {{hosts: '{hosts}', port: 80{more}}}, networks: [net], tasks: 1}}\n")
}

fn translated_services(services: &[String]) -> Translation {
    translated(&format!("    networks: [net]\n    services:\n{}", services.concat()))
}

/// Teams with one service each for `each` hosts, all different.
fn teams(count: usize, each: usize) -> Translation {
    let hosts = |team: usize| (0..each).map(|number| lookalike(team * each + number)).collect::<Vec<_>>();
    let services: Vec<_> = (0..count).map(|team| service(&format!("app-{team}"), &format!("team-{team}"), &hosts(team), "")).collect();
    translated_services(&services)
}

fn lost(translation: &Translation) -> Vec<&Finding> {
    translation.findings.iter().filter(|finding| finding.code == FindingCode::LimitExceeded).collect()
}

#[test]
fn a_team_gets_sixteen_colliding_hosts_and_all_its_other_hosts() {
    assert!(lost(&teams(1, 16)).is_empty());
    let translation = teams(2, 20);
    let has = |number| translation.table.hosts.contains_key(&host(&lookalike(number)));
    assert_eq!((0..40).filter(|number| has(*number)).collect::<Vec<_>>(), (0..16).chain(20..36).collect::<Vec<_>>());
    let [finding, _] = lost(&translation)[..] else { panic!("{:#?}", translation.findings) };
    assert!(finding.message.contains("16 other hosts") && finding.value.as_ref().unwrap().contains(&lookalike(16)), "{finding:?}");
}

#[test]
fn all_teams_together_get_as_many_colliding_hosts_as_fit_into_a_bucket() {
    assert_eq!(teams(15, 20).table.hosts.len(), 200);
}

#[test]
fn a_host_of_several_services_is_counted_once_and_redirects_are_removed_with_their_host() {
    let hosts: Vec<String> = (0..17).map(lookalike).collect();
    let (first, last) = (hosts[0].clone(), hosts[16].clone());
    let redirects = format!(", redirects: 'http://{last}:https://a.test'");
    let services = [service("a", "one", &hosts[..16], ""), service("b", "one", &[first.clone(), last.clone()], &redirects)];
    let translation = translated_services(&services);
    assert_eq!(translation.table.hosts.len(), 16, "{:#?}", translation.findings);
    let shared = &translation.table.hosts[&host(&first)].paths.values().next().unwrap().backend.services;
    assert_eq!(shared.len(), 2);
    assert!(!translation.table.hosts.contains_key(&host(&last)));
}
