//! Nobody fills the label so that others' hosts are not written down.

use super::*;

fn ids(word: &str, count: usize) -> std::sync::Arc<[ServiceId]> {
    (0..count).map(|number| ServiceId(format!("{word}-{number}"))).collect()
}

#[test]
fn a_host_that_does_not_fit_costs_no_other_one_its_place() {
    let mut register = Register::default();
    let (large, small) = (host("a.large.test"), host("b.small.test"));
    register.note(Some(&large), ids("one-of-very-many-services", 2_000));
    register.note(Some(&small), ids("few", 2));
    register.note(None, ids("default", 1));
    let (kept, left_out) = register.shortened(&[large.clone(), small.clone()]);
    assert_eq!((left_out, kept.holders(Some(&large))), (1, None));
    assert_eq!(kept.holders(Some(&small)), Some(&*ids("few", 2)));
    assert_eq!(kept.holders(None), Some(&*ids("default", 1)));
}

#[test]
fn as_much_is_kept_as_a_label_holds() {
    for (services, of_one) in [(1, 5_000), (5_000, 1), (50, 100)] {
        let mut register = Register::default();
        let mut first = Vec::new();
        for number in 0..services * of_one {
            let host = host(&format!("h{number:04}.test"));
            register.note(Some(&host), ids(&format!("s{}", number / of_one), 1));
            first.push(host);
        }
        let (kept, left_out) = register.shortened(&first);
        let bytes = kept.label().unwrap().len();
        assert!((LABEL_BYTES_MAX - 100..=LABEL_BYTES_MAX).contains(&bytes), "{services} services: {bytes} bytes");
        let is_kept = |host: &HostPattern| kept.holders(Some(host)).is_some();
        assert!(first.iter().take(first.len() - left_out).all(is_kept), "the first ones of equal size");
    }
}

/// Each of a thousand guests is one name more in the entry of one host.
#[test]
fn a_host_with_very_many_guests_takes_no_others_place() {
    let entry = || Some(vec![named("*", &[]), named("h.test", &["e*"])]);
    for shared in [Sharing::Allowed, Sharing::Anyone] {
        let mut story = Story::of(rules(shared, entry()));
        story.asks("a", "old", &[("hosts", "own.test")]).asks("b", "shop", H).asks("c", "late", OTHER);
        for number in 0..1_200 {
            story.asks(&format!("e{number}"), &format!("guest{number}"), H);
        }
        story.pass();
        story.asks("a", "old", &[("hosts", "own.test,other.test")]);
        let translation = story.settled();
        assert!(!codes(&translation).contains(&FindingCode::HostRegisterFull));
        assert!(story.label.as_ref().is_some_and(|label| label.len() < 400), "{:?}", story.label);
        // The entry lets them in and makes none of them the owner, whatever is forgotten at once.
        story.cluster = rules(Sharing::SameStack, entry());
        story.restart().check("h.test", &["b"]).check("other.test", &["c"]);
        // Once the entry is gone there is nothing to remember of guests.
        story.cluster = rules(Sharing::SameStack, None);
        story.restart().check("h.test", &["b"]);
        assert!(story.label.as_ref().is_some_and(|label| !label.contains("h.test")), "{:?}", story.label);
        story.cluster = rules(Sharing::SameStack, Some(vec![named("*", &[]), named("h.test", &["e7"])]));
        story.check("h.test", &["e7"]);
    }
}

#[test]
fn labels_of_before_are_read_that_name_every_guest() {
    let entry = || Some(vec![named("*", &[]), named("h.test", &["c*"])]);
    let mut story = Story::of(rules(Sharing::SameStack, entry()));
    story.asks("b", "shop", H);
    for number in 0..6 {
        story.asks(&format!("c{number}"), &format!("promo{number}"), H);
    }
    story.label = Some(
        r#"{"holders":[{"services":["id-b"],"guests":["id-c0","id-c1","id-c2","id-c3","id-c4","id-c5"],"hosts":["h.test"]}]}"#.to_owned(),
    );
    story.write();
    story.restart().check("h.test", &["b"]);
    // Whom such a label does not name was no guest.
    story.label = Some(r#"{"holders":[{"services":["id-b"],"guests":["id-c0"],"hosts":["h.test"]}]}"#.to_owned());
    story.write();
    story.restart().check("h.test", &["c1"]);
}

/// Stacks whose hosts come first by name, all asked for by an older service, push nobody out: no new ones those who were there before
/// them, and no older ones either if the same people made them all.
#[test]
fn six_hundred_stacks_do_not_push_out_the_first_host_of_another() {
    let long = "a-name-that-is-long.example.org";
    let list = |word: &str, count: usize| (0..count).map(|number| format!("{word}{number}.{long}")).collect::<Vec<_>>().join(",");
    let (of_a, of_stacks) = (list("h", 999), list("0", 600));
    // It takes more of the label than any of the others, so that no gap is left for it.
    let (wanted, another) = (format!("zzzzzzzzzzzz.{long}"), format!("zzzzzzzzzzzzz.{long}"));
    for (owner, access) in [("b", None), ("z", Some("/squat"))] {
        let mut story = story(Sharing::SameStack);
        story.asks("a", "old", &[("hosts", &of_a)]).asks("a2", "old", OTHER).asks(
            owner,
            "shop",
            &[("hosts", &format!("{wanted},{another}"))],
        );
        for (number, host) in of_stacks.split(',').enumerate() {
            let name = format!("n{number}");
            story.asks(&name, &format!("stack{number}"), &[("hosts", host)]);
            let labels = &mut story.snapshot.services.get_mut(&ServiceId(format!("id-{name}"))).unwrap().labels;
            labels.extend(access.map(|access| ("com.docker.ucp.access.label".to_owned(), access.to_owned())));
        }
        story.pass();
        // `a` comes late somewhere, so that all that it has must be written down if that is said: more than a label holds.
        story.asks("a", "old", &[("hosts", &format!("{of_a},{another}"))]).asks("c", "squat", &[("hosts", &of_a)]);
        story.asks("a2", "old", &[("hosts", &format!("{wanted},{of_stacks}"))]);
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
