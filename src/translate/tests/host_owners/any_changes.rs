//! Whatever changes from pass to pass: hosts stay with their owners, and passes over the same Swarm decide the same.

use proptest::prelude::*;

use super::*;
use crate::translate::service_team::Team;

/// A change between two passes.
#[derive(Debug, Clone)]
struct ServiceChange {
    service: u8,
    stack: Option<u8>,
    access: Option<u8>,
    hosts: u8,
    default: bool,
    gone: bool,
}

fn turn() -> impl Strategy<Value = ServiceChange> {
    let team = || proptest::option::of(0_u8..3);
    (0_u8..5, team(), team(), any::<u8>(), any::<bool>(), proptest::bool::weighted(0.2))
        .prop_map(|(service, stack, access, hosts, default, gone)| ServiceChange { service, stack, access, hosts, default, gone })
}

impl ServiceChange {
    fn happens(&self, story: &mut PassSequence) {
        const HOSTS: [&str; 6] = ["*.w.test", "x.w.test", "y.w.test", "h.test", "a.h.test", "*.h.test"];
        let name = char::from(b'a' + self.service).to_string();
        if self.gone {
            story.leaves(&name);
            return;
        }
        let hosts: Vec<&str> = HOSTS.iter().enumerate().filter(|(at, _)| self.hosts & (1 << at) != 0).map(|(_, host)| *host).collect();
        let mut labels = BTreeMap::from([(label_key("port"), "80".to_owned())]);
        labels.extend((!hosts.is_empty()).then(|| (label_key("hosts"), hosts.join(","))));
        labels.extend(self.default.then(|| (label_key("default_backend"), "true".to_owned())));
        labels.extend(self.stack.map(|stack| ("com.docker.stack.namespace".to_owned(), format!("stack{stack}"))));
        labels.extend(self.access.map(|access| ("com.docker.ucp.access.label".to_owned(), format!("/team{access}"))));
        story.service(&name, labels);
    }
}

/// Those of `services` that share a team neither with one of `owners` nor, in a chain, with another service that does.
fn not_connected(snapshot: &Snapshot, owners: &[ServiceId], services: &[ServiceId]) -> Vec<ServiceId> {
    let team = |id: &ServiceId| Team::new(&snapshot.services[id]);
    let (mut connected, mut others) = (owners.to_vec(), services.to_vec());
    loop {
        let (joining, left): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|id| connected.iter().any(|owner| team(owner).is_same(&team(id))));
        if joining.is_empty() {
            return left;
        }
        (connected, others) = ([connected, joining].concat(), left);
    }
}

proptest! {
    /// Whatever came before: a pass decides what the pass before it decided while nothing changes, and a restart forgets
    /// nothing.
    #[test]
    fn passes_over_an_unchanged_swarm_decide_the_same(turns in prop::collection::vec(prop::collection::vec(turn(), 1..4), 1..6), sharing in 0_usize..3, named_for in proptest::option::of((0_u8..5, any::<bool>()))) {
        let sharing = [Sharing::SameStack, Sharing::Allowed, Sharing::Anyone][sharing];
        let allow = named_for.map(|(service, wildcard)| {
            let name = char::from(b'a' + service).to_string();
            vec![named("*", &[]), named(if wildcard { "*.w.test" } else { "h.test" }, &[&name])]
        });
        let mut story = PassSequence::of(rules(sharing, allow));
        for turns in turns {
            for turn in turns {
                turn.happens(&mut story);
            }
            story.settled();
        }
    }

    /// Sharing decides who may join hosts and never who owns them, even if it changes with a restart. A service that shares
    /// a team with one of the owners may join them, and then others that share a team with it: the owners need not all share
    /// a team with each other.
    #[test]
    fn changing_only_the_sharing_does_not_move_hosts(turns in prop::collection::vec(turn(), 1..12), sharing in (0_usize..3, 0_usize..3), restarts in any::<bool>(), named_for in proptest::option::of((0_u8..5, any::<bool>()))) {
        let kinds = [Sharing::SameStack, Sharing::Allowed, Sharing::Anyone];
        let allow = named_for.map(|(service, wildcard)| {
            let name = char::from(b'a' + service).to_string();
            vec![named("*", &[]), named(if wildcard { "*.w.test" } else { "h.test" }, &[&name])]
        });
        let mut story = PassSequence::of(rules(kinds[sharing.0], allow.clone()));
        for turn in turns {
            turn.happens(&mut story);
            story.settled();
        }
        let before = story.host_owners.clone();
        story.cluster = rules(kinds[sharing.1], allow);
        if restarts {
            story.restart();
        }
        story.settled();
        for at in ["*.w.test", "x.w.test", "y.w.test", "h.test", "a.h.test", "*.h.test"].map(host) {
            let holders = |host_owners: &Option<HostOwners>| host_owners.as_ref().and_then(|host_owners| host_owners.holders(&(&at).into())).unwrap_or_default().to_vec();
            let (before, after) = (holders(&before), holders(&story.host_owners));
            prop_assert!(before.iter().all(|id| after.contains(id)), "{at}: {before:?}, {after:?}");
            let strangers = not_connected(&story.snapshot, &before, &after);
            prop_assert!(strangers.is_empty(), "{at}: {before:?}, {after:?}, not connected: {strangers:?}");
        }
    }

    /// A service that has a host and still asks for it never loses it to another team, unless the administrator names other
    /// services.
    #[test]
    fn no_service_loses_a_host_that_it_still_requests(turns in prop::collection::vec(turn(), 1..20)) {
        let mut story = PassSequence::of(rules(Sharing::SameStack, None));
        let mut holders = BTreeSet::<(String, String)>::new();
        for mut turn in turns {
            // The team of a service does not change, and only its stack identifies it.
            (turn.access, turn.stack) = (None, Some(turn.service));
            turn.happens(&mut story);
            let translation = story.settled();
            let has = |name: &str, at: &str| translation.table.hosts.get(&host(at)).is_some_and(|site| site.paths[&ContextPath::root()].backend.services.iter().any(|service| service.name.as_str() == name));
            for (name, at) in &holders {
                let requests = story.snapshot.services.get(&ServiceId(format!("id-{name}"))).and_then(|service| service.labels.get(&label_key("hosts")));
                let requests = requests.is_some_and(|hosts| hosts.split(',').any(|host| host == at));
                prop_assert!(!requests || has(name, at), "{name} lost {at}");
            }
            holders = translation.table.hosts.iter().flat_map(|(at, site)| site.paths[&ContextPath::root()].backend.services.iter().map(|service| (service.name.to_string(), at.to_string()))).collect();
        }
    }
}
