//! All metrics of the program: each name once, with description and unit. Rooms that must not import this one write the
//! name as a literal; `tests/architecture.rs` checks that it is described here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::report::{ClusterStatus, ConditionStatus, ProxyTaskReport, StatusReport};

/// Writes to the Swarm that were carried out, by kind of step and outcome. Does not grow while nothing changes.
pub const WRITES_TOTAL: &str = "swarmgate_writes_total";
/// Passes, by cluster and result.
pub const PASS_TOTAL: &str = "swarmgate_pass_total";
/// How long passes take.
pub const PASS_DURATION_SECONDS: &str = "swarmgate_pass_duration_seconds";
/// Time since the last complete read of the Swarm.
pub const SNAPSHOT_AGE_SECONDS: &str = "swarmgate_snapshot_age_seconds";
/// How long complete reads of the Swarm take.
pub const OBSERVE_DURATION_SECONDS: &str = "swarmgate_observe_duration_seconds";
/// Failed reads of the Swarm.
pub const OBSERVE_FAILURES_TOTAL: &str = "swarmgate_observe_failures_total";
/// Polls of the tasks, by result (`same`, `changed`, `failed`).
pub const TASK_PROBES_TOTAL: &str = "swarmgate_task_probes_total";
/// Reasons for which passes were requested.
pub const WAKES_TOTAL: &str = "swarmgate_wakes_total";
/// Current findings, by code and severity.
pub const FINDINGS: &str = "swarmgate_findings";
/// Routes, by cluster and state.
pub const ROUTES: &str = "swarmgate_routes";
/// Proxy tasks, by cluster and whether they run the newest configuration.
pub const PROXIES: &str = "swarmgate_proxies";
/// Proxy tasks that resolve endpoints by name, because the control plane was silent for longer than allowed, by cluster.
pub const PROXIES_ON_NAMES: &str = "swarmgate_proxies_on_names";
/// How often the proxy tasks of a cluster have switched to names since they started, by cluster.
pub const PROXY_FALLBACKS: &str = "swarmgate_proxy_fallbacks";
/// Changes of configuration that the proxy tasks of a cluster have made since they started, by cluster and by how they were
/// applied: with a reload of the engine (`reload`), or while it ran (`runtime`).
pub const PROXY_CHANGES: &str = "swarmgate_proxy_changes";
/// Workers of a cluster's proxies that are finishing connections of earlier configurations.
pub const RETIRING_WORKERS: &str = "swarmgate_retiring_workers";
/// Such workers that were ended together with their connections, since the start of the current proxies.
pub const ENDED_WORKERS: &str = "swarmgate_ended_workers";
/// The space that request bodies take on the volumes of a cluster's proxies.
pub const BODY_SPOOL_BYTES: &str = "swarmgate_body_spool_bytes";
/// Conditions, by cluster and type: 1 true, 0 false, -1 unknown.
pub const CONDITION: &str = "swarmgate_condition";
/// When the first certificate of a cluster expires, in seconds since 1970. The status says which one it is: metrics are
/// open to all, and name nothing but clusters.
pub const CERTIFICATE_NOT_AFTER: &str = "swarmgate_certificate_not_after_timestamp_seconds";
/// Whether the event stream is considered alive.
pub const EVENTS_ALIVE: &str = "swarmgate_events_alive";
/// Always 1, with the version as a label.
pub const BUILD_INFO: &str = "swarmgate_build_info";
/// Requests to the Docker API, by method and path (counted in `docker`).
pub const DOCKER_REQUESTS_TOTAL: &str = "swarmgate_docker_requests_total";
/// Bytes of answers of the Docker API (counted in `docker`).
pub const DOCKER_RESPONSE_BYTES_TOTAL: &str = "swarmgate_docker_response_bytes_total";

/// Upper bounds of the duration histograms: a pass takes milliseconds, a stuck API call up to its deadline.
const DURATION_BUCKETS_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Installs the recorder of this process and describes every metric.
///
/// # Errors
/// Only when a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), DURATION_BUCKETS_SECONDS)?
        .install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Registers the description and unit of every metric.
