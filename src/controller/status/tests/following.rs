//! When the status reports proxies that do not follow, and when it does not although they are slow.

use super::*;
use crate::protocol::messages::{Activity, ActivityKind};
use crate::report::ProxyTaskReport;

/// Runs passes every second; returns when the status first reports the proxy as stuck, and that status.
fn stuck_after(seconds: i64, change: impl Fn(&mut ProxyReport)) -> Option<(i64, ClusterStatus)> {
    let snapshot = world();
    let mut status: Option<ClusterStatus> = None;
    for second in 0..seconds {
        let next = after_a_pass(&snapshot, SignedDuration::from_secs(second), status.as_ref(), |desired, now| {
            let mut report = report(desired);
            report.proxies.iter_mut().for_each(&change);
            Some((report, now))
        });
        if next.proxies[0].stuck {
            return Some((second, next));
        }
        status = Some(next);
    }
    None
}

fn doing(proxy: &mut ProxyReport, kind: ActivityKind, message: &str) {
    let since = "2026-01-02T03:05:00Z".parse().unwrap();
    proxy.activity = Some(Activity { kind, since, digest: None, message: message.to_owned() });
}

fn is_behind(proxy: &mut ProxyReport) {
    proxy.running = Some(Digest::of_bytes(b"older"));
}

/// The error appears after at most this many seconds, with this message.
fn check(change: impl Fn(&mut ProxyReport), at_most: i64, texts: &[&str]) {
    let (seconds, status) = stuck_after(30, change).unwrap_or_else(|| panic!("never: {texts:?}"));
    assert!(seconds <= at_most, "{seconds} s: {texts:?}");
    let programmed = status.conditions.iter().find(|condition| condition.kind == ConditionType::Programmed).unwrap();
    assert_eq!((programmed.status, programmed.reason.clone()), (ConditionStatus::False, ConditionReason::ProxiesNotFollowing));
    assert_eq!(status.phase, Phase::Degraded);
    let findings: Vec<&Finding> = status.findings.iter().filter(|finding| finding.code == FindingCode::ProxiesNotFollowing).collect();
    let [finding] = findings[..] else { panic!("{:#?}", status.findings) };
    assert_eq!((finding.severity, &finding.subject), (Severity::Error, &Subject::Cluster("dev".to_owned())));
    for text in ["1 of 1 proxy does not", "proxy-task on node", "since 2026-01-02T03:05"].iter().chain(texts) {
        assert!(finding.message.contains(text), "{text:?} is not in {}", finding.message);
    }
}

#[test]
fn a_proxy_that_receives_nothing_newer_is_an_error_with_its_last_message() {
    let cut = |proxy: &mut ProxyReport| {
        is_behind(proxy);
        doing(proxy, ActivityKind::Cut, "10.0.0.1:8082 answered more than 67108864 bytes");
    };
    let older = Digest::of_bytes(b"older");
    check(cut, 5, &["answered more than 67108864 bytes", &format!("runs {}", older.short())]);
    // Also while nothing is newer than what it runs: it would not receive it.
    check(|proxy| doing(proxy, ActivityKind::Cut, "certificate expired"), 5, &["certificate expired"]);
}

#[test]
fn a_proxy_that_refuses_the_newest_configuration_is_an_error_at_once() {
    let refuses = |undecided: bool| {
        move |proxy: &mut ProxyReport| {
            is_behind(proxy);
            doing(proxy, ActivityKind::Following, "");
            proxy.rejected =
                Some(ConfigRejection { undecided, ..ConfigRejection::new(Digest::of_bytes(b"config"), "no memory".to_owned()) });
        }
    };
    check(refuses(false), 0, &["it refuses the newest", "no memory"]);
    check(refuses(true), 0, &["no memory"]);
    // What it refused before the newest configuration is not reported.
    let earlier = |proxy: &mut ProxyReport| proxy.rejected = Some(ConfigRejection::new(Digest::of_bytes(b"earlier"), "no".to_owned()));
    assert!(stuck_after(30, earlier).is_none());
}

#[test]
fn an_idle_outdated_proxy_is_an_error() {
    let idle = |proxy: &mut ProxyReport| {
        is_behind(proxy);
        doing(proxy, ActivityKind::Following, "");
    };
    check(idle, 6, &["it gives no reason"]);
}

#[test]
fn a_proxy_on_names_waits_before_it_returns_to_addresses() {
    let on_names = |proxy: &mut ProxyReport| {
        is_behind(proxy);
        doing(proxy, ActivityKind::Following, "");
        proxy.source = Some("names".into());
    };
    assert!(stuck_after(15, on_names).is_none());
    check(on_names, 16, &["it gives no reason"]);
}

