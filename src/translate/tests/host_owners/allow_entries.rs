//! Services that entries of `allow` admit, and the findings about services that they name.

use super::*;

/// The message and remedy for a service that does not get a host.
fn taken(story: &PassSequence, service: &str) -> (String, String) {
    let translation = story.translate();
    let is_it = |finding: &&Finding| finding.code == FindingCode::HostTaken && finding.subject.to_string() == format!("service {service}");
    let finding = translation.findings.iter().find(is_it).unwrap();
    (finding.message.clone(), finding.remedy.clone())
}

#[test]
fn a_guest_does_not_take_over_the_host_when_sharing_ends() {
    for (shared, restarted) in [(Sharing::Allowed, false), (Sharing::Allowed, true), (Sharing::Anyone, false), (Sharing::Anyone, true)] {
        let entry = || Some(vec![named("*", &[]), named("h.test", &["b"])]);
        let mut story = PassSequence::of(rules(shared, entry()));
        let change = |story: &mut PassSequence, sharing, allow| {
            story.cluster = rules(sharing, allow);
            if restarted {
                story.restart();
            }
        };
        story.requests("a", "shop", H).requests("b", "promo", H).check("h.test", &["a", "b"]);
        change(&mut story, Sharing::SameStack, entry());
        story.check("h.test", &["a"]);
        let (message, remedy) = taken(&story, "b");
        let why = "the service a of another stack published it first, and the entry of spec.hosts.allow that names this service admitted it only as a guest";
        assert!(message.contains(why) && remedy.contains("add it again"), "{message} {remedy}");
        // Once the entry is written again it decides about the owner, and that stays so when the host is shared.
        change(&mut story, Sharing::SameStack, Some(vec![named("*", &[])]));
        story.check("h.test", &["a"]);
        assert_eq!(story.label, None, "nothing needs to be recorded");
        change(&mut story, Sharing::SameStack, entry());
        story.check("h.test", &["b"]);
        assert!(taken(&story, "a").0.contains("spec.hosts.allow names the service b of another stack for it"), "{:?}", taken(&story, "a"));
        change(&mut story, shared, entry());
        story.check("h.test", if shared == Sharing::Anyone { &["b", "a"] } else { &["b"] });
    }
}

#[test]
fn a_guest_owns_the_host_once_the_owner_is_gone_unless_a_later_entry_names_another_service() {
    let entries = |names: &[&str]| Some(vec![named("*", &[]), named("h.test", names)]);
    let guest = || {
        let mut story = PassSequence::of(rules(Sharing::Allowed, entries(&["b"])));
        story
            .requests("0", "third", H)
            .leaves("0")
            .requests("a", "shop", H)
            .requests("b", "promo", H)
            .requests("c", "third", H)
            .check("h.test", &["a", "b"]);
        story.cluster = rules(Sharing::SameStack, entries(&["b"]));
        story.check("h.test", &["a"]);
        story
    };
    guest().leaves("a").check("h.test", &["b"]).requests("a", "shop", H).check("h.test", &["b"]);
    let mut story = guest();
    story.cluster = rules(Sharing::SameStack, entries(&["b", "c"]));
    story.check("h.test", &["c"]);
    let (message, remedy) = taken(&story, "b");
    assert!(message.contains("the service c of another stack published it first, and spec.hosts.allow names both"), "{message}");
    assert!(remedy.contains("remove c from the entry that names both"), "{remedy}");
    // The same for a name below the wildcard of the service that owns it.
    let allow = || Some(vec![named("*", &[]), named("x.w.test", &["b"])]);
    let mut story = PassSequence::of(rules(Sharing::Allowed, allow()));
    story.requests("a", "shop", &[("hosts", "*.w.test")]).requests("b", "promo", &[("hosts", "x.w.test")]).check("x.w.test", &["b"]);
    story.cluster = rules(Sharing::SameStack, allow());
    story.check("x.w.test", &[]).restart().check("x.w.test", &[]);
}

#[test]
fn messages_name_the_reason_for_the_decision() {
    let cases = [
        (None, "the service a of another stack published it first (", "a service that is named there takes precedence"),
        (
            Some(("*.test", &["a"][..])),
            "spec.hosts.allow names the service a of another stack for it (",
            "an entry for exactly this host takes precedence over",
        ),
        (
            Some(("h.test", &["a"])),
            "spec.hosts.allow names the service a of another stack for it (",
            "name this service instead of a in spec.hosts.allow",
        ),
        (
            Some(("*.test", &["a", "b"])),
            "a of another stack published it first, and spec.hosts.allow names both (",
            "an entry for exactly this host takes precedence",
        ),
    ];
    for (entry, why, remedy) in cases {
        let allow = entry.map(|(host, services)| vec![named("*", &[]), named(host, services)]);
        let mut story = PassSequence::of(rules(Sharing::SameStack, allow));
        story.requests("a", "shop", H).requests("b", "promo", H).check("h.test", &["a"]);
        let texts = taken(&story, "b");
        assert!(texts.0.contains(why) && texts.1.contains(remedy), "{texts:?}");
    }
    // Services of one stack belong to two teams only because of their access labels.
    let mut story = story(Sharing::SameStack);
    for name in ["a", "b"] {
        let labels = [("com.docker.lb.hosts", "h.test"), ("com.docker.lb.port", "80"), ("com.docker.stack.namespace", "shop")];
        let access = ("com.docker.ucp.access.label".to_owned(), format!("/{name}"));
        story.service(name, labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().chain([access]).collect());
    }
    story.check("h.test", &["a"]);
    assert!(taken(&story, "b").0.contains("the service a with another access label published it first"), "{:?}", taken(&story, "b"));
    let translation = story.translate();
    let contested = translation.findings.iter().find(|finding| finding.code == FindingCode::HostContested).unwrap();
    assert!(contested.message.starts_with("b with another access label claims hosts of this service"), "{contested}");
}
