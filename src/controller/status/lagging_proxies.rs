//! Whether proxies follow: which lag behind, since when, and whether that resolves by itself. A proxy that tests a large
//! configuration is slow, which is no error; a proxy that receives nothing, refuses what it receives, or has stopped
//! reporting is one. Pure.

use jiff::{SignedDuration, Timestamp};

use super::StatusInput;
use super::proxies::{is_on_names, is_running, is_silent};
use crate::protocol::messages::{Activity, ActivityKind, Delivery, ProxyReport};
use crate::protocol::timings::{LAG_CUT_OFF_MAX, LAG_IDLE_MAX, LAG_UNEXPLAINED_MAX, RETURN_AFTER, SILENT_AFTER};
use crate::report::{ClusterStatus, ConditionType, Finding, PROXIES, ProxyTaskReport, Subject, cases, number, share};
use crate::swarm::Task;
use crate::types::{TaskId, TaskState};

/// How many proxies a finding names.
const NAMED_MAX: usize = 5;

/// Records for each proxy whether it follows. `previous` holds since when it has not.
pub fn record_lag(seen: &StatusInput<'_>, previous: Option<&ClusterStatus>, proxies: &mut [ProxyTaskReport]) {
    if seen.delivery() != Delivery::Live || seen.extension_is_silent() {
        // A stock proxy has no agent that follows; about the proxies of a silent extension nothing is known.
        return;
    }
    for proxy in proxies.iter_mut().filter(|proxy| is_running(proxy)) {
        let report = seen.report.and_then(|received| received.report.proxies.iter().find(|report| report.task == proxy.task));
        let before = previous.into_iter().flat_map(|status| &status.proxies).find(|before| before.task == proxy.task);
        if report.is_none() {
            // The extension drops proxies that are silent for long; its last report remains the best information.
            proxy.running_digest = before.and_then(|before| before.running_digest.clone());
            proxy.seen_at = before.and_then(|before| before.seen_at);
        }
        proxy.activity = report.and_then(|report| activity_text(report.activity.as_ref()?));
        if !lags(seen, proxy, report) {
            continue;
        }
        // A proxy that has loaded another configuration since then follows, if slowly.
        let stood_still = before.filter(|before| before.running_digest == proxy.running_digest);
        let since = stood_still.and_then(|before| before.lagging_since).unwrap_or(seen.now);
        proxy.lagging_since = Some(since);
        proxy.stuck = is_stuck(seen, proxy, report, seen.now.duration_since(since));
    }
}

/// Whether a proxy does not run the newest configuration, would not receive a newer one, or its state is unknown.
fn lags(seen: &StatusInput<'_>, proxy: &ProxyTaskReport, report: Option<&ProxyReport>) -> bool {
    let refuses_or_cut = |report: &ProxyReport| refuses_newest(seen, report) || activity_of(report) == Some(ActivityKind::Cut);
    is_silent(proxy) || proxy.up_to_date == Some(false) || report.is_some_and(refuses_or_cut)
}

/// Whether that does not resolve by itself, once it has lasted for some time.
fn is_stuck(seen: &StatusInput<'_>, proxy: &ProxyTaskReport, report: Option<&ProxyReport>, lasts: SignedDuration) -> bool {
    let Some(report) = report else { return lasts > LAG_IDLE_MAX && runs_for(seen, &proxy.task) > LAG_IDLE_MAX };
    if report.silent || refuses_newest(seen, report) {
        return true;
    }
    match activity_of(report) {
        Some(ActivityKind::Testing) => false,
        Some(ActivityKind::Cut) => lasts > LAG_CUT_OFF_MAX,
        Some(ActivityKind::Following) if is_on_names(proxy) => lasts > on_names_max(),
        Some(ActivityKind::Following) => lasts > LAG_IDLE_MAX,
        None => lasts > LAG_UNEXPLAINED_MAX,
    }
}

/// How long a proxy may keep using names: after addresses are confirmed again, it first waits for a while.
fn on_names_max() -> SignedDuration {
    LAG_IDLE_MAX.saturating_add(SignedDuration::try_from(RETURN_AFTER).unwrap_or(SignedDuration::MAX))
}

fn activity_of(report: &ProxyReport) -> Option<ActivityKind> {
    report.activity.as_ref().map(|activity| activity.kind)
}

