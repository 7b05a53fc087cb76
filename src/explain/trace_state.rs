//! One walk of a request through one cluster: what it has met so far, and the queries that every end of a walk needs.

use std::collections::BTreeSet;

use super::client_identity::EffectiveRequest;
use super::explanation::{RefusedTarget, TraceOutcome, TraceStep};
use super::request::Request;
use super::route_match::{HandshakeRefusal, RoutingDecision, decide};
use super::{Sources, findings, route_backend, stale_endpoints};
use crate::intent::cluster::Cluster;
use crate::render::Materials;
use crate::report::{Finding, FindingCode, RouteKind, RouteReport, RouteState, Subject};
use crate::route::{Backend, TlsBinding};
use crate::translate::{RefusedTls, Translation, refused_tls};
use crate::types::{HostKey, HostPattern, Port, RouteKey, Scheme, SiteUrl};

/// What to do about a certificate that cannot be used.
pub(super) const NEW_CERTIFICATE: &str = "Create a new secret with a valid certificate, and set com.docker.lb.ssl_cert to its name.";

/// What to do about a secret that does not exist.
const CREATE_SECRET: &str = "Create it with `docker secret create`, or use its full name.";
/// The port of URLs without one.
const HTTPS_PORT: u16 = 443;

/// One walk and what it has met so far.
pub(super) struct TraceState<'a> {
    pub sources: &'a Sources<'a>,
    pub cluster: &'a Cluster,
    pub request: &'a Request,
    pub effective: EffectiveRequest,
    pub translation: &'a Translation,
    pub materials: &'a Materials,
    pub steps: Vec<TraceStep>,
    pub pattern: Option<HostPattern>,
    pub route: Option<RouteReport>,
}

