//! Computes what a service uses on one host at its declared size: renders a table with nothing else in it and counts.

use std::net::{IpAddr, Ipv4Addr};

use crate::intent::labels::{Affinity as RequestedAffinity, BackendMode};
use crate::render::ConfigSizer;
use crate::route::{
    Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, Endpoint, Footprint, MaterialKind, MaterialRef, PathRoute,
    Redirect, RouteTable, TlsBinding, Verification, VirtualHost,
};
use crate::translate::TranslationContext;
use crate::translate::published_service::PublishedService;
use crate::translate::tls_references;
use crate::types::{HostPattern, ObjectName, Scheme, TaskId};

/// A pool of two is rendered with more text than a pool of one (shared memory, backups), and a start-first update turns one
/// into two: that must not change any charge.
const ENDPOINTS_LEAST: u64 = 2;
/// Text for a host that appears only if others are published as well: its name in lists of other servers, a longer address.
const AMONG_OTHERS_BYTES: u64 = 128;

/// The usage of a service on a host.
pub struct RouteCost {
    /// Without TLS.
    pub plain: Footprint,
    /// The same places a second time, with TLS, if the host has TLS.
    pub by_tls: Footprint,
    /// The additional usage if a service brings TLS to the host later.
    pub copy: Footprint,
    /// Whether the service gives the host TLS that is terminated here.
    pub brings_tls: bool,
}

/// How services that published a host before affect the price of the next one.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostState {
    /// The host has TLS that is terminated here.
    pub has_tls: bool,
    /// Another service has the same path in plain HTTP. Age decides whose setting is used, so `ssl_only` saves nothing
    /// there.
    pub is_open: bool,
}

/// Measures one service after another.
pub struct CostMeter<'w> {
    context: &'w TranslationContext<'w>,
    nodes: u64,
    measure: ConfigSizer,
    like: RouteTable,
}

impl<'w> CostMeter<'w> {
    /// Prepares to measure the services of a cluster.
    pub fn new(context: &'w TranslationContext<'w>) -> Self {
        let publish = &context.cluster.proxy.publish;
        let mut like = RouteTable::empty(context.cluster.name.clone(), publish.http.target);
        like.engine = context.cluster.engine;
        (like.https_port, like.https_published) = (publish.https.map(|https| https.target), publish.https.map(|https| https.published));
        like.settings = context.cluster.settings.clone();
        // The template belongs to the administrator and is not part of any route's usage.
        like.settings.remove_template();
        let nodes = u64::try_from(context.snapshot.nodes.len()).unwrap_or(u64::MAX);
        Self { context, nodes, measure: ConfigSizer::new(&like), like }
    }

    /// What a service uses on one of its hosts.
    pub fn of_host(&mut self, service: &PublishedService<'_>, host: &HostPattern, before: HostState) -> RouteCost {
        let labels = &service.labels;
        let published_by_tls = self.like.https_port.is_some();
        let brings_tls = published_by_tls && labels.tls.certificate.is_some() && !labels.tls.passthrough;
        let only = labels.tls.only && !before.is_open;
        let mut plain = self.at_declared_size(service, |backend| self.footprint(service, host, backend, Ways { only, tls: false }));
        plain.bytes = plain.bytes.saturating_add(AMONG_OTHERS_BYTES).saturating_add(2 * u64::try_from(host.as_str().len()).unwrap_or(0));
        let has_tls = before.has_tls || brings_tls;
        // Otherwise both copies are equal.
        let copy = if has_tls || (published_by_tls && differs_by_tls(service, host)) {
            let backend = self.backend(service, ENDPOINTS_LEAST);
            let [without, with] = [false, true].map(|tls| self.footprint(service, host, backend.clone(), Ways { only, tls }));
            with.minus(without)
        } else {
            Footprint { routes: 0, ..plain }
        };
        RouteCost { plain, by_tls: if has_tls { copy } else { Footprint::default() }, copy, brings_tls }
    }

    /// What the default backend uses.
    pub fn of_default(&mut self, service: &PublishedService<'_>) -> Footprint {
        self.at_declared_size(service, |backend| {
            let tls = self.binding(service);
            let default_backend = Some(DefaultBackend { backend, tls, https_only: false });
            self.measure.footprint(&RouteTable { default_backend, ..self.like.clone() })
        })
    }

    /// Every endpoint of a pool is rendered alike, so three show what thousands use.
    fn at_declared_size(&self, service: &PublishedService<'_>, written: impl Fn(Backend) -> Footprint) -> Footprint {
        let endpoints = self.endpoints(service);
        let measured = |endpoints| written(self.backend(service, endpoints));
        let least = measured(ENDPOINTS_LEAST);
        if endpoints == ENDPOINTS_LEAST {
            return least;
        }
        let each = measured(ENDPOINTS_LEAST + 1).minus(least).bytes;
        Footprint { bytes: least.bytes.saturating_add(each.saturating_mul(endpoints - ENDPOINTS_LEAST)), ..least }
    }

