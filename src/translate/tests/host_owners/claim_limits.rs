//! Requests that are not granted have a bound, too, and a team that reaches it takes nothing from others.

use super::*;
use crate::intent::labels::{LabelReading, read_labels};
use crate::translate::TranslationContext;
use crate::translate::claim_limits::ClaimLimiter;

fn many(hosts: usize) -> String {
    (0..hosts).map(|number| format!("h{number}.test")).collect::<Vec<_>>().join(",")
}

fn limits(translation: &Translation) -> Vec<&Finding> {
    translation.findings.iter().filter(|finding| finding.code == FindingCode::LimitExceeded).collect()
}

fn is_published(translation: &Translation, name: &str) -> bool {
    translation.table.hosts.contains_key(&host(name))
}

/// A stack with one service for each of these names, each with a thousand hosts.
fn squat(story: &mut PassSequence, stack: &str, names: std::ops::Range<usize>, hosts: &str) {
    for number in names {
        story.requests(&format!("b{number:02}"), stack, &[("hosts", hosts)]);
    }
}

fn serves(translation: &Translation, name: &str) -> Vec<String> {
    let backend = &translation.table.hosts[&host(name)].paths[&ContextPath::root()].backend;
    backend.services.iter().map(|service| service.name.to_string()).collect()
}

#[test]
fn a_team_with_very_many_refused_requests_hurts_only_itself() {
    let (all, less_one) = (many(1_000), many(999));
    let mut story = story(Sharing::SameStack);
    story.requests("a", "shop", &[("hosts", &all)]).requests("e", "other", OTHER);
    squat(&mut story, "squat", 0..29, &all);
    squat(&mut story, "squat", 29..30, &less_one);
    story.pass();
    let translation = story.pass();
    assert_eq!(translation.not_admitted.values().map(Vec::len).sum::<usize>(), 29_999);
    assert!(limits(&translation).is_empty());
    story.requests("c", "squat", &[("hosts", "first.test,second.test")]);
    story.requests("d", "squat", &[("hosts", "third.test"), ("default_backend", "true")]);
    // 30,000 hosts of one team: all that older services ask for and do not get, and one more.
    let translation = story.pass();
    let published = ["h0.test", "h999.test", "other.test", "first.test", "second.test", "third.test"];
    assert_eq!(published.map(|name| is_published(&translation, name)), [true, true, true, true, false, false]);
    assert_eq!(default_services(&translation), ["d"], "the default backend is not a host");
    let [c, d] = limits(&translation)[..] else { panic!("{:#?}", limits(&translation)) };
    assert_eq!([c, d].map(|finding| finding.subject.to_string()), ["service c", "service d"]);
    let message = "the service requests 2 hosts and 0 redirects; its team (the stack squat) already requests 30000 hosts and 0 redirects, published or not, \
                 and the cluster default considers at most 30000 hosts and 150000 redirects per team (4 times spec.limits.team or its default, whichever is \
                 more); only one of its hosts is considered";
    assert!(c.message.starts_with(message) && c.message.ends_with("may answer for: second.test"), "{c}");
    assert!(d.message.contains("none of its hosts are published") && d.remedy.contains("raise spec.limits.team.routes."), "{d}");
    // As soon as older services ask for less.
    let translation = story.leaves("b00").pass();
    assert!(limits(&translation).is_empty() && is_published(&translation, "second.test") && is_published(&translation, "third.test"));
}

