//! Redirects to HTTPS that lead to no answer: a route redirects plain HTTP to HTTPS (`ssl_only`), and its host has no usable
//! certificate, so the TLS handshake is refused there. It must never judge a host whose TLS may end in front of the proxies.

use std::fmt;

use crate::intent::cluster::Cluster;
use crate::report::{RouteKind, RouteReport, RouteState, TlsState};
use crate::route::{RouteTable, TlsBinding};
use crate::types::HostKey;

/// Why the TLS handshake is refused at the host to which a route redirects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedTls<'a> {
    /// No label names a certificate.
    NoCertificate,
    /// Objects that labels name do not exist, or are not granted.
    NoObject(&'a TlsBinding),
    /// The certificate or its key cannot be used.
    Unusable(&'a TlsBinding, TlsState),
}

impl fmt::Display for RefusedTls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => write!(f, "the host has no certificate"),
            Self::NoObject(binding) => {
                let names = binding.missing().collect::<Vec<_>>().join(" and ");
                write!(f, "the host has no certificate, because the service has no access to a secret {names}")
            }
            Self::Unusable(binding, state) => write!(f, "the certificate in secret {} cannot be used ({state})", binding.certificate.name),
        }
    }
}

/// Why plain HTTP requests of a route get no answer, if they are redirected to HTTPS and the handshake is refused there.
pub fn refused_tls<'a>(cluster: &Cluster, table: &'a RouteTable, route: &RouteReport) -> Option<RefusedTls<'a>> {
    if cluster.has_front() || table.https_port.is_none() || route.kind != RouteKind::Http || !is_redirected(table, route) {
        return None;
    }
    let Some(binding) = binding_of(table, &route.host) else { return Some(RefusedTls::NoCertificate) };
    if binding.missing().next().is_some() {
        return Some(RefusedTls::NoObject(binding));
    }
    let state = route.tls.as_ref().map(|tls| &tls.state).filter(|state| !state.is_usable())?;
    Some(RefusedTls::Unusable(binding, state.clone()))
}

/// Sets the reason of the routes that have endpoints and redirect to where TLS is refused.
pub fn note_refused_tls(cluster: &Cluster, table: &RouteTable, routes: &mut [RouteReport]) {
    for route in routes.iter_mut().filter(|route| route.state == RouteState::Served) {
        let refused = refused_tls(cluster, table, route);
        route.reason = refused.map(|why| format!("plain HTTP is redirected to HTTPS, where the TLS handshake is refused: {why}"));
    }
}

fn is_redirected(table: &RouteTable, route: &RouteReport) -> bool {
    match &route.host {
        HostKey::DefaultBackend => table.default_backend.as_ref().is_some_and(|default| default.https_only),
        // A host that is passed through has TLS.
        HostKey::Host(host) if table.passthrough.contains_key(host) => false,
        HostKey::Host(host) => table.hosts.get(host).is_some_and(|host| host.redirects_to_https(&route.path)),
    }
}

fn binding_of<'a>(table: &'a RouteTable, host: &HostKey) -> Option<&'a TlsBinding> {
    match host {
        HostKey::DefaultBackend => table.default_backend.as_ref()?.tls.as_ref(),
        HostKey::Host(host) => table.hosts.get(host)?.tls.as_ref(),
    }
}
