//! At most one replacement for networks per interval, whichever networks come and go; and no team waits because of another.

use super::*;

/// The networks that a decision declares, by their names in the test world.
fn declared(decision: &NetworkDecision) -> Vec<&'static str> {
    NETWORKS.into_iter().filter(|id| names(decision).iter().any(|name| name == id)).collect()
}

/// A service comes and goes, again and again, each time with a network of its own; returns how often the proxies were
/// replaced. `team` returns the team for each turn.
fn churn(world: &mut NetworkScenario, seconds: i64, team: impl Fn(usize) -> String) -> usize {
    let (mut replaced, mut last) = (0, None::<Timestamp>);
    let mut turn = 0;
    for second in 0..seconds {
        let new = ["b", "c", "d", "e"][turn % 4];
        if second % 8 == 0 {
            world.teams.retain(|(network, _)| *network != new);
            world.teams.push((new, team(turn)));
            (world.wanted, world.used) = (vec!["a", new], vec!["a", new]);
        } else if world.declared.contains(&new) {
            (world.wanted, world.used) = (vec!["a"], vec!["a"]);
            turn += 1;
        }
        let decision = world.after(1).run_pass();
        let networks = declared(&decision);
        if networks != world.declared {
            if let Some(last) = last {
                let pause = world.now.duration_since(last).as_secs();
                assert!(pause >= INTERVAL, "only {pause} s after the last replacement");
            }
            last = Some(world.now);
            replaced += 1;
            world.attach(&networks);
        }
    }
    replaced
}

#[test]
fn attaching_and_detaching_share_one_interval_for_all_network_names() {
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    let replaced = churn(&mut world, 600, |turn| format!("stack churn{turn}"));
    assert!((3..=11).contains(&replaced), "{replaced} replacements in ten minutes");
}

#[test]
fn a_team_whose_networks_come_and_go_waits_and_other_teams_do_not() {
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    let first = churn(&mut world, 600, |_| "stack churn".to_owned());
    let then = churn(&mut world, 3000, |_| "stack churn".to_owned());
    assert!(then <= 14, "{first}, then {then} replacements in fifty minutes");
    (world.wanted, world.used) = (vec!["a", "f"], vec!["a", "f"]);
    world.teams.push(("f", "stack calm".to_owned()));
    world.run_pass();
    let opens = world.memory.last_update.map_or(0, |at| INTERVAL - world.now.duration_since(at).as_secs()).max(4);
    assert!(declared(&world.after(opens).run_pass()).contains(&"f"), "the first network of a calm team waits for the pace alone");
}

/// `docker network rm` fails until the proxies have left.
#[test]
fn unused_networks_are_detached_within_an_interval_and_together_with_new_ones() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    (world.wanted, world.used) = (vec!["a"], vec!["a"]);
    let decision = world.after(10).run_pass();
    assert_eq!(names(&decision), ["a", "b"]);
    assert_eq!(decision.findings[0].code, FindingCode::NetworkLingers);
    let due = decision.due.unwrap().duration_since(world.now).as_secs();
    assert!(due <= INTERVAL, "{due}");
    let mut other = world.clone();
    assert_eq!(world.at(due), ["a"]);
    (other.wanted, other.used) = (vec!["a", "c"], vec!["a", "c"]);
    other.run_pass();
    assert_eq!(other.at(due), ["a", "c"]);
}

/// No proxy comes up with `b`, which is attached and withdrawn again.
fn b_fails(world: &mut NetworkScenario) {
    world.wanted = vec!["a", "b"];
    world.after(INTERVAL).run_pass();
    world.write(&["a", "b"]);
    world.update = Some(("paused", world.now));
    world.run_pass();
    world.withdraw(&["a"]);
    world.run_pass();
}

#[test]
fn failing_networks_of_one_team_do_not_delay_other_teams() {
    let mut world = NetworkScenario::new();
    world.attach(&["a"]);
    world.teams = vec![("b", "stack bad".to_owned()), ("c", "stack good".to_owned())];
    for _ in 0..20 {
        // Treated as a new network each time, so that no quarantine knows it.
        world.memory.quarantine.clear();
        b_fails(&mut world);
    }
    world.memory.quarantine.clear();
    let mut good = world.clone();
    good.wanted = vec!["a", "c"];
    good.run_pass();
    assert_eq!(good.at(INTERVAL), ["a", "c"]);
    world.wanted = vec!["a", "b"];
    world.run_pass();
    assert_eq!(world.at(3 * INTERVAL), ["a"], "its own team waits");
    assert!(waiting(&world.decide()).contains("repeatedly failed"), "{}", waiting(&world.decide()));
}

