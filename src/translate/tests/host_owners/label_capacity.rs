//! No team can fill the label so that the hosts of others are not recorded.

use super::*;

fn ids(word: &str, count: usize) -> std::sync::Arc<[ServiceId]> {
    (0..count).map(|number| ServiceId(format!("{word}-{number}"))).collect()
}

#[test]
fn a_host_that_does_not_fit_displaces_no_other() {
    let mut host_owners = HostOwners::default();
    let (large, small) = (host("a.large.test"), host("b.small.test"));
    host_owners.record((&large).into(), ids("one-of-very-many-services", 2_000));
    host_owners.record((&small).into(), ids("few", 2));
    host_owners.record(HostKey::DefaultBackend, ids("default", 1));
    let (kept, left_out) = host_owners.shortened(&[large.clone(), small.clone()]);
    assert_eq!((left_out, kept.holders(&(&large).into())), (1, None));
    assert_eq!(kept.holders(&(&small).into()), Some(&*ids("few", 2)));
    assert_eq!(kept.holders(&HostKey::DefaultBackend), Some(&*ids("default", 1)));
}

#[test]
fn a_label_keeps_as_many_hosts_as_fit() {
    for (services, of_one) in [(1, 5_000), (5_000, 1), (50, 100)] {
        let mut host_owners = HostOwners::default();
        let mut first = Vec::new();
        for number in 0..services * of_one {
            let host = host(&format!("h{number:04}.test"));
            host_owners.record((&host).into(), ids(&format!("s{}", number / of_one), 1));
            first.push(host);
        }
        let (kept, left_out) = host_owners.shortened(&first);
        let bytes = kept.label().unwrap().len();
        assert!((LABEL_BYTES_MAX - 100..=LABEL_BYTES_MAX).contains(&bytes), "{services} services: {bytes} bytes");
        let is_kept = |host: &HostPattern| kept.holders(&host.into()).is_some();
        assert!(first.iter().take(first.len() - left_out).all(is_kept), "the first ones of equal size");
    }
}

/// Each of a thousand guests is one more name in the entry of one host.
#[test]
fn a_host_with_very_many_guests_displaces_no_other() {
    let entry = || Some(vec![named("*", &[]), named("h.test", &["e*"])]);
    for shared in [Sharing::Allowed, Sharing::Anyone] {
        let mut story = PassSequence::of(rules(shared, entry()));
        story.requests("a", "old", &[("hosts", "own.test")]).requests("b", "shop", H).requests("c", "late", OTHER);
        for number in 0..1_200 {
            story.requests(&format!("e{number}"), &format!("guest{number}"), H);
        }
        story.pass();
        story.requests("a", "old", &[("hosts", "own.test,other.test")]);
        let translation = story.settled();
        assert!(!codes(&translation).contains(&FindingCode::HostRegisterFull));
        assert!(story.label.as_ref().is_some_and(|label| label.len() < 400), "{:?}", story.label);
        // The entry admits them and makes none of them the owner, even if everything else is forgotten at once.
        story.cluster = rules(Sharing::SameStack, entry());
        story.restart().check("h.test", &["b"]).check("other.test", &["c"]);
        // Once the entry is gone, no guests need to be remembered.
        story.cluster = rules(Sharing::SameStack, None);
        story.restart().check("h.test", &["b"]);
        assert!(story.label.as_ref().is_some_and(|label| !label.contains("h.test")), "{:?}", story.label);
        story.cluster = rules(Sharing::SameStack, Some(vec![named("*", &[]), named("h.test", &["e7"])]));
        story.check("h.test", &["e7"]);
    }
}

