//! The client's address, scheme and host if a load balancer in front may state them (`settings.clientAddress`): what the
//! engine trusts of a request that is described as it reaches a proxy. Without such a description, the load balancer is
//! assumed to report the client's own URL.

use std::net::IpAddr;

use super::explanation::{TraceOutcome, TraceStep, TraceSubject};
use super::request::Request;
use super::step;
use crate::render::{ClientClaims, behavior};
use crate::route::{ClientAddress, ClientAddressSource, EngineSettings};
use crate::types::{EngineKind, Scheme};

/// The trusted facts about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveRequest {
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The host that the client requested, as in redirects to HTTPS.
    pub host: String,
    /// Whether the client named a port.
    pub names_port: bool,
    /// The client's address; unknown if the connection is not described.
    pub client: Option<IpAddr>,
}

impl EffectiveRequest {
    /// What a cluster trusts about a request.
    pub fn new(engine: EngineKind, settings: &EngineSettings, request: &Request) -> Self {
        let own = Self::by_itself(request);
        let Some(sent) = &request.sent else { return Self { names_port: own.names_port && settings.client_address.is_none(), ..own } };
        let own = Self { client: Some(sent.from), ..own };
        let Some(front) = settings.client_address.as_ref().filter(|front| front.trusts(sent.from)) else { return own };
        // Redirects do not contain our port for clients that reach a load balancer's.
        let own = Self { names_port: false, ..own };
        let ClientClaims { client, secure, site } = behavior(engine).client_claims(settings, front, sent);
        Self { client: client.or(own.client), ..own.by_scheme(secure).for_site(site.as_deref()) }
    }

    /// The facts from the connection and `Host`.
    fn by_itself(request: &Request) -> Self {
        let usual = if request.scheme == Scheme::Https { 443 } else { 80 };
        let names_port = request.stated_port.is_some_and(|port| port.get() != usual);
        Self { scheme: request.scheme, host: request.host.clone(), names_port, client: None }
    }

    fn for_site(self, site: Option<&str>) -> Self {
        let Some(site) = site else { return self };
        let port = site.rfind(':').filter(|at| !site[*at..].contains(']'));
        Self { host: site[..port.unwrap_or(site.len())].to_owned(), ..self }
    }

    fn by_scheme(self, secure: Option<bool>) -> Self {
        let scheme = secure.map_or(self.scheme, |secure| if secure { Scheme::Https } else { Scheme::Http });
        Self { scheme, ..self }
    }
}

/// Whether a connection is accepted at all. The error: the status of the answer, if any. If the cluster uses the PROXY
/// protocol, every connection must begin with it, otherwise none may.
pub fn admitted(engine: EngineKind, settings: &EngineSettings, request: &Request) -> Result<(), Option<u16>> {
    match request.sent.as_ref().map(|sent| sent.proxy.is_some()) {
        Some(false) if by_proxy_protocol(settings) => Err(None),
        Some(true) if !by_proxy_protocol(settings) => {
            let status = behavior(engine).status_codes().unexpected_proxy_header;
            Err((request.scheme == Scheme::Http).then_some(status))
        }
        _ => Ok(()),
    }
}

/// Explains the same in words; the error is the outcome.
pub(super) fn admit(
    engine: EngineKind,
    settings: &EngineSettings,
    request: &Request,
    steps: &mut Vec<TraceStep>,
) -> Result<(), TraceOutcome> {
    if by_proxy_protocol(settings) && request.sent.is_none() {
        let message = "a connection must begin with a PROXY header of the load balancer (settings.clientAddress), or it is closed";
        steps.push(step(TraceSubject::Listener, message));
    }
    admitted(engine, settings, request).map_err(|status| {
        let (reason, remedy) = if by_proxy_protocol(settings) {
            (
                "the connection is closed because it does not begin with a PROXY header (settings.clientAddress.from: proxy-protocol)",
                "Connect through the load balancer, or send a PROXY header: curl --haproxy-protocol.",
            )
        } else {
            (
                "the connection begins with a PROXY header, but this cluster does not accept the PROXY protocol, so the request is invalid",
                "Turn the PROXY protocol off at the load balancer, or set settings.clientAddress.from: proxy-protocol.",
            )
        };
        TraceOutcome::not_served(status, reason, remedy)
    })
}

fn by_proxy_protocol(settings: &EngineSettings) -> bool {
    settings.client_address.as_ref().is_some_and(|front| front.from == ClientAddressSource::ProxyProtocol)
}

/// How a load balancer in front states that a client used TLS.
pub(super) fn tls_header(settings: &EngineSettings) -> &'static str {
    match settings.client_address.as_ref().map(|front| front.from) {
        Some(ClientAddressSource::XForwardedFor) => "X-Forwarded-Proto",
        Some(ClientAddressSource::Forwarded) => "the proto parameter of Forwarded",
        Some(ClientAddressSource::ProxyProtocol) => "the PROXY header (TLS in version 2, or port 443)",
        None => "nothing",
    }
}

/// Describes the client.
pub(super) fn trace_client(settings: &EngineSettings, request: &Request, effective: &EffectiveRequest, steps: &mut Vec<TraceStep>) {
    match (&settings.client_address, &request.sent, effective.client) {
        (Some(front), None, _) => {
            let message = format!("{} for connections from {}; otherwise the connection's address", header_of(front), trusted(front));
            steps.push(step(TraceSubject::Client, message));
        }
        (front, Some(sent), Some(client)) => {
            let how = match front {
                None => "the address of the connection".to_owned(),
                Some(front) if !front.trusts(sent.from) => {
                    "the address of the connection; it is not in settings.clientAddress.trusted, so its client headers are ignored"
                        .to_owned()
                }
                Some(_) if client == sent.from => "the address of the connection, which is trusted and reports no other client".to_owned(),
                Some(front) => format!("{}, reported by {}", header_of(front), sent.from),
            };
            steps.push(step(TraceSubject::Client, format!("{client}: {how}")));
            if (effective.scheme, &effective.host) != (request.scheme, &request.host) {
                steps.push(step(
                    TraceSubject::Client,
                    format!("requests {}://{}, reported by {}", effective.scheme.as_str(), effective.host, sent.from),
                ));
            }
        }
        _ => {}
    }
}

fn header_of(front: &ClientAddress) -> &'static str {
    match front.from {
        ClientAddressSource::XForwardedFor => "the rightmost untrusted address in X-Forwarded-For",
        ClientAddressSource::Forwarded => "the rightmost untrusted address in Forwarded",
        ClientAddressSource::ProxyProtocol => "the source address in the PROXY header",
    }
}

/// The maximum number of ranges that are listed.
const RANGES_MAX: usize = 3;

fn trusted(front: &ClientAddress) -> String {
    super::pool_membership::list_of(&front.trusted, RANGES_MAX)
}
