//! The certificates, keys and CAs that a table names: read from Swarm's mounts, checked, and kept in memory while they are in use.
//! A bad object disables TLS only for its own hosts. While an object is not mounted yet, its hosts keep their former material until
//! the operator has replaced this task by one that has the object.
//!
//! Contents leave this process only for the proxies, and are never logged.

mod engine_refusal;
mod mounted_object;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::certificates::{MaterialFault, Validity};
use crate::protocol::messages::{MaterialReport, SecretFiles};
use crate::render::Materials;
use crate::route::{BackendProtocol, MaterialRef, RouteTable, TlsBinding, Verification};
use crate::runtime::CertificateFault;
use crate::types::{ContextPath, HostKey, RouteKey};
pub(super) use mounted_object::{MaterialStatus, MountedAuthority, MountedPair};

/// Reads material, and keeps the results and what is in use.
pub(super) struct MaterialStore {
    /// Where each object is mounted, under its id.
    directory: PathBuf,
    system_roots: PathBuf,
    /// The results of reading: the contents of an object never change.
    pairs: BTreeMap<TlsBinding, Result<Arc<MountedPair>, MaterialFault>>,
    authorities: BTreeMap<MaterialRef, Result<Arc<MountedAuthority>, MaterialFault>>,
    in_use: MaterialInUse,
}

/// What the newest accepted configuration uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MaterialInUse {
    pairs: BTreeMap<HostKey, (TlsBinding, Arc<MountedPair>)>,
    authorities: BTreeMap<RouteKey, (MaterialRef, Arc<MountedAuthority>)>,
    /// How applications were verified, if that needs no object.
    verifications: BTreeMap<RouteKey, Verification>,
    /// The routes that answered plain HTTP instead of redirecting to HTTPS.
    plain: BTreeSet<RouteKey>,
}

/// A table together with the material that is available for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvedTable {
    /// The table, with former material in place of material that is awaited.
    pub(super) table: RouteTable,
    /// The usable material.
    pub(super) materials: Materials,
    /// The contents of the secret files in `materials`.
    pub(super) contents: SecretFiles,
    /// The state of everything that the table names.
    pub(super) reports: Vec<MaterialReport>,
    /// Something is not mounted yet.
    pub(super) awaits: bool,
    /// When usable material or its report next changes with time.
    pub(super) next_change: Option<Timestamp>,
    used: MaterialInUse,
}

impl MaterialStore {
    pub(super) fn new(directory: &Path, system_roots: &Path) -> Self {
        let (directory, system_roots) = (directory.to_owned(), system_roots.to_owned());
        Self { directory, system_roots, pairs: BTreeMap::new(), authorities: BTreeMap::new(), in_use: MaterialInUse::default() }
    }

    /// Resolves the material of a table.
    pub(super) fn resolve(&mut self, table: &RouteTable, now: Timestamp) -> ResolvedTable {
        self.forget_all_but(table);
        let mut resolved = ResolvedTable::of(table);
        resolved.materials.set_system_roots(self.system_roots.exists());
        resolved.reports.extend(report::system_roots_report(table, &self.system_roots));
        self.resolve_pairs(table, now, &mut resolved);
        self.resolve_authorities(table, now, &mut resolved);
        resolved.note_plain();
        resolved
    }

    /// Remembers that the engine accepted this.
    pub(super) fn settle(&mut self, resolved: &ResolvedTable) {
        self.in_use = resolved.used.clone();
    }

    /// Material that no accepted configuration has used before, so that the engine may still refuse it.
    pub(super) fn unproven(&self, resolved: &ResolvedTable) -> (BTreeSet<TlsBinding>, BTreeSet<MaterialRef>) {
        let proven: BTreeSet<&TlsBinding> = self.in_use.pairs.values().map(|(binding, _)| binding).collect();
        let pairs = resolved.used.pairs.values().map(|(binding, _)| binding).filter(|binding| !proven.contains(binding));
        let proven: BTreeSet<&MaterialRef> = self.in_use.authorities.values().map(|(authority, _)| authority).collect();
        let authorities = resolved.used.authorities.values().map(|(authority, _)| authority).filter(|one| !proven.contains(one));
        (pairs.cloned().collect(), authorities.cloned().collect())
    }

    /// Remembers that the engine refuses a pair although it looks good.
    pub(super) fn reject_pair(&mut self, binding: &TlsBinding, fault: CertificateFault) {
        self.pairs.insert(binding.clone(), Err(engine_refusal::by_engine(fault)));
    }

