//! What the extension found in certificates, keys and CAs, reported to the services that named them: each finding has its
//! service, label and secret, the hosts concerned and the remedy. Pure. Objects that do not exist are reported by the
//! translation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::StatusInput;
use crate::protocol::messages::{CertificateWarning, CertificateWarningKind, MaterialReport, MaterialState};
use crate::report::{Finding, FindingCase, RouteReport, RouteState, Subject, TlsState, cases};
use crate::route::{Backend, MaterialRef, RouteTable, TlsBinding, Verification};
use crate::swarm::Service;
use crate::translate::{TlsReferences, backend_of, label_key};
use crate::types::{HostKey, HostPattern};

/// How long before expiry a certificate produces a warning.
const WARNS_AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How many names a message lists before it gives only the number of the others.
const NAMES_MAX: usize = 5;

/// A label that names an object.
#[derive(Debug, Clone, Copy)]
enum ReferenceLabel {
    Certificate,
    Key,
    Authority,
}

impl ReferenceLabel {
    fn key(self) -> String {
        label_key(match self {
            Self::Certificate => "ssl_cert",
            Self::Key => "ssl_key",
            Self::Authority => "ssl_backend_tls_verify",
        })
    }

    fn reference(self, references: &TlsReferences) -> Option<&MaterialRef> {
        match self {
            Self::Certificate => references.certificate.as_ref(),
            Self::Key => references.key.as_ref(),
            Self::Authority => references.authority.as_ref(),
        }
    }
}

/// Completes the TLS details of routes.
pub fn annotate(seen: &StatusInput<'_>, routes: &mut [RouteReport]) {
    let (pairs, authorities) = (pairs(seen), Authorities::of(seen));
    let bindings: BTreeMap<HostKey, &TlsBinding> = seen.desired.table.bindings().collect();
    for route in routes {
        let report = bindings.get(&route.host).and_then(|binding| pairs.get(&objects(binding)));
        if let (Some(tls), Some(report)) = (&mut route.tls, report) {
            tls.state = tls_state(report.state);
            (tls.not_before, tls.not_after) = (report.not_before, report.not_after);
        }
        if let Some(reason) = backend_of(&seen.desired.table, route).and_then(|backend| unverifiable(&authorities, backend)) {
            (route.state, route.reason) = (RouteState::Unverifiable, Some(reason));
        }
    }
}

/// All findings about the material.
pub fn findings(seen: &StatusInput<'_>) -> Vec<Finding> {
    let table = &seen.desired.table;
    let mut hosts = BTreeMap::<&TlsBinding, Vec<HostKey>>::new();
    for (host, binding) in table.bindings() {
        hosts.entry(binding).or_default().push(host);
    }
    let pairs = pairs(seen);
    let about = hosts.iter().flat_map(|(binding, hosts)| about_pair(seen, &pairs, binding, hosts));
    about.chain(about_authorities(seen, table)).collect()
}

/// Why applications' identities cannot be verified, if so.
fn unverifiable(authorities: &Authorities<'_>, backend: &Backend) -> Option<String> {
    let verification = backend.protocol.tls.as_ref()?;
    let name = match verification {
        Verification::Off => return None,
        Verification::System => "the system's root certificates",
        Verification::Authority(authority) => authority.name.as_str(),
    };
    let what = match authorities.report_on(verification)?.state {
        MaterialState::Good | MaterialState::Awaited => return None,
        MaterialState::HoldsKey => TlsState::HoldsKey.to_string(),
        state => format!("is {}", tls_state(state)),
    };
    Some(format!("the application's certificate cannot be verified: {name} {what}"))
}

/// The extension's findings about the roots against which applications are verified.
struct Authorities<'a> {
    named: BTreeMap<ReferencedObject<'a>, &'a MaterialReport>,
    roots: Option<&'a MaterialReport>,
}

