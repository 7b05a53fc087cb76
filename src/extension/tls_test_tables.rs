//! Small tables that hold only TLS material: when the engine refuses a whole configuration, they show whether certificates are the
//! cause, and which. Pure.

use std::collections::BTreeSet;

use crate::route::{Backend, BackendProtocol, BackendService, MaterialRef, PathRoute, RouteTable, TlsBinding, Verification, VirtualHost};
use crate::types::{ClusterName, ContextPath, HostPattern, Port, ServiceId, ServiceName};

/// Material that may be the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspect {
    Pair(TlsBinding),
    Authority(MaterialRef),
}

/// A table with one host for each suspect, otherwise the same as this one except for its routes.
pub(super) fn table<'a>(like: &RouteTable, suspects: impl IntoIterator<Item = &'a Suspect>) -> RouteTable {
    let mut table = RouteTable::empty(like.cluster.clone(), like.http_port);
    (table.engine, table.https_port) = (like.engine, like.https_port);
    let hosts = suspects.into_iter().enumerate().filter_map(|(number, suspect)| {
        let host = HostPattern::parse(&format!("trial-{number}.invalid")).ok()?;
        Some((host, virtual_host(&like.cluster, like.http_port, suspect)?))
    });
    table.hosts = hosts.collect();
    table
}

fn virtual_host(cluster: &ClusterName, port: Port, suspect: &Suspect) -> Option<VirtualHost> {
    match suspect {
        Suspect::Pair(binding) => Some(VirtualHost { tls: Some(binding.clone()), ..VirtualHost::default() }),
        Suspect::Authority(authority) => {
            let protocol = BackendProtocol { http2: false, tls: Some(Verification::Authority(authority.clone())) };
            let backend = Backend { services: vec![nobody(cluster, port)?], protocol, ..Backend::default() };
            let route = PathRoute { rewrite: false, https_only: false, websockets: Vec::new(), backend };
            Some(VirtualHost { paths: [(ContextPath::root(), route)].into(), ..VirtualHost::default() })
        }
    }
}

fn nobody(cluster: &ClusterName, port: Port) -> Option<BackendService> {
    let endpoint = crate::route::Endpoint { address: std::net::Ipv4Addr::LOCALHOST.into(), port, task: None, lasting: false };
    Some(BackendService {
        id: ServiceId("trial".to_owned()),
        name: ServiceName::parse(&format!("trial-{cluster}")).ok()?,
        port,
        vip: false,
        on_nodes: false,
        weight: None,
        max_fails: None,
        fail_timeout_ms: None,
        network: None,
        endpoints: vec![endpoint],
    })
}

/// The suspects of two sets.
pub(super) fn suspects((pairs, authorities): (BTreeSet<TlsBinding>, BTreeSet<MaterialRef>)) -> BTreeSet<Suspect> {
    pairs.into_iter().map(Suspect::Pair).chain(authorities.into_iter().map(Suspect::Authority)).collect()
}