/// Whether a proxy refuses exactly what it should run.
fn refuses_newest(seen: &StatusInput<'_>, report: &ProxyReport) -> bool {
    let accepted = seen.report.and_then(|received| received.report.accepted.as_ref());
    report.rejected.as_ref().is_some_and(|refusal| accepted.is_some_and(|accepted| accepted.config_digest == refusal.digest))
}

/// How long Swarm has reported the task as running; a long time if it does not state since when.
fn runs_for(seen: &StatusInput<'_>, task: &str) -> SignedDuration {
    let since = seen.snapshot.tasks.get(&TaskId(task.to_owned())).and_then(|task| task.state_since);
    since.map_or(SignedDuration::MAX, |since| seen.now.duration_since(since))
}

fn activity_text(activity: &Activity) -> Option<String> {
    match activity.kind {
        ActivityKind::Following => None,
        ActivityKind::Testing => Some(format!("testing a newer configuration since {:.0}", activity.since)),
        ActivityKind::Cut => Some(format!("has received nothing newer since {:.0}: {}", activity.since, activity.message.trim())),
    }
}

/// Reports proxies that do not follow: what each runs, since when, and its last message.
pub fn finding(seen: &StatusInput<'_>, proxies: &[ProxyTaskReport]) -> Option<Finding> {
    let stuck: Vec<&ProxyTaskReport> = proxies.iter().filter(|proxy| proxy.stuck).collect();
    let running = proxies.iter().filter(|proxy| is_running(proxy)).count();
    if stuck.is_empty() {
        return None;
    }
    let shown = stuck.iter().take(NAMED_MAX).map(|proxy| described(seen, proxy)).collect::<Vec<_>>().join("; ");
    let more = stuck.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let keep = number(
        stuck.len(),
        "does not apply new configurations and keeps its current one",
        "do not apply new configurations and keep their current ones",
    );
    let message = format!("{} {keep}: {shown}{more}", share(stuck.len(), running, &PROXIES));
    Some(Finding::new(cases::ProxiesNotFollowing, Subject::Cluster(seen.cluster.name.to_string()), message))
}

fn described(seen: &StatusInput<'_>, proxy: &ProxyTaskReport) -> String {
    let runs = proxy.running_digest.as_ref().map_or_else(|| "an unknown configuration".to_owned(), |digest| digest.short().to_owned());
    let since = proxy.lagging_since.unwrap_or(seen.now);
    format!("{} on {} runs {runs}, since {since:.0} ({})", proxy.task, proxy.node, why(proxy))
}

/// The last message from its agent.
fn why(proxy: &ProxyTaskReport) -> String {
    match (&proxy.rejected, &proxy.activity, proxy.seen_at) {
        (Some(rejected), _, _) => format!("it refuses the newest configuration: {rejected}"),
        (None, Some(activity), _) => activity.clone(),
        (None, None, Some(at)) if proxy.up_to_date.is_none() => format!("no report since {at:.0}"),
        (None, None, None) if proxy.up_to_date.is_none() => "never reported".to_owned(),
        (None, None, _) => "it gives no reason".to_owned(),
    }
}

/// Reports that the extension is silent, if it should not be.
pub fn extension_silent(seen: &StatusInput<'_>, previous: Option<&ClusterStatus>) -> Option<Finding> {
    let last = match seen.report {
        Some(received) if seen.extension_is_silent() => format!("since {:.0}", received.at),
        None if should_have_reported(seen, previous) => "yet, although its task is running".to_owned(),
        _ => return None,
    };
    let message = format!("the extension has not reported {last}: proxies receive nothing new and keep their configuration");
    Some(Finding::new(cases::ExtensionSilent, Subject::Cluster(seen.cluster.name.to_string()), message))
}

/// Whether this operator has waited long enough for an extension whose task is running.
fn should_have_reported(seen: &StatusInput<'_>, previous: Option<&ClusterStatus>) -> bool {
    let Some(service) = seen.own_service(seen.cluster.extension.service_name.as_str()) else { return false };
    let waits_since = previous.and_then(|status| {
        status.conditions.iter().find(|condition| condition.kind == ConditionType::Programmed).map(|it| it.last_transition_time)
    });
    let runs = |task: &&Task| task.service == service.id && task.state == TaskState::Running;
    let longest = seen.snapshot.tasks.values().filter(runs).map(|task| runs_for(seen, &task.id.0)).max();
    let waited = |since: Timestamp| seen.now.duration_since(since) > SILENT_AFTER;
    longest.is_some_and(|longest| longest > SILENT_AFTER) && waits_since.is_some_and(waited)
}
