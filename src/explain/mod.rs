//! Follows one request, or one service's labels, through documents and snapshot: who answers, or exactly why there is no
//! answer. Pure. Decides nothing itself: it uses the same translation, places and materials from which configurations are
//! rendered, and `tests/nginx/explain_agreement.rs` compares it with the real engine.

mod client_identity;
mod custom_template;
mod explanation;
mod explanation_text;
mod findings;
mod held_back_labels;
mod host_label_effects;
mod label_effects;
mod labels;
mod listener;
mod misleading_paths;
mod path_outcome;
mod pool_membership;
mod rendered_config;
mod request;
mod request_source;
mod request_trace;
mod route_backend;
mod route_match;
mod runtime_state;
mod service;
mod service_context;
mod stale_endpoints;
mod trace_state;

pub use client_identity::{EffectiveRequest, admitted};
pub use explanation::{ClusterTrace, Explanation, LabelEffect, RefusedTarget, ServiceExplanation, TraceOutcome, TraceStep, TraceSubject};
pub use held_back_labels::HeldBackLabels;
pub use rendered_config::{RenderError, RenderedConfig, configuration};
pub use request::{InvalidUrl, Request};
pub use request_source::{InvalidRequestSource, ProxyHeader, RequestSource};
pub use request_trace::explain;
pub use route_match::{HandshakeRefusal, RoutingDecision, decide};
pub use service::explain_service;

use crate::intent::cluster::Cluster;
use crate::intent::inactive_clusters::InactiveClusters;
use crate::report::{ClusterStatus, RouteReport, RouteState, StatusReport, TlsReport};
use crate::route::TlsBinding;
use crate::swarm::Snapshot;
use crate::types::{ClusterName, HostKey};

/// The input of an explanation.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The declared clusters.
    pub clusters: &'a [Cluster],
    /// The declared clusters without a valid document.
    pub inactive: &'a InactiveClusters,
    /// A complete snapshot of the Swarm, with the labels in use.
    pub snapshot: &'a Snapshot,
    /// The services whose current labels differ from those in use.
    pub held: &'a [HeldBackLabels],
    /// The report of a running operator: proxies, certificates. Without it nothing is known about either.
    pub status: Option<&'a StatusReport>,
}

impl Sources<'_> {
    fn status_of(&self, cluster: &ClusterName) -> Option<&ClusterStatus> {
        self.status.and_then(|status| status.clusters.get(cluster.as_str()))
    }

    /// A route as reported by a running operator, which knows proxies and certificates, with the endpoints of this snapshot.
    /// A route without endpoints is not served, whatever the operator knew.
    fn newest(&self, cluster: &ClusterName, known: &RouteReport) -> RouteReport {
        let name = |route: &RouteReport| (route.host.clone(), route.path.clone(), route.kind, route.target.clone());
        let reported = self.status_of(cluster).and_then(|status| status.routes.iter().find(|reported| name(reported) == name(known)));
        let reported = reported.unwrap_or(known);
        let newer = if reported.state == RouteState::Served { known } else { reported };
        // The labels may name another certificate by now.
        let names_same =
            |tls: &&TlsReport| known.tls.as_ref().is_some_and(|known| (&known.certificate, &known.key) == (&tls.certificate, &tls.key));
        let tls = reported.tls.as_ref().filter(names_same).or(known.tls.as_ref()).cloned();
        RouteReport { services: known.services.clone(), state: newer.state, reason: newer.reason.clone(), tls, ..reported.clone() }
    }

    /// What the running operator knows about this certificate of a host. Different objects can have the same name, so the host
    /// matters, too; and the operator may still know another certificate of the host.
    fn tls_report(&self, cluster: &ClusterName, host: &HostKey, binding: &TlsBinding) -> Option<&TlsReport> {
        let of_host = self.status_of(cluster)?.routes.iter().filter(|route| route.host == *host);
        of_host.filter_map(|route| route.tls.as_ref()).find(|tls| is_about(tls, binding))
    }
}

/// Whether a report is about this certificate of its host.
fn is_about(tls: &TlsReport, binding: &TlsBinding) -> bool {
    tls.certificate == binding.certificate.name.as_str() && tls.key == binding.key_object().name.as_str()
}

/// There is no object of that name, or none at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(String);

impl NotFound {
    fn new<'a>(kind: &'static str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Self {
        let nearest = crate::intent::suggest::nearest(name, known.clone());
        let all: Vec<&str> = known.collect();
        let hint = match nearest {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None if all.is_empty() => format!("; no {kind} exists"),
            None => format!("; existing names: {}", some_of(&all)),
        };
        Self(format!("there is no {kind} {}{hint}", printable(name)))
    }

    fn any_cluster() -> Self {
        Self("no cluster is declared".to_owned())
    }
}

/// The first names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_MAX { format!("{shown} and {} more", names.len() - NAMES_MAX) } else { shown }
}

fn step(about: TraceSubject, says: impl Into<String>) -> TraceStep {
    TraceStep { about, says: says.into() }
}

/// The maximum number of names listed as examples.
const NAMES_MAX: usize = 5;

/// External text, without control characters and at most one line long.
fn printable(text: &str) -> String {
    crate::types::excerpt(text, 300)
}

/// A whole line without control characters.
fn printable_line(text: &str) -> String {
    crate::types::visible(text)
}

#[cfg(test)]
mod tests {
    use super::NotFound;

    #[test]
    fn an_unknown_name_lists_a_few_existing_ones_and_counts_the_others() {
        let message = |known: &[&str]| NotFound::new("cluster", "zzz", known.iter().copied()).to_string();
        assert_eq!(message(&[]), "there is no cluster zzz; no cluster exists");
        assert_eq!(message(&["a", "b"]), "there is no cluster zzz; existing names: a, b");
        assert_eq!(message(&["a", "b", "c", "d", "e", "f", "g"]), "there is no cluster zzz; existing names: a, b, c, d, e and 2 more");
        assert_eq!(message(&["zzy"]), "there is no cluster zzz; did you mean zzy?");
    }
}