impl<'a> Authorities<'a> {
    fn of(seen: &StatusInput<'a>) -> Self {
        // Findings about the system's roots are reported where they belong.
        let is_of_roots = |report: &&MaterialReport| report.certificate.starts_with('/');
        let all = || reports(seen).iter().filter(|report| report.key.is_none());
        Self { named: all().map(|report| (certificate(report), report)).collect(), roots: all().find(is_of_roots) }
    }

    fn report_on(&self, verification: &'a Verification) -> Option<&'a MaterialReport> {
        match verification {
            Verification::Off => None,
            Verification::System => self.roots,
            Verification::Authority(authority) => self.named.get(&object(authority)).copied(),
        }
    }
}

fn reports<'a>(seen: &StatusInput<'a>) -> &'a [MaterialReport] {
    seen.report.map_or(&[], |received| &received.report.material)
}

/// An object by its name, and by its id unless it may not be used: a service that may not use an object gets none of the
/// findings reported to those that may.
type ReferencedObject<'a> = (&'a str, Option<&'a str>);
/// The extension's findings about certificates, by certificate and key.
type Pairs<'a> = BTreeMap<[ReferencedObject<'a>; 2], &'a MaterialReport>;

fn pairs<'a>(seen: &StatusInput<'a>) -> Pairs<'a> {
    let key = |report: &'a MaterialReport| Some((report.key.as_deref()?, report.key_id.as_deref()));
    reports(seen).iter().filter_map(|report| Some(([certificate(report), key(report)?], report))).collect()
}

fn certificate(report: &MaterialReport) -> ReferencedObject<'_> {
    (&report.certificate, report.certificate_id.as_deref())
}

fn object(named: &MaterialRef) -> ReferencedObject<'_> {
    (named.name.as_str(), named.id.as_deref())
}

fn objects(binding: &TlsBinding) -> [ReferencedObject<'_>; 2] {
    [object(&binding.certificate), object(binding.key_object())]
}

fn tls_state(state: MaterialState) -> TlsState {
    match state {
        MaterialState::Good => TlsState::Good,
        MaterialState::Awaited => TlsState::Awaited,
        MaterialState::Missing => TlsState::Missing,
        MaterialState::NotACertificate => TlsState::NotACertificate,
        MaterialState::NotAKey => TlsState::NotAKey,
        MaterialState::Mismatch => TlsState::Mismatch,
        MaterialState::Expired => TlsState::Expired,
        MaterialState::NotYetValid => TlsState::NotYetValid,
        MaterialState::HoldsKey => TlsState::HoldsKey,
    }
}

fn about_pair(seen: &StatusInput<'_>, pairs: &Pairs<'_>, binding: &TlsBinding, hosts: &[HostKey]) -> Vec<Finding> {
    let Some(report) = pairs.get(&objects(binding)) else { return Vec::new() };
    let of_key = matches!(report.state, MaterialState::NotAKey | MaterialState::Mismatch) && binding.key.is_some();
    let (label, named) =
        if of_key { (ReferenceLabel::Key, binding.key_object()) } else { (ReferenceLabel::Certificate, &binding.certificate) };
    let object = named.name.as_str();
    let found = |hosts: &[HostKey]| -> Vec<CertificateFinding> {
        let hosts_shown = shown(hosts);
        if report.state != MaterialState::Good {
            return broken(report, object, &format!("not published over TLS: {hosts_shown}")).into_iter().collect();
        }
        let findings = [expires_soon(seen.now, report, object, &hosts_shown), other_names(report, object, hosts)];
        findings.into_iter().flatten().chain(doubted(report, object, &hosts_shown)).collect()
    };
    // Usually there is nothing to report, and no search for the services is needed.
    if found(hosts).is_empty() {
        return Vec::new();
    }
    let authors = hosts_by_author(seen, hosts, label, named);
    let by_author = authors.iter().flat_map(|(author, hosts)| found(hosts).into_iter().map(move |finding| (author, finding)));
    by_author.flat_map(|(author, finding)| finding.for_services(seen, author.as_slice(), label, object)).collect()
}

fn about_authorities(seen: &StatusInput<'_>, table: &RouteTable) -> Vec<Finding> {
    let authorities = Authorities::of(seen);
    table.backends().flat_map(|backend| about_authority(seen, &authorities, backend)).collect()
}