fn describe() {
    describe_counter!(WRITES_TOTAL, Unit::Count, "Writes to the Swarm, by kind of step and outcome");
    describe_counter!(PASS_TOTAL, Unit::Count, "Reconcile passes, by cluster and result");
    describe_histogram!(PASS_DURATION_SECONDS, Unit::Seconds, "Duration of reconcile passes, by cluster");
    describe_gauge!(SNAPSHOT_AGE_SECONDS, Unit::Seconds, "Time since the last complete read of the Swarm");
    describe_histogram!(OBSERVE_DURATION_SECONDS, Unit::Seconds, "Duration of complete reads of the Swarm");
    describe_counter!(OBSERVE_FAILURES_TOTAL, Unit::Count, "Failed reads of the Swarm");
    describe_counter!(TASK_PROBES_TOTAL, Unit::Count, "Quick checks of the tasks, by result");
    describe_counter!(WAKES_TOTAL, Unit::Count, "Triggers of reconcile passes, by kind");
    describe_gauge!(FINDINGS, Unit::Count, "Current findings, by code and severity");
    describe_gauge!(ROUTES, Unit::Count, "Routes, by cluster and state");
    describe_gauge!(PROXIES, Unit::Count, "Proxy tasks, by cluster and whether they run the newest configuration");
    describe_gauge!(
        PROXIES_ON_NAMES,
        Unit::Count,
        "Proxy tasks that find endpoints by name because the control plane was silent, by cluster"
    );
    describe_gauge!(PROXY_FALLBACKS, Unit::Count, "How often the running proxy tasks have switched to names, by cluster");
    describe_gauge!(
        PROXY_CHANGES,
        Unit::Count,
        "Changes of configuration since the running proxy tasks started, by cluster and by how they were applied: reload or runtime"
    );
    describe_gauge!(RETIRING_WORKERS, Unit::Count, "Workers that are finishing connections of earlier configurations, by cluster");
    describe_gauge!(ENDED_WORKERS, Unit::Count, "Workers of earlier configurations that were stopped with open connections, by cluster");
    describe_gauge!(BODY_SPOOL_BYTES, Unit::Bytes, "Space that request bodies take on the volumes of the proxies, by cluster");
    describe_gauge!(CONDITION, "Conditions, by cluster and type: 1 true, 0 false, -1 unknown");
    describe_gauge!(CERTIFICATE_NOT_AFTER, Unit::Seconds, "When the first certificate of a cluster expires, in seconds since 1970");
    describe_gauge!(EVENTS_ALIVE, "1 while the event stream appears to be alive, otherwise 0");
    describe_gauge!(BUILD_INFO, "Always 1; the version is a label");
    describe_counter!(DOCKER_REQUESTS_TOTAL, Unit::Count, "Requests to the Docker API, by method and path");
    describe_counter!(DOCKER_RESPONSE_BYTES_TOTAL, Unit::Bytes, "Bytes received from the Docker API");
}

/// A gauge with its labels, which must be reset to zero when the status no longer contains it.
type Series = (&'static str, Vec<(&'static str, String)>);

/// Exports a status report as gauges. Remembers what was exported, so that what disappeared reads zero instead of its last
/// value.
#[derive(Debug, Default)]
pub struct StatusGauges {
    shown: Mutex<BTreeSet<Series>>,
}

impl StatusGauges {
    /// Sets every gauge that is derived from the status.
    pub fn show(&self, status: &StatusReport) {
        let values = series_of(status);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, labels) in shown.iter().filter(|series| !values.iter().any(|(known, _)| known == *series)) {
            // A certificate that is no longer used does not expire in 1970.
            let gone = if *name == CERTIFICATE_NOT_AFTER { f64::NAN } else { 0.0 };
            metrics::gauge!(*name, labels).set(gone);
        }
        for ((name, labels), value) in &values {
            metrics::gauge!(*name, labels).set(*value);
        }
        *shown = values.into_iter().map(|(series, _)| series).collect();
    }
}

fn series_of(status: &StatusReport) -> Vec<(Series, f64)> {
    let mut counts: std::collections::BTreeMap<Series, f64> = std::collections::BTreeMap::new();
    let mut add = |name: &'static str, labels: Vec<(&'static str, String)>| *counts.entry((name, labels)).or_default() += 1.0;
    for finding in status.findings.iter().chain(status.clusters.values().flat_map(|cluster| &cluster.findings)) {
        let severity = format!("{:?}", finding.severity).to_lowercase();
        add(FINDINGS, vec![("code", finding.code.to_string()), ("severity", severity)]);
    }
    for (name, cluster) in &status.clusters {
        for route in &cluster.routes {
            add(ROUTES, vec![("cluster", name.clone()), ("state", format!("{:?}", route.state))]);
        }
        for proxy in &cluster.proxies {
            add(
                PROXIES,
                vec![
                    ("cluster", name.clone()),
                    ("up_to_date", proxy.up_to_date.map_or_else(|| "unknown".to_owned(), |current| current.to_string())),
                ],
            );
        }
    }
    counts.into_iter().chain(plain_series(status)).collect()
}