#[test]
fn beyond_the_bound_of_a_cluster_some_hosts_of_each_team_are_considered() {
    let all = many(1_000);
    let mut story = story(Sharing::SameStack);
    story.requests("a", "shop", &[("hosts", &all)]);
    for number in 0..39 {
        squat(&mut story, &format!("squat{number}"), number..number + 1, &all);
    }
    story.pass();
    story.requests("c", "late", OTHER);
    let hosts = (0..200).map(|number| format!("x{number}.test")).collect::<Vec<_>>().join(",");
    story.requests("d", "large", &[("hosts", &hosts)]);
    let translation = story.pass();
    let [finding] = limits(&translation)[..] else { panic!("{:#?}", limits(&translation)) };
    assert!(
        finding.subject.to_string() == "service d" && finding.message.contains("all services together already request 40101 hosts"),
        "{finding}"
    );
    assert!(
        finding.message.contains("(4 times spec.limits.cluster or") && finding.remedy.contains("labels of those services"),
        "{finding}"
    );
    let published = ["other.test", "h999.test", "x99.test", "x100.test"];
    assert_eq!(published.map(|name| is_published(&translation, name)), [true, true, true, false]);
}

/// Forty older services of two stacks, one of which asks for the victim's host.
#[test]
fn no_service_loses_a_host_because_others_request_very_many() {
    for allow in [None, Some(vec![named("*.test", &["v*"])])] {
        let mut story = PassSequence::of(rules(Sharing::SameStack, allow.clone()));
        story.requests("v", "victim", H);
        story.pass();
        let all = many(1_000);
        squat(&mut story, "e1", 0..30, &all);
        squat(&mut story, "e2", 30..39, &all);
        squat(&mut story, "e2", 39..40, &format!("h.test,{all}"));
        for pass in ["at once", "again"] {
            assert_eq!(serves(&story.pass(), "h.test"), ["v"], "{pass}");
        }
        assert_eq!(serves(&story.restart().pass(), "h.test"), ["v"], "after a restart");
        // A service that an entry admits is considered beside those that it refuses, however many these are.
        story.requests("w", "victim", OTHER).requests("vv", "victim", &[("hosts", "fresh.test")]);
        let translation = story.pass();
        assert!(is_published(&translation, "fresh.test"));
        assert_eq!(is_published(&translation, "other.test"), allow.is_none());
    }
}

/// Limits apply to what services get: the finding about a low limit says what is lost, and what is kept.
#[test]
fn low_limits_do_not_reduce_what_teams_may_request() {
    let mut story = story(Sharing::SameStack);
    (story.cluster.limits.team.routes, story.cluster.limits.cluster.routes) = (2, 3);
    story.requests("a", "shop", &[("hosts", &many(100))]);
    let translation = story.pass();
    let [finding] = limits(&translation)[..] else { panic!("{:#?}", limits(&translation)) };
    assert!(finding.message.contains("the service requests 100 routes in the proxy configuration"), "{finding}");
}

#[test]
fn redirects_are_counted_with_their_source_host() {
    let redirects = (0..1_000).map(|number| format!("http://h.test/{number},http://other.test")).collect::<Vec<_>>().join(";");
    let mut story = story(Sharing::SameStack);
    story.requests("a", "shop", &[("hosts", "plain.test,h.test"), ("redirects", &redirects)]);
    let service = &story.snapshot.services[&ServiceId("id-a".to_owned())];
    let LabelReading::Published(read) = read_labels(&service.name, &service.labels).reading else { panic!("it can be read") };
    let host_owners = HostOwners::complete();
    let world = TranslationContext::new(&story.cluster, &story.snapshot, &host_owners);
    let mut limiter = ClaimLimiter::new(&world);
    let mut left = || {
        let mut labels = (*read).clone();
        let finding = limiter.admit(service, &mut labels);
        (labels.hosts.len(), labels.redirects.len(), finding)
    };
    for number in 0..150 {
        assert_eq!(left(), (2, 1_000, None), "{number}");
    }
    let (hosts, redirects, finding) = left();
    assert_eq!((hosts, redirects), (1, 0), "a host is never kept without its redirects");
    let finding = finding.unwrap();
    assert!(finding.message.contains("requests 301 hosts and 150000 redirects") && finding.message.ends_with(": h.test"), "{finding}");
    assert!(finding.remedy.ends_with("raise spec.limits.team.locations."), "{finding}");
}