    /// As many endpoints as the service declares tasks.
    fn endpoints(&self, service: &PublishedService<'_>) -> u64 {
        if service.labels.backend_mode == BackendMode::Vip {
            return ENDPOINTS_LEAST;
        }
        service.service.replicas.unwrap_or(self.nodes).max(ENDPOINTS_LEAST)
    }

    /// All places of a host. Redirects are measured separately: one that hides the application may turn out to be circular
    /// and be left out.
    fn footprint(&self, service: &PublishedService<'_>, host: &HostPattern, backend: Backend, ways: Ways) -> Footprint {
        let application = self.measure.footprint(&self.site(service, host, backend, ways));
        let redirects = redirects(service, host);
        if redirects.is_empty() {
            return application;
        }
        let tls = ways.tls.then(|| self.binding(service).or_else(somebodys_binding)).flatten();
        let mut table = self.like.clone();
        table.hosts.insert(host.clone(), VirtualHost { tls, redirects, ..VirtualHost::default() });
        application.plus(self.measure.footprint(&table))
    }

    /// What a service publishes at a host, except redirects.
    fn site(&self, service: &PublishedService<'_>, host: &HostPattern, backend: Backend, ways: Ways) -> RouteTable {
        let labels = &service.labels;
        let mut table = self.like.clone();
        let has_port = table.https_port.is_some();
        let https_only = ways.only && has_port;
        let mut site = VirtualHost::default();
        if labels.tls.passthrough && has_port {
            table.passthrough.insert(host.clone(), backend);
            site.https_only = https_only;
        } else {
            let websockets = labels.websocket_endpoints.clone();
            let route = PathRoute { rewrite: labels.context_root_rewrite, https_only, websockets, backend };
            site.paths.insert(labels.context_root.clone(), route);
        }
        site.tls = ways.tls.then(|| self.binding(service).or_else(somebodys_binding)).flatten();
        if !site.paths.is_empty() || site.https_only {
            table.hosts.insert(host.clone(), site);
        }
        table
    }

    fn binding(&self, service: &PublishedService<'_>) -> Option<TlsBinding> {
        let binding = tls_references::binding(self.context, service, &mut Vec::new())?;
        Some(TlsBinding { certificate: there(binding.certificate), key: binding.key.map(there) })
    }

    fn backend(&self, service: &PublishedService<'_>, endpoints: u64) -> Backend {
        let labels = &service.labels;
        let BackendProtocol { http2, tls } = tls_references::protocol(self.context, service, &mut Vec::new());
        let tls = tls.map(|verification| match verification {
            Verification::Authority(authority) => Verification::Authority(there(authority)),
            other => other,
        });
        let affinity = match &labels.affinity {
            RequestedAffinity::Cookie(name) => Affinity::Cookie(name.clone()),
            RequestedAffinity::ClientAddress => Affinity::ClientAddress,
            RequestedAffinity::None if self.context.cluster.settings.ip_hash => Affinity::ClientAddress,
            RequestedAffinity::None => Affinity::None,
        };
        let addresses = (0..u8::try_from(endpoints).unwrap_or(u8::MAX)).map(|last| Endpoint {
            // The longest possible address.
            address: IpAddr::V4(Ipv4Addr::new(255, 255, 255, 255 - last)),
            port: labels.port,
            task: None::<TaskId>,
            lasting: false,
        });
        let service = BackendService {
            max_fails: labels.max_fails,
            fail_timeout_ms: labels.fail_timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            ..BackendService::new(service.service.id.clone(), service.name.clone(), labels.port, addresses.collect())
        };
        Backend { services: vec![service], affinity, protocol: BackendProtocol { http2, tls } }
    }
}

/// The ways in which a host is served.
#[derive(Clone, Copy)]
struct Ways {
    /// With TLS only: plain HTTP redirects there.
    only: bool,
    /// Also with TLS.
    tls: bool,
}

/// Whether TLS answers at other places than plain HTTP.
fn differs_by_tls(service: &PublishedService<'_>, host: &HostPattern) -> bool {
    let mut redirects = service.labels.redirects.iter().filter(|label| label.source.host == *host);
    service.labels.tls.only || redirects.any(|label| label.source.scheme == Scheme::Https)
}

fn redirects(service: &PublishedService<'_>, host: &HostPattern) -> Vec<Redirect> {
    let own = service.labels.redirects.iter().filter(|label| label.source.host == *host);
    own.map(|label| Redirect { scheme: label.source.scheme, path: label.source.path.clone(), target: label.target.clone() }).collect()
}

/// A missing object may appear at any moment, and what is published must not depend on that.
fn there(object: MaterialRef) -> MaterialRef {
    MaterialRef { id: Some(object.id.unwrap_or_else(|| "i".repeat(25))), ..object }
}

/// A certificate from another service of the host.
fn somebodys_binding() -> Option<TlsBinding> {
    let name = ObjectName::parse("certificate").ok()?;
    Some(TlsBinding { certificate: there(MaterialRef { kind: MaterialKind::Secret, name, id: None }), key: None })
}