fn plain_series(status: &StatusReport) -> Vec<(Series, f64)> {
    let mut values = vec![((EVENTS_ALIVE, vec![]), if status.operator.events_alive { 1.0 } else { 0.0 })];
    if let Some(taken) = status.operator.last_snapshot_at {
        values.push(((SNAPSHOT_AGE_SECONDS, vec![]), status.generated_at.duration_since(taken).as_secs_f64().max(0.0)));
    }
    for (name, cluster) in &status.clusters {
        for condition in &cluster.conditions {
            let value = match condition.status {
                ConditionStatus::True => 1.0,
                ConditionStatus::False => 0.0,
                ConditionStatus::Unknown => -1.0,
            };
            values.push(((CONDITION, vec![("cluster", name.clone()), ("type", condition.kind.to_string())]), value));
        }
        values.extend(first_expiry(name, cluster));
        values.extend(fallbacks(name, cluster));
        values.extend(loads(name, cluster));
    }
    values
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts stay far below 2^53")]
fn fallbacks(name: &str, cluster: &ClusterStatus) -> [(Series, f64); 2] {
    // The sum of zero floats is -0.
    let on_names = cluster.proxies.iter().filter(|proxy| proxy.is_on_names()).count() as f64;
    let times = cluster.proxies.iter().filter_map(|proxy| proxy.fallbacks).fold(0, u64::saturating_add) as f64;
    let labels = || vec![("cluster", name.to_owned())];
    [((PROXIES_ON_NAMES, labels()), on_names), ((PROXY_FALLBACKS, labels()), times)]
}

/// The sums over a cluster's proxies, as far as these have reported.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; below 2^53 nothing is lost")]
fn loads(name: &str, cluster: &ClusterStatus) -> [(Series, f64); 5] {
    let sum = |of: fn(&ProxyTaskReport) -> Option<u64>| cluster.proxies.iter().filter_map(of).fold(0, u64::saturating_add) as f64;
    let series = |metric: &'static str| (metric, vec![("cluster", name.to_owned())]);
    let changes = |applied: &str| (PROXY_CHANGES, vec![("cluster", name.to_owned()), ("applied", applied.to_owned())]);
    [
        (changes("reload"), sum(|proxy| proxy.reloads)),
        (changes("runtime"), sum(|proxy| proxy.runtime_changes)),
        (series(RETIRING_WORKERS), sum(|proxy| proxy.retiring_workers.map(u64::from))),
        (series(ENDED_WORKERS), sum(|proxy| proxy.ended_workers)),
        (series(BODY_SPOOL_BYTES), sum(|proxy| proxy.body_spool_bytes)),
    ]
}

fn first_expiry(name: &str, cluster: &ClusterStatus) -> Option<(Series, f64)> {
    let tls = cluster.routes.iter().filter_map(|route| route.tls.as_ref());
    let first = tls.filter_map(|tls| tls.not_after).min()?;
    Some(((CERTIFICATE_NOT_AFTER, vec![("cluster", name.to_owned())]), first.as_duration().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Finding, FindingCase, FindingCode, OperatorStatus, Subject, cases};

    #[test]
    fn findings_are_counted_by_their_code() {
        let finding = |case: FindingCase, name: &str| Finding::new(case, Subject::Service(name.to_owned()), "a message");
        let operator = OperatorStatus {
            version: "1".to_owned(),
            instance: "i".to_owned(),
            last_snapshot_at: None,
            snapshot_error: None,
            events_alive: true,
            writes_total: 0,
        };
        let findings = vec![
            finding(cases::AmbiguousNetwork.into(), "a"),
            finding(cases::AmbiguousNetwork.into(), "b"),
            finding(cases::UnknownLabel::Other.into(), "a"),
        ];
        let (api_version, generated_at) = ("swarmgate/v1".to_owned(), jiff::Timestamp::UNIX_EPOCH);
        let status = StatusReport { api_version, generated_at, operator, clusters: std::collections::BTreeMap::new(), findings };
        let series = series_of(&status);
        let count = |code: FindingCode| {
            let labels = vec![("code", code.to_string()), ("severity", "warning".to_owned())];
            series.iter().find(|((name, given), _)| *name == FINDINGS && *given == labels).map(|(_, value)| *value)
        };
        assert_eq!((count(FindingCode::AmbiguousNetwork), count(FindingCode::UnknownLabel)), (Some(2.0), Some(1.0)));
        assert_eq!(count(FindingCode::Drift), None);
    }

    #[test]
    fn metric_labels_name_only_clusters() {
        let status = include_str!("../../tests/explain/running/status.json");
        let status: StatusReport = serde_json::from_str(status).unwrap();
        let series = series_of(&status);
        assert!(series.iter().any(|((name, _), _)| *name == CERTIFICATE_NOT_AFTER), "the status has certificates");
        assert!(series.iter().all(|(_, value)| *value != 0.0 || value.is_sign_positive()), "no value is -0: {series:?}");
        for ((name, labels), _) in series {
            for (key, value) in labels {
                let fine = match key {
                    "cluster" => status.clusters.contains_key(&value),
                    // Fixed words.
                    "code" | "severity" | "state" | "up_to_date" | "type" | "applied" => true,
                    _ => false,
                };
                assert!(fine, "{name} has the label {key} = {value}");
            }
        }
    }
}