    /// Remembers that the engine refuses a CA although it looks good.
    pub(super) fn reject_authority(&mut self, authority: &MaterialRef, fault: CertificateFault) {
        self.authorities.insert(authority.clone(), Err(engine_refusal::by_engine(fault)));
    }

    fn forget_all_but(&mut self, table: &RouteTable) {
        let bound: BTreeSet<&TlsBinding> = table.bindings().map(|(_, binding)| binding).collect();
        self.pairs.retain(|binding, _| bound.contains(binding));
        let named: BTreeSet<&MaterialRef> = crate::render::authorities(table).collect();
        self.authorities.retain(|authority, _| named.contains(authority));
    }

    fn resolve_pairs(&mut self, table: &RouteTable, now: Timestamp, resolved: &mut ResolvedTable) {
        let distinct: BTreeSet<&TlsBinding> = table.bindings().map(|(_, binding)| binding).collect();
        let found: BTreeMap<&TlsBinding, MaterialStatus<MountedPair>> =
            distinct.into_iter().map(|binding| (binding, self.pair(binding, now))).collect();
        resolved.reports.extend(found.iter().map(|(binding, found)| report::pair_report(binding, found, now)));
        for (host, binding) in table.bindings() {
            match found.get(binding) {
                Some(MaterialStatus::Good(pair)) => resolved.use_pair(host.clone(), binding, pair, now),
                Some(MaterialStatus::Awaited) => {
                    resolved.awaits = true;
                    if !self.use_former_pair(host.clone(), now, resolved) {
                        resolved.stay_plain(&host, &self.in_use.plain);
                    }
                }
                Some(MaterialStatus::Early(fault)) => resolved.changes_at(fault.not_before),
                Some(MaterialStatus::Bad(_)) | None => {}
            }
        }
    }

    /// Uses the former pair of a host. `false` if there is none.
    fn use_former_pair(&self, host: HostKey, now: Timestamp, resolved: &mut ResolvedTable) -> bool {
        let former = self.in_use.pairs.get(&host).filter(|(_, pair)| pair.facts.validity(now) == Validity::Valid);
        if let Some((binding, pair)) = former {
            resolved.bind(&host, binding);
            resolved.use_pair(host, binding, pair, now);
        }
        former.is_some()
    }

    fn pair(&mut self, binding: &TlsBinding, now: Timestamp) -> MaterialStatus<MountedPair> {
        if let Some(missing) = binding.objects().find(|object| object.id.is_none()) {
            return MaterialStatus::missing(missing);
        }
        let judged = match self.pairs.get(binding) {
            Some(judged) => judged.clone(),
            None => match mounted_object::read_pair(&self.directory, binding) {
                Some(judged) => self.pairs.entry(binding.clone()).or_insert(judged.map(Arc::new)).clone(),
                None => return MaterialStatus::Awaited,
            },
        };
        MaterialStatus::at(now, judged, |pair| &pair.facts)
    }

    fn resolve_authorities(&mut self, table: &RouteTable, now: Timestamp, resolved: &mut ResolvedTable) {
        let distinct: BTreeSet<&MaterialRef> = crate::render::authorities(table).collect();
        let found: BTreeMap<&MaterialRef, MaterialStatus<MountedAuthority>> =
            distinct.into_iter().map(|one| (one, self.authority(one, now))).collect();
        resolved.reports.extend(found.iter().map(|(authority, found)| report::authority_report(authority, found, now)));
        for (route, protocol) in protocols(table) {
            match &protocol.tls {
                Some(Verification::Authority(authority)) => match found.get(authority) {
                    Some(MaterialStatus::Good(file)) => resolved.use_authority(route, authority, file, now),
                    Some(MaterialStatus::Awaited) => {
                        resolved.awaits = true;
                        self.verify_as_before(route, now, resolved);
                    }
                    Some(MaterialStatus::Early(fault)) => resolved.changes_at(fault.not_before),
                    Some(MaterialStatus::Bad(_)) | None => {}
                },
                Some(other) => drop(resolved.used.verifications.insert(route, other.clone())),
                None => {}
            }
        }
    }

    fn verify_as_before(&self, route: RouteKey, now: Timestamp, resolved: &mut ResolvedTable) {
        let former = self.in_use.authorities.get(&route).filter(|(_, file)| file.facts.validity(now) == Validity::Valid);
        if let Some((authority, file)) = former {
            resolved.verify(&route, Verification::Authority(authority.clone()));
            resolved.use_authority(route, authority, file, now);
        } else if let Some(other) = self.in_use.verifications.get(&route) {
            resolved.verify(&route, other.clone());
            resolved.used.verifications.insert(route, other.clone());
        }
    }