#[test]
fn old_labels_that_name_every_guest_are_still_read() {
    let entry = || Some(vec![named("*", &[]), named("h.test", &["c*"])]);
    let mut story = PassSequence::of(rules(Sharing::SameStack, entry()));
    story.requests("b", "shop", H);
    for number in 0..6 {
        story.requests(&format!("c{number}"), &format!("promo{number}"), H);
    }
    story.label = Some(
        r#"{"holders":[{"services":["id-b"],"guests":["id-c0","id-c1","id-c2","id-c3","id-c4","id-c5"],"hosts":["h.test"]}]}"#.to_owned(),
    );
    story.write();
    story.restart().check("h.test", &["b"]);
    // A service that such a label does not name was no guest.
    story.label = Some(r#"{"holders":[{"services":["id-b"],"guests":["id-c0"],"hosts":["h.test"]}]}"#.to_owned());
    story.write();
    story.restart().check("h.test", &["c1"]);
}

/// Stacks whose hosts come first by name, all of which an older service asks for, push no other team out: new stacks not
/// the older ones, and older stacks not either if the same people created them all.
#[test]
fn six_hundred_stacks_do_not_push_out_the_first_host_of_another() {
    let long = "a-name-that-is-long.example.org";
    let list = |word: &str, count: usize| (0..count).map(|number| format!("{word}{number}.{long}")).collect::<Vec<_>>().join(",");
    let (of_a, of_stacks) = (list("h", 999), list("0", 600));
    // Its entry in the label is longer than any of the others, so that no gap is left for it.
    let (wanted, another) = (format!("zzzzzzzzzzzz.{long}"), format!("zzzzzzzzzzzzz.{long}"));
    for (owner, access) in [("b", None), ("z", Some("/squat"))] {
        let mut story = story(Sharing::SameStack);
        story.requests("a", "old", &[("hosts", &of_a)]).requests("a2", "old", OTHER).requests(
            owner,
            "shop",
            &[("hosts", &format!("{wanted},{another}"))],
        );
        for (number, host) in of_stacks.split(',').enumerate() {
            let name = format!("n{number}");
            story.requests(&name, &format!("stack{number}"), &[("hosts", host)]);
            let labels = &mut story.snapshot.services.get_mut(&ServiceId(format!("id-{name}"))).unwrap().labels;
            labels.extend(access.map(|access| ("com.docker.ucp.access.label".to_owned(), access.to_owned())));
        }
        story.pass();
        // `a` comes late somewhere, so if that is recorded, all that it has must be recorded: more than a label holds.
        story.requests("a", "old", &[("hosts", &format!("{of_a},{another}"))]).requests("c", "squat", &[("hosts", &of_a)]);
        story.requests("a2", "old", &[("hosts", &format!("{wanted},{of_stacks}"))]);
        assert!(codes(&story.pass()).contains(&FindingCode::HostRegisterFull));
        let label = story.label.clone().unwrap();
        assert!(
            label.len() <= LABEL_BYTES_MAX && label.contains(&format!("\"{wanted}\"")) && label.contains("\"0"),
            "{} bytes",
            label.len()
        );
        story.restart().check(&wanted, &[owner]);
    }
}

/// A team that requests very many hosts of others must not make the operator forget their owners.
#[test]
fn owners_are_remembered_for_more_hosts_than_a_label_holds() {
    let hosts = (0..1_000).map(|number| format!("host-{number}.of-a-long-name.example.org")).collect::<Vec<_>>().join(",");
    let own = [("hosts", hosts.as_str())];
    let mut story = story(Sharing::SameStack);
    story.requests("a", "evil", OTHER).requests("b", "shop", &own).requests("c", "squat", OTHER).check("other.test", &["a"]);
    let all = format!("other.test,{hosts}");
    story.requests("a", "evil", &[("hosts", &all[..200_000.min(all.len())])]);
    let translation = story.settled();
    assert!(story.label.as_ref().is_some_and(|label| label.len() < 200), "{:?}", story.label);
    assert!(!codes(&translation).contains(&FindingCode::HostRegisterFull));
    story.check("host-7.of-a-long-name.example.org", &["b"]).check("other.test", &["a"]);
}

#[test]
fn hosts_that_cannot_be_recorded_are_reported() {
    let list =
        |from: usize| (from..from + 999).map(|number| format!("h-{number}.a-name-that-is-long.example.org")).collect::<Vec<_>>().join(",");
    let (of_a, of_b) = (list(0), list(1_000));
    let mut story = story(Sharing::SameStack);
    story.requests("a", "old", &[("hosts", &of_a)]).requests("a2", "old", OTHER).requests("b", "shop", &[("hosts", &of_b)]).pass();
    // So many hosts of `b` that `a2` is recorded as late, and `a` with one; and `c` asks for what `a` has.
    story.requests("a2", "old", &[("hosts", &of_b)]).requests(
        "a",
        "old",
        &[("hosts", &format!("{of_a},h-1000.a-name-that-is-long.example.org"))],
    );
    story.requests("c", "squat", &[("hosts", &of_a)]);
    let translation = story.pass();
    let full: Vec<_> = translation.findings.iter().filter(|finding| finding.code == FindingCode::HostRegisterFull).collect();
    assert_eq!(full.len(), 1);
    assert!(full[0].message.contains("hosts go to the oldest"), "{}", full[0]);
    let label = story.label.clone().unwrap();
    assert!(label.len() <= LABEL_BYTES_MAX && label.contains("h-1000."), "what fits is kept: {} bytes", label.len());
    assert_eq!(shown(&translation).0, shown(&story.pass()).0, "the running operator forgets nothing");
    story.restart().check("h-1000.a-name-that-is-long.example.org", &["b"]);
}

/// Two stacks that request very many of each other's hosts must not make the operator forget the owner of a third stack's
/// host.
#[test]
fn teams_with_few_hosts_are_recorded_before_the_many_of_others() {
    let long = "a-name-that-is-as-long-as-one-may-be-of-a-stack.with-many-hosts-of-its-own.example.org";
    let list = |word: &str| (0..450).map(|number| format!("{word}-{number}.{long}")).collect::<Vec<_>>().join(",");
    let (of_a, of_b) = (list("b"), list("a"));
    let mut story = story(Sharing::SameStack);
    story
        .requests("a", "old", &[("hosts", &of_a)])
        .requests("b", "young", &[("hosts", &of_b)])
        .requests("c", "late", OTHER)
        .check("other.test", &["c"]);
    story.requests("a", "old", &[("hosts", &format!("{of_a},other.test,{of_b}"))]).requests(
        "b",
        "young",
        &[("hosts", &format!("{of_b},{of_a}"))],
    );
    story.pass();
    assert!(codes(&story.pass()).contains(&FindingCode::HostRegisterFull));
    // Unrecorded hosts are lost at a restart, as the finding says; the host of a team with few is not.
    let owner = |translation: &Translation| {
        translation.table.hosts[&host("other.test")].paths[&ContextPath::root()].backend.services[0].name.to_string()
    };
    assert_eq!([owner(&story.pass()), owner(&story.restart().pass())], ["c", "c"]);
}
