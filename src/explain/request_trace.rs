//! The walk of one request through one cluster after another, readable from top to bottom.

use std::collections::BTreeSet;

use super::client_identity::{self, EffectiveRequest};
use super::explanation::{ClusterTrace, Explanation, TraceOutcome, TraceSubject};
use super::request::Request;
use super::route_match::{HandshakeRefusal, RoutingDecision, decide};
use super::trace_state::{NEW_CERTIFICATE, TraceState};
use super::{
    NotFound, Sources, findings, held_back_labels, listener, path_outcome, printable, route_backend, runtime_state, stale_endpoints, step,
};
use crate::intent::cluster::Cluster;
use crate::intent::suggest::nearest;
use crate::render::{Behavior, Materials, behavior};
use crate::report::{Finding, RouteKind, RouteReport, RouteState, Severity, TlsState};
use crate::route::{Backend, DefaultBackend, PathAction, TlsBinding};
use crate::translate::translate;
use crate::types::{HostKey, HostPattern, RouteKey, Scheme};
use listener::Fit;

/// Explains a request in one cluster, or compares all clusters.
pub fn explain(sources: &Sources<'_>, request: &Request, cluster: Option<&str>) -> Result<Explanation, NotFound> {
    let mut walks: Vec<(Fit, ClusterTrace)> = chosen(sources, cluster)?.into_iter().map(|one| trace(sources, one, request)).collect();
    walks.sort_by(|(a, trace), (b, other)| (a, &trace.cluster).cmp(&(b, &other.cluster)));
    let best = walks.first().map(|(fit, _)| *fit);
    // If a cluster publishes exactly this port, the request is not meant for the others.
    for (fit, trace) in &mut walks {
        trace.listens = *fit != Fit::None && Some(*fit) == best;
    }
    let clusters: Vec<ClusterTrace> = walks.into_iter().map(|(_, trace)| trace).collect();
    let reached = clusters.iter().any(|trace| trace.listens && trace.outcome.is_reached());
    Ok(Explanation { url: request.url(), reached, clusters })
}

fn chosen<'a>(sources: &Sources<'a>, cluster: Option<&str>) -> Result<Vec<&'a Cluster>, NotFound> {
    let names = sources.clusters.iter().map(|cluster| cluster.name.as_str());
    let Some(name) = cluster else {
        let none = || NotFound::new("cluster", "to explain with", names.clone());
        return if sources.clusters.is_empty() { Err(none()) } else { Ok(sources.clusters.iter().collect()) };
    };
    let found = sources.clusters.iter().find(|cluster| cluster.name.as_str() == name);
    found.map(|cluster| vec![cluster]).ok_or_else(|| NotFound::new("cluster", name, names))
}

fn trace(sources: &Sources<'_>, cluster: &Cluster, request: &Request) -> (Fit, ClusterTrace) {
    let mut translation = translate(cluster, sources.snapshot);
    translation.table = runtime_state::routes_in_force(sources, cluster, translation.table);
    let materials = Materials::assumed(&translation.table);
    let mut trace = TraceState {
        sources,
        cluster,
        request,
        effective: EffectiveRequest::new(cluster.engine, &cluster.settings, request),
        translation: &translation,
        materials: &materials,
        steps: Vec::new(),
        pattern: None,
        route: None,
    };
    let mut findings = Vec::new();
    let outcome = trace.through(&mut findings).unwrap_or_else(|end| end);
    let concerned = trace.concerned(&outcome);
    trace.steps.extend(held_back_labels::steps(sources, concerned.iter()));
    findings.extend(findings::findings_about(sources, cluster, &translation, &concerned));
    findings.retain(|finding| !outcome.is_reached() || finding.severity != Severity::Info);
    dedup(&mut findings);
    let TraceState { steps, route, .. } = trace;
    let caveat = super::custom_template::caveat(sources, cluster, &translation);
    let trace = ClusterTrace { cluster: cluster.name.to_string(), listens: true, steps, route, outcome, caveat, findings };
    (listener::fit(cluster, request), trace)
}

