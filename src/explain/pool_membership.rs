//! The pools of a route table to which a service belongs. The effects of labels are derived from them, so that no effect is
//! claimed that the proxies do not have.

use crate::render::Materials;
use crate::report::{RouteKind, RouteReport};
use crate::route::{Backend, BackendService, DefaultBackend, PathRoute, RouteTable, TlsBinding};
use crate::swarm::Service;
use crate::types::{ContextPath, HostKey, HostPattern, RouteKey};

/// A service in the table of its cluster.
pub struct PoolMembership<'a> {
    /// The service.
    pub service: &'a Service,
    /// The table.
    pub table: &'a RouteTable,
    /// The material that is assumed valid, because secrets cannot be read here.
    pub materials: Materials,
    /// Every pool that it belongs to.
    pub pools: Vec<ServicePool<'a>>,
}

/// A pool that the service belongs to.
pub struct ServicePool<'a> {
    /// `app.example.org/shop`.
    pub name: String,
    /// The pool.
    pub backend: &'a Backend,
    /// The route that it belongs to.
    pub behind: PoolRoute<'a>,
}

/// The route of a pool.
#[derive(Clone, Copy)]
pub enum PoolRoute<'a> {
    /// A path of a host.
    Path(&'a HostPattern, &'a ContextPath, &'a PathRoute),
    /// A host whose TLS is passed through.
    Passthrough(&'a HostPattern),
    /// Every unpublished host.
    Default(&'a DefaultBackend),
}

/// How TLS is handled at a host.
pub enum HostTls<'a> {
    /// It is passed through to these services.
    Passed(&'a Backend),
    /// Clients are shown this certificate.
    Shown(&'a TlsBinding),
    /// Handshakes are refused, because objects of this binding do not exist or cannot be used.
    Refused(&'a TlsBinding),
    /// There is no TLS.
    None,
}

impl<'a> PoolMembership<'a> {
    /// Finds the service's pools. `materials`: the usable material of the table.
    pub fn new(service: &'a Service, table: &'a RouteTable, materials: Materials) -> Self {
        let of_paths = |(host, virtual_host): (&'a HostPattern, &'a crate::route::VirtualHost)| {
            virtual_host.paths.iter().map(move |(path, route)| ServicePool {
                name: RouteKey::new(host, path).to_string(),
                backend: &route.backend,
                behind: PoolRoute::Path(host, path, route),
            })
        };
        let passed = table.passthrough.iter().map(|(host, backend)| ServicePool {
            name: host.to_string(),
            backend,
            behind: PoolRoute::Passthrough(host),
        });
        let default = table.default_backend.iter().map(|default| ServicePool {
            name: HostKey::DefaultBackend.to_string(),
            backend: &default.backend,
            behind: PoolRoute::Default(default),
        });
        let all = table.hosts.iter().flat_map(of_paths).chain(passed).chain(default);
        let pools = all.filter(|pool| pool.part_of(service).is_some()).collect();
        Self { service, table, materials, pools }
    }

    /// The text for each of its pools; once, if it is the same everywhere.
    pub fn everywhere(&self, describe: impl Fn(&ServicePool<'a>) -> String) -> String {
        let mut effects: Vec<(String, Vec<&str>)> = Vec::new();
        for pool in &self.pools {
            let effect = describe(pool);
            match effects.iter_mut().find(|(known, _)| *known == effect) {
                Some((_, names)) => names.push(&pool.name),
                None => effects.push((effect, vec![&pool.name])),
            }
        }
        match &effects[..] {
            [] => NOWHERE.to_owned(),
            [(effect, _)] => effect.clone(),
            several => {
                let shown = several.iter().take(ITEMS_MAX).map(|(effect, names)| format!("at {}: {effect}", list(names)));
                let more = several.len().saturating_sub(ITEMS_MAX);
                shown.chain((more > 0).then(|| format!("other effects at {more} more"))).collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// The service's part of its first pool: its address and protocol are the same in all of them.
    pub fn part(&self) -> Option<&'a BackendService> {
        self.pools.first().and_then(|pool| pool.part_of(self.service))
    }

    /// Whether any request reaches it at all.
    pub fn gets_requests(&self) -> bool {
        let reached = |pool: &&ServicePool<'a>| pool.part_of(self.service).is_some_and(|part| !part.endpoints.is_empty());
        self.pools.iter().filter(reached).any(|pool| self.is_checkable(pool.backend))
    }

    /// Whether it belongs to a pool of the host.
    pub fn is_at(&self, host: &HostPattern) -> bool {
        self.pools.iter().any(|pool| pool.host() == Some(host))
    }

    /// The service that decides for a pool, if it is another one.
    pub fn decider(&self, pool: &ServicePool<'a>) -> Option<&'a str> {
        let oldest = pool.backend.services.first()?;
        (oldest.id != self.service.id).then_some(oldest.name.as_str())
    }

    /// How TLS is handled for a pool.
    pub fn tls(&self, pool: &ServicePool<'a>) -> HostTls<'a> {
        match pool.behind {
            PoolRoute::Passthrough(_) => HostTls::Passed(pool.backend),
            PoolRoute::Default(default) => self.judged(default.tls.as_ref()),
            PoolRoute::Path(host, _, _) => self.tls_of(host),
        }
    }

    /// How TLS is handled for a host.
    pub fn tls_of(&self, host: &HostPattern) -> HostTls<'a> {
        if let Some(backend) = self.table.passthrough.get(host) {
            return HostTls::Passed(backend);
        }
        self.judged(self.table.hosts.get(host).and_then(|virtual_host| virtual_host.tls.as_ref()))
    }

    fn judged(&self, binding: Option<&'a TlsBinding>) -> HostTls<'a> {
        match binding.filter(|_| self.table.https_port.is_some()) {
            Some(binding) if self.materials.pair(binding).is_some() => HostTls::Shown(binding),
            Some(binding) => HostTls::Refused(binding),
            None => HostTls::None,
        }
    }

    /// Whether the pool's applications can be checked as configured; otherwise nothing answers there.
    pub fn is_checkable(&self, backend: &Backend) -> bool {
        backend.protocol.tls.as_ref().is_none_or(|verification| self.materials.can_verify(verification))
    }
}

impl<'a> ServicePool<'a> {
    /// The service's part of it.
    pub fn part_of(&self, service: &Service) -> Option<&'a BackendService> {
        self.backend.services.iter().find(|part| part.id == service.id)
    }

    /// Whether the route is that of the pool.
    pub fn is_of(&self, route: &RouteReport) -> bool {
        match self.behind {
            PoolRoute::Path(host, path, _) => route.kind == RouteKind::Http && route.host.is(host) && route.path == *path,
            PoolRoute::Passthrough(host) => route.kind == RouteKind::Passthrough && route.host.is(host),
            PoolRoute::Default(_) => route.host == HostKey::DefaultBackend,
        }
    }

    /// The host of the pool, or the default backend.
    pub fn host_key(&self) -> HostKey {
        self.host().map_or(HostKey::DefaultBackend, HostKey::from)
    }

    fn host(&self) -> Option<&'a HostPattern> {
        match self.behind {
            PoolRoute::Path(host, _, _) | PoolRoute::Passthrough(host) => Some(host),
            PoolRoute::Default(_) => None,
        }
    }
}

/// A published service may belong to no pool if other services handle the TLS of its hosts differently.
const NOWHERE: &str = "no effect: no route leads to the service";
/// A label can name a thousand hosts.
const ITEMS_MAX: usize = 10;

/// Items as readable text; truncated if there are very many.
pub fn list<T: ToString>(items: &[T]) -> String {
    list_of(items, ITEMS_MAX)
}

/// The same with the given maximum.
pub fn list_of<T: ToString>(items: &[T], most: usize) -> String {
    let shown = items.iter().take(most).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() > most { format!("{shown} and {} more", items.len() - most) } else { shown }
}