#[test]
fn a_silent_proxy_is_an_error() {
    check(|proxy| proxy.silent = true, 0, &["(never reported)"]);
    check(
        |proxy| {
            proxy.silent = true;
            proxy.seen_at = Some("2026-01-02T03:04:58Z".parse().unwrap());
        },
        0,
        &["no report since 2026-01-02T03:04:58Z"],
    );
}

#[test]
fn a_proxy_that_stays_silent_remains_an_error_with_its_last_configuration() {
    let snapshot = world();
    let mut status: Option<ClusterStatus> = None;
    for second in 0..90 {
        let next = after_a_pass(&snapshot, SignedDuration::from_secs(second), status.as_ref(), |desired, now| {
            let mut report = report(desired);
            report.proxies[0].seen_at = Some(snapshot.taken_at);
            report.proxies[0].silent = second > 6;
            report.proxies.retain(|_| second <= 60);
            Some((report, now))
        });
        let proxy = &next.proxies[0];
        assert_eq!((proxy.stuck, proxy.seen_at), (second > 6, Some(snapshot.taken_at)), "{second}");
        assert_eq!(proxy.running_digest, Some(Digest::of_bytes(b"config")), "{second}");
        assert_eq!(proxy.lagging_since.is_some(), second > 6, "{second}");
        status = Some(next);
    }
}

#[test]
fn a_running_task_that_never_reports_is_an_error() {
    check(|proxy| proxy.task = "another".to_owned(), 6, &["never reported", "an unknown configuration"]);
}

#[test]
fn a_proxy_that_tests_a_large_configuration_is_not_an_error() {
    let testing = |proxy: &mut ProxyReport| {
        is_behind(proxy);
        doing(proxy, ActivityKind::Testing, "");
    };
    assert!(stuck_after(120, testing).is_none());
    let status = status(1, |desired| {
        let mut report = report(desired);
        report.proxies.iter_mut().for_each(testing);
        Some(report)
    });
    let programmed = status.conditions.iter().find(|condition| condition.kind == ConditionType::Programmed).unwrap();
    assert_eq!((programmed.reason.clone(), status.phase), (ConditionReason::ProxiesBehind, Phase::Progressing));
    assert!(programmed.message.contains("testing a newer configuration since 2026-01-02T03:05:00Z"), "{}", programmed.message);
    assert_eq!(status.proxies[0].activity.as_deref(), Some("testing a newer configuration since 2026-01-02T03:05:00Z"));
}

#[test]
fn an_agent_that_reports_no_activity_may_be_testing() {
    assert!(stuck_after(60, is_behind).is_none());
    assert!(stuck_after(120, is_behind).is_some());
}

#[test]
fn a_proxy_that_applies_one_configuration_after_another_is_not_stuck() {
    let snapshot = world();
    let mut status: Option<ClusterStatus> = None;
    for second in 0..60_u8 {
        let next = after_a_pass(&snapshot, SignedDuration::from_secs(second.into()), status.as_ref(), |desired, now| {
            let mut report = report(desired);
            report.proxies[0].running = Some(Digest::of_bytes(&[second]));
            doing(&mut report.proxies[0], ActivityKind::Following, "");
            Some((report, now))
        });
        let proxy: &ProxyTaskReport = &next.proxies[0];
        assert_eq!((proxy.up_to_date, proxy.stuck), (Some(false), false));
        status = Some(next);
    }
}

#[test]
fn a_silent_extension_is_an_error_within_ten_seconds() {
    let code = |status: &ClusterStatus| status.findings.iter().any(|finding| finding.code == FindingCode::ExtensionSilent);
    let status_after = |age| status(age, |desired| Some(report(desired)));
    assert!(!code(&status_after(6)) && code(&status_after(7)));
    assert_eq!((status_after(6).phase == Phase::Degraded, status_after(7).phase), (false, Phase::Degraded));
}

#[test]
fn routes_larger_than_a_message_produce_a_finding_with_their_largest_parts() {
    let snapshot = world();
    let fault = crate::protocol::size_limits::TooLarge { bytes: 70_000_000, max: 67_108_864 };
    let status = after_a_pass_with(&snapshot, Some(fault));
    let programmed = status.conditions.iter().find(|condition| condition.kind == ConditionType::Programmed).unwrap();
    assert_eq!((programmed.reason.clone(), status.phase), (ConditionReason::MessageTooLarge, Phase::Degraded));
    let findings = status.findings.iter().find(|finding| finding.code == FindingCode::MessageTooLarge).unwrap();
    assert!(findings.message.contains("70000000 bytes") && findings.message.contains("the route a.test/"), "{findings}");
}