/// Removes duplicates, keeping the order.
fn dedup(findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    findings.retain(|finding| seen.insert(finding.clone()));
}

impl TraceState<'_> {
    /// The error is the outcome if the walk ends before an answer.
    fn through(&mut self, findings: &mut Vec<Finding>) -> Result<TraceOutcome, TraceOutcome> {
        listener::listener(self.cluster, self.request, &mut self.steps)?;
        client_identity::trace_client(&self.cluster.settings, self.request, &self.effective, &mut self.steps);
        // The rest of the walk is worth knowing even if there is no proxy.
        let proxies = listener::proxies(self.sources, self.cluster, &mut self.steps);
        let answer = self.answer(findings);
        proxies.and(answer)
    }

    /// How the cluster's engine handles requests.
    pub fn behavior(&self) -> &'static dyn Behavior {
        behavior(self.translation.table.engine)
    }

    fn answer(&mut self, findings: &mut Vec<Finding>) -> Result<TraceOutcome, TraceOutcome> {
        match decide(&self.translation.table, self.materials, self.request, self.effective.scheme) {
            RoutingDecision::Refused(refusal) => Err(self.refused(&refusal, findings)),
            RoutingDecision::Passthrough(pattern, backend) => self.passthrough(&pattern, backend),
            RoutingDecision::BadPath(why) => {
                Err(TraceOutcome::not_served(Some(self.behavior().status_codes().bad_path), why, "Correct the URL."))
            }
            RoutingDecision::UnknownHost => Err(self.unknown_host(findings)),
            RoutingDecision::Default(default) => self.default_backend(default, findings),
            RoutingDecision::Match(pattern, host, matched) => {
                self.note_host(&pattern);
                if let Some(binding) = host.tls.as_ref().filter(|_| self.request.scheme == Scheme::Https) {
                    self.certificate(&HostKey::from(&pattern), binding)?;
                }
                self.route = self.report(&RouteKey::new(&pattern, &matched.path), RouteKind::Http);
                path_outcome::path_outcome(self, &pattern, host, &matched)
            }
        }
    }

    /// The services whose findings matter: those behind the route, or all of the host if there is no answer.
    fn concerned(&self, outcome: &TraceOutcome) -> BTreeSet<String> {
        let is_nobody = matches!(outcome, TraceOutcome::Nobody { .. });
        let behind = self.route.iter().filter(|_| !is_nobody).flat_map(|route| &route.services);
        let behind: BTreeSet<String> = behind.map(|service| service.service.clone()).collect();
        if outcome.is_reached() && !behind.is_empty() {
            return behind;
        }
        let of_host = self.pattern.iter().flat_map(|pattern| self.services_with("hosts", pattern));
        behind.iter().cloned().chain(of_host).collect()
    }

    fn note_host(&mut self, pattern: &HostPattern) {
        self.pattern = Some(pattern.clone());
        let message = if pattern.is_wildcard() {
            format!("{pattern}, which matches {}", self.request.host)
        } else {
            format!("{pattern}, published by exact name")
        };
        self.steps.push(step(TraceSubject::Host, message));
        for (service, why) in findings::rejected_services(self.sources, self.translation, &self.request.host) {
            self.steps.push(step(TraceSubject::Host, format!("{service} also requests this host, but is not admitted: {why}")));
        }
    }

    /// Describes a certificate; the operator knows more than its name. The error: it cannot be used.
    fn certificate(&mut self, host: &HostKey, binding: &TlsBinding) -> Result<(), TraceOutcome> {
        let report = self.sources.tls_report(&self.cluster.name, host, binding).cloned();
        let state = report.as_ref().map_or(TlsState::Unknown, |report| report.state.clone());
        let time = |at: Option<jiff::Timestamp>, message: &str| at.map_or_else(String::new, |at| format!(", {message} {at:.0}"));
        let until = report.as_ref().map_or_else(String::new, |tls| match tls.not_before {
            Some(from) => time(Some(from), "valid from"),
            None => time(tls.not_after, if state == TlsState::Expired { "on" } else { "expires" }),
        });
        let state_text = if state == TlsState::Unknown { "only a running operator knows whether it is valid" } else { state.as_str() };
        let key = if binding.key.is_some() { format!(", key in {}", binding.key_object().name) } else { String::new() };
        self.steps.push(step(TraceSubject::Tls, format!("certificate in secret {}{key}: {state_text}{until}", binding.certificate.name)));
        if state.is_usable() {
            return Ok(());
        }
        let reason = format!("the certificate of {host} cannot be used ({state}), so TLS is refused for this host");
        Err(TraceOutcome::not_served(None, reason, NEW_CERTIFICATE))
    }

    fn refused(&mut self, refusal: &HandshakeRefusal<'_>, findings: &mut Vec<Finding>) -> TraceOutcome {
        let refused = "the TLS handshake is refused";
        // On a connection that was opened for another host there is no handshake to refuse.
        let status = self.behavior().status_codes().misdirected;
        self.steps
            .push(step(TraceSubject::Tls, format!("refused; over a connection that was opened for another host, the answer is {status}")));
        match refusal {
            HandshakeRefusal::NoName => {
                let reason = format!("{refused}: a client that connects to an address sends no server name, so no certificate is chosen");
                TraceOutcome::not_served(None, reason, "Use a host name.")
            }
            HandshakeRefusal::UnknownHost => {
                let reason = format!("{refused}: {}", self.unpublished(findings));
                TraceOutcome::not_served(None, reason, self.remedy_for_host(findings))
            }
            HandshakeRefusal::PlainOnly(pattern) => {
                self.note_host(pattern);
                let reason = format!("{refused}: {pattern} is published over plain HTTP only");
                let instead = if self.note_redirect_here(pattern) { "remove com.docker.lb.ssl_only and use http" } else { "use http" };
                TraceOutcome::not_served(None, reason, format!("Add com.docker.lb.ssl_cert (or ssl_passthrough), or {instead}."))
            }
            HandshakeRefusal::BadMaterial(pattern, binding) => {
                self.note_host(pattern);
                self.note_redirect_here(pattern);
                let names = binding.missing().collect::<Vec<_>>().join(" and ");
                let reason = format!("{refused}: {pattern} has no certificate, because the service has no access to a secret {names}");
                TraceOutcome::not_served(None, reason, self.remedy_for_binding(binding))
            }
        }
    }

    /// Notes that plain HTTP leads to the same refused handshake. Returns whether it does.
    fn note_redirect_here(&mut self, pattern: &HostPattern) -> bool {
        let table = &self.translation.table;
        let host = table.hosts.get(pattern).filter(|_| !self.cluster.has_front());
        let matched = host.zip(self.request.path(table.engine).ok()).and_then(|(host, path)| host.path_match(Scheme::Http, &path));
        let leads_here = matched.is_some_and(|matched| matched.answer == PathAction::Https);
        if leads_here {
            let by = self.services_with("ssl_only", pattern).join(", ");
            let message = format!("plain HTTP is redirected to HTTPS (com.docker.lb.ssl_only of {by}), so it gets no answer either");
            self.steps.push(step(TraceSubject::Redirect, message));
        }
        leads_here
    }

    fn unknown_host(&mut self, findings: &mut Vec<Finding>) -> TraceOutcome {
        let reason = self.unpublished(findings);
        let remedy = self.remedy_for_host(findings);
        TraceOutcome::not_served(Some(503), reason, remedy)
    }

    /// States that the host is not published, and which services ask for it.
    fn unpublished(&mut self, findings: &mut Vec<Finding>) -> String {
        let host = printable(&self.request.host);
        let closed = self.is_closed();
        if let Some(pattern) = self.passed_through().filter(|_| !closed) {
            return format!("{pattern} is published over TLS only, which is passed through");
        }
        for claimant in findings::claimants(self.sources, self.cluster, self.translation, &self.request.host) {
            self.steps.push(step(TraceSubject::Host, format!("service {} requests {host}: {}", claimant.service, claimant.why)));
            findings.extend(claimant.findings);
        }
        if !closed && self.is_over_limit() {
            return format!(
                "{host} exceeds spec.limits of cluster {}, so the service that requests it is not published there",
                self.cluster.name
            );
        }
        if closed {
            return format!("{host} exceeds spec.limits of cluster {}, so the host is closed", self.cluster.name);
        }
        format!("no service publishes {host} in cluster {}", self.cluster.name)
    }

    /// Whether the host is closed because a service asked for too much.
    fn is_closed(&self) -> bool {
        let table = &self.translation.table;
        let known = |pattern: &HostPattern| table.passthrough.contains_key(pattern) || table.closed.contains(pattern);
        HostPattern::matching(&self.request.host).find(known).is_some_and(|pattern| table.closed.contains(&pattern))
    }

    /// Whether a service asks for exactly this host and exceeds its limit. If nothing else could answer there, the host is
    /// not closed.
    fn is_over_limit(&self) -> bool {
        let is_requested = |host: &HostKey| host.pattern().is_some_and(|host| host.as_str().eq_ignore_ascii_case(&self.request.host));
        let is_so = |route: &RouteReport| route.state == RouteState::OverLimit && is_requested(&route.host);
        self.translation.routes.iter().any(is_so)
    }

    fn passed_through(&self) -> Option<HostPattern> {
        HostPattern::matching(&self.request.host).find(|pattern| self.translation.table.passthrough.contains_key(pattern))
    }

    /// `findings` are the findings about the services that name the host.
    fn remedy_for_host(&self, findings: &[Finding]) -> String {
        if self.is_closed() || self.is_over_limit() {
            return "See the finding LimitExceeded of the service that requests it.".to_owned();
        }
        if self.passed_through().is_some() {
            return "Use https, or add com.docker.lb.ssl_only=true to redirect to it.".to_owned();
        }
        if let Some(remedy) = findings::remedy_for_labels(findings) {
            return remedy;
        }
        let hosts = self.translation.table.hosts.keys().chain(self.translation.table.passthrough.keys());
        match nearest(&self.request.host, hosts.map(HostPattern::as_str)) {
            Some(near) => format!("Did you mean {near}? Otherwise, publish it with com.docker.lb.hosts."),
            None => "Publish it with com.docker.lb.hosts on a service of this cluster.".to_owned(),
        }
    }

    fn passthrough(&mut self, pattern: &HostPattern, pool: &Backend) -> Result<TraceOutcome, TraceOutcome> {
        self.note_host(pattern);
        self.steps.push(step(TraceSubject::Tls, "passed through by server name: the application presents its own certificate"));
        self.route = self.report(&RouteKey::site(pattern), RouteKind::Passthrough);
        self.pool(pool, "the connection is closed")?;
        self.steps.push(step(TraceSubject::Protocol, "any protocol over TLS; proxies see no path and add no headers"));
        Ok(TraceOutcome::Application { services: self.names_of(pool), target: None })
    }

    fn default_backend(&mut self, default: &DefaultBackend, findings: &mut Vec<Finding>) -> Result<TraceOutcome, TraceOutcome> {
        let reason = self.unpublished(findings);
        self.steps.push(step(TraceSubject::Host, format!("{reason}; the default backend answers")));
        if let Some(binding) = default.tls.as_ref().filter(|_| self.request.scheme == Scheme::Https) {
            self.certificate(&HostKey::DefaultBackend, binding)?;
            stale_endpoints::judge_default_tls(self.sources, self.cluster, &mut self.steps)?;
        }
        self.route = self.report(&RouteKey::default_backend(), RouteKind::Http);
        if default.https_only && self.effective.scheme == Scheme::Http {
            return Ok(path_outcome::redirect_to_https(self));
        }
        self.pool(&default.backend, "503")?;
        route_backend::trace_protocol(&default.backend, &self.translation.table, &mut self.steps);
        Ok(TraceOutcome::Application { services: self.names_of(&default.backend), target: Some(self.request.target.clone()) })
    }
}