impl TraceState<'_> {
    /// The newest report about a route: that of the operator, which knows the proxies, or else that of the translation.
    pub fn report(&self, key: &RouteKey, kind: RouteKind) -> Option<RouteReport> {
        let is_it = |route: &&RouteReport| route.host == key.host && route.path == key.path && route.kind == kind;
        let known = self.translation.routes.iter().find(is_it)?;
        Some(self.sources.newest(&self.cluster.name, known))
    }

    /// The services of a pool that get requests.
    pub fn names_of(&self, pool: &Backend) -> Vec<String> {
        stale_endpoints::answering_services(self.sources, self.cluster, pool)
    }

    /// Describes the pool's services and endpoints; the error is the outcome if none can answer.
    pub fn pool(&mut self, pool: &Backend, answer: &str) -> Result<(), TraceOutcome> {
        route_backend::trace_services(pool, self.route.as_ref(), &mut self.steps);
        let status = (answer == "503").then_some(503);
        if let Some(route) = self.route.as_ref().filter(|route| route.state == RouteState::Unverifiable) {
            let reason = route.reason.clone().unwrap_or_else(|| "the application's certificate cannot be checked".to_owned());
            let hint = "Create a new config with valid CA certificates, and set com.docker.lb.ssl_backend_tls_verify to its name.";
            let services = pool.services.iter().map(|service| service.name.to_string()).collect();
            let remedy = findings::remedy_for_authority(self.sources, self.cluster, &services).unwrap_or_else(|| hint.to_owned());
            return Err(TraceOutcome::not_served(status, reason, remedy));
        }
        if let Some(verification) = pool.protocol.tls.as_ref().filter(|verification| !self.materials.can_verify(verification)) {
            let name =
                if let crate::route::Verification::Authority(authority) = verification { authority.name.as_str() } else { "the system" };
            let reason =
                format!("the application's certificate cannot be checked, because the service has no access to a secret or config {name}");
            let hint = "Create it, or correct com.docker.lb.ssl_backend_tls_verify.";
            return Err(TraceOutcome::not_served(status, reason, self.remedy_for_material(&[name], hint)));
        }
        let quarantined = self.route.as_ref().is_some_and(|route| route.state == RouteState::Quarantined);
        if quarantined || pool.services.iter().all(|service| service.endpoints.is_empty()) {
            return Err(self.nobody_behind(pool, status));
        }
        let answer = if status.is_some() { "the answer is 503" } else { answer };
        stale_endpoints::judge((self.sources, self.cluster), pool, (status, answer), &mut self.steps)
    }

    /// The remedy of the finding about a route without endpoints, which knows what kind of service it is.
    fn remedy_of_no_endpoints(&self, route: &RouteReport, why: &str) -> Option<String> {
        let (oldest, end) = (Subject::Service(route.services.first()?.service.clone()), format!(": {why}"));
        let about = |finding: &&Finding| finding.code == FindingCode::NoEndpoints && finding.subject == oldest;
        let is_it = |finding: &&Finding| about(finding) && finding.message.ends_with(&end);
        self.translation.findings.iter().find(is_it).map(|finding| finding.remedy.clone())
    }

    fn nobody_behind(&self, pool: &Backend, status: Option<u16>) -> TraceOutcome {
        if let Some(left_out) = self.route.as_ref().filter(|route| route.state == RouteState::Quarantined) {
            let reason = left_out.reason.clone().unwrap_or_else(|| "the engine rejects it".to_owned());
            let remedy = "Correct what the engine's error message names; the route is tried again when it changes.";
            return TraceOutcome::not_served(status, format!("only this route is left out: {reason}"), remedy);
        }
        let why = self.route.as_ref().and_then(|route| route.reason.clone()).unwrap_or_else(|| "no usable endpoint".to_owned());
        // Closed services are only in the report.
        let reported = || self.route.iter().flat_map(|route| &route.services).map(|service| service.service.as_str());
        let names: Vec<&str> = if pool.services.is_empty() {
            reported().collect()
        } else {
            pool.services.iter().map(|service| service.name.as_str()).collect()
        };
        let names = names.join(" and ");
        let remedy_of_finding = self.route.as_ref().and_then(|route| self.remedy_of_no_endpoints(route, &why));
        let excluded = self.route.iter().flat_map(|route| &route.services).any(|service| !service.endpoints.is_empty());
        let remedy = if let Some(remedy_of_finding) = remedy_of_finding {
            remedy_of_finding
        } else if self.route.as_ref().is_some_and(|route| route.state == RouteState::Pending) {
            "Wait until every proxy has the network; `swarmgate status` shows what is pending.".to_owned()
        } else if excluded {
            "See the excluded endpoints and the findings.".to_owned()
        } else {
            format!("Scale it up, or run `docker service ps {}` to see why its tasks are not running.", names.replace(" and ", " "))
        };
        TraceOutcome::not_served(status, format!("{names} cannot answer: {why}"), remedy)
    }

    /// Why the HTTPS request to which this one is redirected gets no answer, if TLS is refused for it.
    pub fn refused_target(&self) -> Option<RefusedTarget> {
        let refused = refused_tls(self.cluster, &self.translation.table, self.route.as_ref()?)?;
        let remedy = match &refused {
            RefusedTls::NoCertificate => "Add com.docker.lb.ssl_cert (or ssl_passthrough), or remove com.docker.lb.ssl_only.".to_owned(),
            RefusedTls::NoObject(binding) => self.remedy_for_binding(binding),
            RefusedTls::Unusable(..) => NEW_CERTIFICATE.to_owned(),
        };
        Some(RefusedTarget { reason: refused.to_string(), remedy })
    }

    /// Why nothing answers at the target of a redirect, if it is a host of this cluster and TLS is refused for it.
    pub fn refused_at(&self, target: &SiteUrl, location: &str) -> Option<RefusedTarget> {
        let table = &self.translation.table;
        let published = table.https_published.map(Port::get);
        let leads_here = target.scheme == Scheme::Https && published == Some(target.port.map_or(HTTPS_PORT, Port::get));
        let request = Request::parse(location).ok().filter(|_| leads_here && !self.cluster.has_front())?;
        let (host, refused) = match decide(table, self.materials, &request, Scheme::Https) {
            RoutingDecision::Refused(HandshakeRefusal::PlainOnly(host)) => (host, RefusedTls::NoCertificate),
            RoutingDecision::Refused(HandshakeRefusal::BadMaterial(host, binding)) => (host, RefusedTls::NoObject(binding)),
            RoutingDecision::Match(host, at, _) => {
                let binding = at.tls.as_ref()?;
                let state = self.sources.tls_report(&self.cluster.name, &HostKey::from(&host), binding)?.state.clone();
                if state.is_usable() {
                    return None;
                }
                (host, RefusedTls::Unusable(binding, state))
            }
            _ => return None,
        };
        let remedy = match &refused {
            RefusedTls::NoCertificate => {
                format!("Add com.docker.lb.ssl_cert (or ssl_passthrough) to a service of {host}, or remove the redirect.")
            }
            RefusedTls::NoObject(binding) => {
                let missing: Vec<_> = binding.missing().collect();
                let behind = self.services_with("hosts", &host).into_iter().collect();
                findings::remedy_for_material(self.translation, &behind, &missing).unwrap_or_else(|| CREATE_SECRET.to_owned())
            }
            RefusedTls::Unusable(..) => NEW_CERTIFICATE.to_owned(),
        };
        Some(RefusedTarget { reason: refused.to_string(), remedy })
    }

    /// The remedy for a certificate with objects that do not exist, or that are not granted.
    pub fn remedy_for_binding(&self, binding: &TlsBinding) -> String {
        let missing: Vec<_> = binding.missing().collect();
        self.remedy_for_material(&missing, CREATE_SECRET)
    }

    /// The remedy for missing material: an object that exists but is not granted need not be replaced.
    pub fn remedy_for_material(&self, names: &[&str], hint: &str) -> String {
        let behind = self.route.iter().flat_map(|route| &route.services).map(|service| service.service.clone());
        let behind: BTreeSet<String> = behind.chain(self.pattern.iter().flat_map(|host| self.services_with("hosts", host))).collect();
        findings::remedy_for_material(self.translation, &behind, names).unwrap_or_else(|| hint.to_owned())
    }

    /// The services of the cluster that have a redirect or rewrite label for a host.
    pub fn services_with(&self, label: &str, host: &HostPattern) -> Vec<String> {
        let key = crate::translate::label_key(label);
        let has = |service: &&crate::swarm::Service| {
            let names = service
                .labels
                .get(&crate::translate::label_key("hosts"))
                .is_some_and(|hosts| hosts.split(',').any(|item| HostPattern::parse(item.trim()).is_ok_and(|item| item == *host)));
            names && service.labels.contains_key(&key) && crate::translate::is_claimed_by(self.cluster, service)
        };
        self.sources.snapshot.services.values().filter(has).map(|service| service.name.clone()).collect()
    }
}