#[test]
fn failing_networks_of_ever_new_teams_delay_only_unknown_teams() {
    let mut world = NetworkScenario::new();
    world.teams = vec![("a", "stack known".to_owned())];
    world.attach(&["a"]);
    for turn in 0..12 {
        world.memory.quarantine.clear();
        world.teams = vec![("a", "stack known".to_owned()), ("b", format!("stack {turn}"))];
        b_fails(&mut world);
    }
    world.memory.quarantine.clear();
    for (team, expected) in [("stack known", vec!["a", "c"]), ("stack stranger", vec!["a"])] {
        let mut next = world.clone();
        next.teams.push(("c", team.to_owned()));
        next.wanted = vec!["a", "c"];
        next.run_pass();
        assert_eq!(next.at(INTERVAL), expected, "{team}");
    }
}

#[test]
fn a_service_that_comes_and_goes_waits_ever_longer_until_a_quiet_period() {
    let mut world = NetworkScenario::new();
    let mut replaced = 0;
    let cycle = |world: &mut NetworkScenario, replaced: &mut i32| {
        for (wanted, used) in [(vec!["a", "b"], vec!["a", "b"]), (vec!["a"], vec!["a"])] {
            (world.wanted, world.used) = (wanted, used);
            for _ in 0..20 {
                let decision = world.after(1).run_pass();
                let networks: Vec<&'static str> = NETWORKS.into_iter().filter(|id| names(&decision).iter().any(|n| n == id)).collect();
                if networks != world.declared {
                    *replaced += 1;
                    world.attach(&networks);
                }
            }
        }
    };
    for _ in 0..60 {
        cycle(&mut world, &mut replaced);
    }
    assert!(replaced <= 4, "{replaced} replacements in 40 minutes");
    world.after(30 * INTERVAL).run_pass();
    assert!(world.memory.visits.is_empty());
    world.wanted = vec!["a", "b"];
    world.run_pass();
    assert_eq!(world.at(3), ["a", "b"]);
}

#[test]
fn networks_that_arrive_close_together_are_attached_together_and_later_ones_after_the_interval() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    assert_eq!(world.at(1), ["a"], "more networks may follow");
    world.wanted = vec!["a", "b", "c"];
    assert_eq!(world.at(2), ["a"]);
    assert_eq!(world.at(3), ["a", "b", "c"]);
    world.attach(&["a", "b", "c"]);
    world.wanted.push("d");
    let decision = world.after(20).run_pass();
    assert_eq!(names(&decision), ["a", "b", "c"]);
    assert!(waiting(&decision).starts_with("the network net-d: the proxies were replaced for networks at "), "{}", waiting(&decision));
    let due = decision.due.unwrap().duration_since(world.now).as_secs();
    world.wanted.push("e");
    assert_eq!(world.at(due - 1), ["a", "b", "c"]);
    assert_eq!(world.at(1), ["a", "b", "c", "d", "e"]);
}

#[test]
fn networks_are_attached_immediately_if_no_client_is_disturbed() {
    for no_proxies in [false, true] {
        let mut world = NetworkScenario::new();
        world.attach(&["a"]);
        world.wanted = vec!["a", "b"];
        if no_proxies {
            world.proxies.clear();
        } else {
            world.serves = false;
        }
        assert_eq!(world.at(1), ["a", "b"], "no proxies: {no_proxies}");
    }
}

#[test]
fn a_restarted_operator_keeps_the_interval() {
    let mut world = NetworkScenario::new();
    world.wanted = vec!["a", "b"];
    world.attach(&["a", "b"]);
    world.wanted.push("c");
    world.memory = AttachmentState::default();
    assert_eq!(world.at(10), ["a", "b"]);
    assert_eq!(world.at(40), ["a", "b"]);
    assert_eq!(world.at(10), ["a", "b", "c"]);
}