    fn authority(&mut self, authority: &MaterialRef, now: Timestamp) -> MaterialStatus<MountedAuthority> {
        let Some(id) = &authority.id else { return MaterialStatus::missing(authority) };
        let judged = match self.authorities.get(authority) {
            Some(judged) => judged.clone(),
            None => match mounted_object::read_authority(&self.directory, id) {
                Some(judged) => self.authorities.entry(authority.clone()).or_insert(judged.map(Arc::new)).clone(),
                None => return MaterialStatus::Awaited,
            },
        };
        MaterialStatus::at(now, judged, |authority| &authority.facts)
    }
}

impl ResolvedTable {
    fn of(table: &RouteTable) -> Self {
        Self {
            table: table.clone(),
            materials: Materials::default(),
            contents: SecretFiles::default(),
            reports: Vec::new(),
            awaits: false,
            next_change: None,
            used: MaterialInUse::default(),
        }
    }

    fn use_pair(&mut self, host: HostKey, binding: &TlsBinding, pair: &Arc<MountedPair>, now: Timestamp) {
        self.contents.0.extend(pair.contents.0.clone());
        self.materials.add_pair(binding.clone(), pair.files.clone());
        self.changes_at(pair.facts.next_change(now));
        self.used.pairs.insert(host, (binding.clone(), Arc::clone(pair)));
    }

    fn use_authority(&mut self, route: RouteKey, authority: &MaterialRef, file: &Arc<MountedAuthority>, now: Timestamp) {
        self.materials.add_authority(authority.clone(), file.file.clone());
        self.changes_at(file.facts.next_change(now));
        self.used.authorities.insert(route, (authority.clone(), Arc::clone(file)));
    }

    fn changes_at(&mut self, time: Option<Timestamp>) {
        self.next_change = self.next_change.into_iter().chain(time).min();
    }

    fn bind(&mut self, host: &HostKey, binding: &TlsBinding) {
        let slot = match host {
            HostKey::Host(host) => self.table.hosts.get_mut(host).map(|host| &mut host.tls),
            HostKey::DefaultBackend => self.table.default_backend.as_mut().map(|default| &mut default.tls),
        };
        if let Some(slot) = slot {
            *slot = Some(binding.clone());
        }
    }

    /// A route that answered plain HTTP before still does so until its host has TLS: a redirect would lead to a port that does not
    /// answer.
    fn stay_plain(&mut self, key: &HostKey, before: &BTreeSet<RouteKey>) {
        let was_plain = |path: &ContextPath| before.contains(&RouteKey { host: key.clone(), path: path.clone() });
        if let HostKey::Host(host) = key {
            for (path, route) in self.table.hosts.get_mut(host).into_iter().flat_map(|host| &mut host.paths) {
                route.https_only &= !was_plain(path);
            }
        } else if let Some(default) = &mut self.table.default_backend {
            default.https_only &= !was_plain(&ContextPath::root());
        }
    }

    fn note_plain(&mut self) {
        let of_hosts = self.table.hosts.iter().flat_map(|(host, virtual_host)| {
            let plain = virtual_host.paths.iter().filter(|(_, route)| !route.https_only);
            plain.map(|(path, _)| RouteKey::new(host, path))
        });
        let default = self.table.default_backend.iter().filter(|default| !default.https_only).map(|_| RouteKey::default_backend());
        self.used.plain = of_hosts.chain(default).collect();
    }

    fn verify(&mut self, RouteKey { host, path }: &RouteKey, verification: Verification) {
        let protocol = match host {
            HostKey::Host(host) => {
                self.table.hosts.get_mut(host).and_then(|host| host.paths.get_mut(path)).map(|route| &mut route.backend.protocol)
            }
            HostKey::DefaultBackend => self.table.default_backend.as_mut().map(|default| &mut default.backend.protocol),
        };
        if let Some(protocol) = protocol {
            protocol.tls = Some(verification);
        }
    }
}

/// The backend protocol of each route.
fn protocols(table: &RouteTable) -> impl Iterator<Item = (RouteKey, &BackendProtocol)> {
    let hosts = table.hosts.iter().flat_map(|(host, virtual_host)| {
        virtual_host.paths.iter().map(move |(path, route)| (RouteKey::new(host, path), &route.backend.protocol))
    });
    hosts.chain(table.default_backend.iter().map(|default| (RouteKey::default_backend(), &default.backend.protocol)))
}

#[cfg(test)]
mod tests;