fn about_authority<'a>(seen: &StatusInput<'_>, authorities: &Authorities<'a>, backend: &'a Backend) -> Vec<Finding> {
    let Some(verification) = &backend.protocol.tls else { return Vec::new() };
    let Some(report) = authorities.report_on(verification) else { return Vec::new() };
    let named = if let Verification::Authority(authority) = verification { Some(authority) } else { None };
    let shown_name = named.map_or("the system's root certificates", |named| named.name.as_str());
    let follows = "the application's certificate cannot be verified, so its routes answer 503";
    let finding = match report.state {
        MaterialState::Good => expires_soon(seen.now, report, shown_name, "its routes"),
        MaterialState::Missing if named.is_none() => Some(no_roots(follows)),
        _ => broken(report, shown_name, follows),
    };
    let Some(finding) = finding else { return Vec::new() };
    let services = backend.services.iter().map(|service| service.name.as_str()).collect();
    let authors = authors(seen, &services, |service| named.is_none_or(|named| names(seen, service, ReferenceLabel::Authority, named)));
    finding.for_services(seen, &authors, ReferenceLabel::Authority, shown_name)
}

/// A finding that lacks only its subjects.
struct CertificateFinding {
    case: FindingCase,
    message: String,
}

impl CertificateFinding {
    fn new(case: impl Into<FindingCase>, message: String) -> Self {
        Self { case: case.into(), message }
    }

    /// For every service that named the object; for the cluster if none of them is found any more.
    fn for_services(&self, seen: &StatusInput<'_>, authors: &[String], label: ReferenceLabel, object: &str) -> Vec<Finding> {
        let about = |subject| Finding::new(self.case.clone(), subject, self.message.clone()).with_field(label.key(), object);
        if authors.is_empty() {
            return vec![about(Subject::Cluster(seen.cluster.name.to_string()))];
        }
        authors.iter().map(|service| about(Subject::Service(service.clone()))).collect()
    }
}

fn broken(report: &MaterialReport, object: &str, follows: &str) -> Option<CertificateFinding> {
    let (case, what): (FindingCase, _) = match report.state {
        MaterialState::Good | MaterialState::Awaited | MaterialState::Missing => return None,
        MaterialState::NotACertificate => (cases::NotACertificate::Content.into(), "cannot be used as a certificate"),
        MaterialState::NotAKey => (cases::NotAPrivateKey.into(), "cannot be used as a private key"),
        MaterialState::Mismatch => (cases::KeyMismatch.into(), "does not match the certificate"),
        MaterialState::Expired => (cases::CertificateExpired.into(), "contains an expired certificate"),
        MaterialState::NotYetValid => (cases::CertificateNotYetValid.into(), "contains a certificate that is not valid yet"),
        MaterialState::HoldsKey => (cases::AuthorityHoldsKey.into(), "should contain only CA certificates, so nothing in it is used"),
    };
    let message = format!("{object} {what}: {}; {follows}", report.message);
    Some(CertificateFinding { case, message })
}

fn no_roots(follows: &str) -> CertificateFinding {
    let message = format!("the image of the extension and the proxies contains no root certificates: {follows}");
    CertificateFinding::new(cases::NotACertificate::NoRoots, message)
}

fn expires_soon(now: Timestamp, report: &MaterialReport, object: &str, concerned: &str) -> Option<CertificateFinding> {
    let not_after = report.not_after.filter(|not_after| not_after.duration_since(now) <= WARNS_AHEAD)?;
    let message = format!("the certificate in {object} expires on {}; after that, {concerned} will fail", not_after.strftime("%Y-%m-%d"));
    Some(CertificateFinding::new(cases::CertificateExpires, message))
}

