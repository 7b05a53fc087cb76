//! Holds services to the limits of their cluster (`spec.limits`), before anything else is made of them. Oldest first: who is
//! within the limits never loses by a younger service. What a service takes depends on what it declares and on the services
//! before it, never on which tasks run, so that nothing comes and goes from one pass to the next.
//!
//! Each service pays for each of its hosts as if it were alone there; whoever brings TLS to a host pays for the others' second
//! copy as well. So the sum is never less than what is written, and nobody's share grows because somebody joins.

mod cost;
mod told;

use std::collections::BTreeMap;

use super::World;
use super::published::Published;
use crate::report::Finding;
use crate::route::{Dimension, Footprint};
use crate::types::HostPattern;
use cost::{Costs, Price};

/// What a cluster's services take, and who loses.
struct Ledger<'w, 'a> {
    world: &'w World<'a>,
    costs: Costs<'w>,
    /// What is admitted so far.
    spent: Footprint,
    hosts: BTreeMap<HostPattern, Tenancy>,
    losers: usize,
}

/// What is known of a host that somebody has published.
#[derive(Default)]
struct Tenancy {
    /// Whether it has TLS that is terminated here.
    tls: bool,
    /// What its services take without TLS.
    plain: Footprint,
}

/// Which limit something is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Service(Dimension),
    Cluster(Dimension),
}

/// What a service loses.
struct Loss {
    beyond: Beyond,
    /// What it asks for, all of it.
    wanted: Footprint,
    /// What older services take.
    before: Footprint,
    hosts: Vec<HostPattern>,
    default_backend: bool,
}

/// The services with what fits of them, in the order given: oldest first. Tells each that loses anything, and the administrator.
pub fn keep_within_limits<'a>(world: &World<'a>, services: Vec<Published<'a>>, findings: &mut Vec<Finding>) -> Vec<Published<'a>> {
    let mut ledger = Ledger { world, costs: Costs::new(world), spent: Footprint::default(), hosts: BTreeMap::new(), losers: 0 };
    let kept = services.into_iter().filter_map(|service| ledger.admit(service, findings)).collect();
    findings.extend(told::cluster(world.cluster, &ledger.spent, ledger.losers));
    kept
}

impl<'a> Ledger<'_, 'a> {
    /// What fits of a service: its first hosts, in the order that it names them. None: nothing does.
    fn admit(&mut self, mut service: Published<'a>, findings: &mut Vec<Finding>) -> Option<Published<'a>> {
        let before = self.spent;
        let mut own = Footprint::default();
        let mut wanted = Footprint::default();
        let mut beyond = None;
        if service.labels.default_backend {
            let price = self.costs.of_default(&service);
            self.book(&price.plain, &mut own, &mut wanted, &mut beyond);
        }
        let default_backend = beyond.is_some();
        let mut left_out = Vec::new();
        for host in std::mem::take(&mut service.labels.hosts) {
            let price = self.price(&service, &host);
            self.book(&price.total, &mut own, &mut wanted, &mut beyond);
            if beyond.is_some() {
                left_out.push(host);
            } else {
                self.settle_in(&host, &price);
                service.labels.hosts.push(host);
            }
        }
        service.labels.default_backend &= !default_backend;
        if let Some(beyond) = beyond {
            self.losers += 1;
            let loss = Loss { beyond, wanted, before, hosts: left_out, default_backend };
            findings.push(told::service(self.world, &service, &loss));
        }
        (service.labels.default_backend || !service.labels.hosts.is_empty()).then_some(service)
    }

    /// Takes something into account: it is spent if it fits and nothing before it did not.
    fn book(&mut self, due: &Footprint, own: &mut Footprint, wanted: &mut Footprint, beyond: &mut Option<Beyond>) {
        *wanted = wanted.plus(*due);
        let limits = &self.world.cluster.limits;
        *beyond = beyond.or_else(|| own.plus(*due).exceeds(&limits.service).map(Beyond::Service));
        *beyond = beyond.or_else(|| self.spent.plus(*due).exceeds(&limits.cluster).map(Beyond::Cluster));
        if beyond.is_none() {
            (*own, self.spent) = (own.plus(*due), self.spent.plus(*due));
        }
    }

    fn price(&mut self, service: &Published<'_>, host: &HostPattern) -> Due {
        let tenancy = self.hosts.get(host);
        let has_tls = tenancy.is_some_and(|tenancy| tenancy.tls);
        let Price { plain, by_tls, brings_tls } = self.costs.of_host(service, host, has_tls);
        // Where TLS comes to a host that others have in plain HTTP, all their places are written once more.
        let copies = tenancy.filter(|_| brings_tls && !has_tls).map(|tenancy| Footprint { routes: 0, ..tenancy.plain });
        Due { total: plain.plus(by_tls).plus(copies.unwrap_or_default()), plain, brings_tls }
    }

    fn settle_in(&mut self, host: &HostPattern, price: &Due) {
        let tenancy = self.hosts.entry(host.clone()).or_default();
        tenancy.plain = tenancy.plain.plus(price.plain);
        tenancy.tls |= price.brings_tls;
    }
}

/// What a service pays for a host.
struct Due {
    /// All of it.
    total: Footprint,
    /// The part without TLS.
    plain: Footprint,
    brings_tls: bool,
}

/// What all services of a cluster are charged, whatever its limits.
#[cfg(test)]
pub fn charged(cluster: &super::Cluster, snapshot: &super::Snapshot) -> Footprint {
    let most = Footprint { routes: u64::MAX, locations: u64::MAX, bytes: u64::MAX };
    let limits = crate::intent::limits::Limits { service: most, cluster: most, ..cluster.limits };
    let cluster = super::Cluster { limits, ..cluster.clone() };
    let world = World::new(&cluster, snapshot);
    let (services, _) = super::published::published_services(&world, &mut Vec::new());
    let mut ledger = Ledger { world: &world, costs: Costs::new(&world), spent: Footprint::default(), hosts: BTreeMap::new(), losers: 0 };
    for service in services {
        ledger.admit(service, &mut Vec::new());
    }
    ledger.spent
}