/// A certificate that is used although clients reject it.
fn doubted(report: &MaterialReport, object: &str, concerned: &str) -> Vec<CertificateFinding> {
    let of = |kinds: &[CertificateWarningKind]| {
        let doubts: Vec<&CertificateWarning> = report.doubts.iter().filter(|doubt| kinds.contains(&doubt.kind)).collect();
        (!doubts.is_empty()).then(|| few(doubts.into_iter().map(|doubt| doubt.message.clone())))
    };
    let warning = |case: FindingCase, message: String| {
        let message = format!("the certificate in {object} is used, but browsers reject it: {message}; affected: {concerned}");
        CertificateFinding { case, message }
    };
    let kind = of(&[CertificateWarningKind::Key, CertificateWarningKind::Signature]);
    let kind = kind.map(|message| warning(cases::CertificateUnsupported.into(), message));
    let chain = of(&[CertificateWarningKind::Chain]).map(|message| warning(cases::CertificateChainInvalid.into(), message));
    kind.into_iter().chain(chain).collect()
}

fn other_names(report: &MaterialReport, object: &str, hosts: &[HostKey]) -> Option<CertificateFinding> {
    let is_uncovered = |host: &&HostKey| host.pattern().is_some_and(|host| !covers(&report.names, host));
    let uncovered: Vec<HostKey> = hosts.iter().filter(is_uncovered).cloned().collect();
    // For the names that were left out it is unknown whether they cover a host.
    if uncovered.is_empty() || report.more_names > 0 {
        return None;
    }
    let names = if report.names.is_empty() { "no host".to_owned() } else { few(report.names.iter().cloned()) };
    let message = format!("the certificate in {object} is for {names}; browsers reject it for {}", shown(&uncovered));
    Some(CertificateFinding::new(cases::CertificateNameMismatch, message))
}

/// Whether browsers accept a certificate with these names for every host that the pattern matches.
fn covers(names: &[String], host: &HostPattern) -> bool {
    let host = host.as_str();
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| name == host || name.strip_prefix("*.").is_some_and(|rest| Some(rest) == parent))
}

/// The services that name the object in this label, each with its own hosts that use the object: no service learns
/// another's hosts. Hosts without such a service belong to the cluster.
fn hosts_by_author(
    seen: &StatusInput<'_>,
    hosts: &[HostKey],
    label: ReferenceLabel,
    object: &MaterialRef,
) -> BTreeMap<Option<String>, Vec<HostKey>> {
    let mut behind = BTreeMap::<&HostKey, BTreeSet<&str>>::new();
    for route in &seen.translation.routes {
        behind.entry(&route.host).or_default().extend(route.services.iter().map(|service| service.service.as_str()));
    }
    let all = behind.values().flatten().copied().collect();
    let authors = authors(seen, &all, |service| names(seen, service, label, object));
    let mut by_author = BTreeMap::<_, Vec<_>>::new();
    for host in hosts {
        let services = behind.get(host);
        let own = authors.iter().filter(|author| services.is_some_and(|services| services.contains(author.as_str())));
        let mut own: Vec<_> = own.cloned().map(Some).collect();
        if own.is_empty() {
            own.push(None);
        }
        for author in own {
            by_author.entry(author).or_default().push(host.clone());
        }
    }
    by_author
}

fn authors(seen: &StatusInput<'_>, services: &BTreeSet<&str>, wrote: impl Fn(&Service) -> bool) -> Vec<String> {
    let among = seen.snapshot.services.values().filter(|service| services.contains(service.name.as_str()) && wrote(service));
    among.map(|service| service.name.clone()).collect()
}

/// Whether the service's label names exactly this object.
fn names(seen: &StatusInput<'_>, service: &Service, label: ReferenceLabel, object: &MaterialRef) -> bool {
    let of_service = seen.translation.references.get(&service.id);
    of_service.and_then(|references| label.reference(references)) == Some(object)
}

fn shown(hosts: &[HostKey]) -> String {
    few(hosts.iter().map(|host| host.pattern().map_or("the default backend", HostPattern::as_str).to_owned()))
}

/// The first few names, and the number of the others.
fn few(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let first = all.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > NAMES_MAX { format!("{first} and {} more", all.len() - NAMES_MAX) } else { first }
}

#[cfg(test)]
mod tests;
