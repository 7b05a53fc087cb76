//! The certificates, keys and CAs that a table names: read where Swarm mounted them, judged, and kept in memory while they
//! are in use. One bad object costs its hosts TLS and nobody else anything. An object that is not mounted yet costs
//! nothing: what its host used before stays in use until the operator has replaced this task by one that has it.
//!
//! Contents leave this process towards the proxies only, and are never logged.

mod engine_refusal;
mod mounted_object;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::certificates::{Fault, Standing};
use crate::protocol::messages::{Contents, MaterialReport};
use crate::render::Materials;
use crate::route::{BackendProtocol, MaterialRef, RouteTable, TlsBinding, Verification};
use crate::types::{ContextPath, HostKey, RouteKey};
pub(super) use mounted_object::{Authority, Found, Pair};

/// Reads and remembers.
pub(super) struct Keeper {
    /// Where each object is mounted, under its id.
    directory: PathBuf,
    system_roots: PathBuf,
    /// What was found in objects that could be read: their contents never change.
    pairs: BTreeMap<TlsBinding, Result<Arc<Pair>, Fault>>,
    authorities: BTreeMap<MaterialRef, Result<Arc<Authority>, Fault>>,
    in_use: InUse,
}

/// What the newest accepted configuration uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InUse {
    pairs: BTreeMap<HostKey, (TlsBinding, Arc<Pair>)>,
    authorities: BTreeMap<RouteKey, (MaterialRef, Arc<Authority>)>,
    /// How applications were verified, where that needs no object.
    verifications: BTreeMap<RouteKey, Verification>,
    /// Where plain HTTP was answered and not sent to HTTPS.
    plain: BTreeSet<RouteKey>,
}

/// A table with the material at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// The table, with the material of before in the place of what is awaited.
    pub(super) table: RouteTable,
    /// What may be used.
    pub(super) materials: Materials,
    /// The contents of the secret files in `materials`.
    pub(super) contents: Contents,
    /// What became of everything that the table names.
    pub(super) reports: Vec<MaterialReport>,
    /// Something is not mounted yet.
    pub(super) awaits: bool,
    /// When the time changes next what may be used, or what is told of it.
    pub(super) next_change: Option<Timestamp>,
    used: InUse,
}

impl Keeper {
    pub(super) fn new(directory: &Path, system_roots: &Path) -> Self {
        let (directory, system_roots) = (directory.to_owned(), system_roots.to_owned());
        Self { directory, system_roots, pairs: BTreeMap::new(), authorities: BTreeMap::new(), in_use: InUse::default() }
    }

    /// What there is for a table now.
    pub(super) fn look(&mut self, table: &RouteTable, now: Timestamp) -> Look {
        self.forget_all_but(table);
        let mut look = Look::of(table);
        look.materials.set_system_roots(self.system_roots.exists());
        look.reports.extend(report::of_system_roots(table, &self.system_roots));
        self.look_at_pairs(table, now, &mut look);
        self.look_at_authorities(table, now, &mut look);
        look.note_plain();
        look
    }

    /// Notes that the engine accepted what a look gave.
    pub(super) fn settle(&mut self, look: &Look) {
        self.in_use = look.used.clone();
    }

    /// What a look uses and no accepted configuration used before: the engine may think otherwise of it.
    pub(super) fn unproven(&self, look: &Look) -> (BTreeSet<TlsBinding>, BTreeSet<MaterialRef>) {
        let proven: BTreeSet<&TlsBinding> = self.in_use.pairs.values().map(|(binding, _)| binding).collect();
        let pairs = look.used.pairs.values().map(|(binding, _)| binding).filter(|binding| !proven.contains(binding));
        let proven: BTreeSet<&MaterialRef> = self.in_use.authorities.values().map(|(authority, _)| authority).collect();
        let authorities = look.used.authorities.values().map(|(authority, _)| authority).filter(|one| !proven.contains(one));
        (pairs.cloned().collect(), authorities.cloned().collect())
    }

    /// Notes that the engine refuses a pair although it looks good.
    pub(super) fn blame_pair(&mut self, binding: &TlsBinding, words: &str) {
        self.pairs.insert(binding.clone(), Err(engine_refusal::by_engine(words)));
    }

    /// Notes that the engine refuses a CA although it looks good.
    pub(super) fn blame_authority(&mut self, authority: &MaterialRef, words: &str) {
        self.authorities.insert(authority.clone(), Err(engine_refusal::by_engine(words)));
    }

    fn forget_all_but(&mut self, table: &RouteTable) {
        let bound: BTreeSet<&TlsBinding> = table.bindings().map(|(_, binding)| binding).collect();
        self.pairs.retain(|binding, _| bound.contains(binding));
        let named: BTreeSet<&MaterialRef> = crate::render::authorities(table).collect();
        self.authorities.retain(|authority, _| named.contains(authority));
    }

    fn look_at_pairs(&mut self, table: &RouteTable, now: Timestamp, look: &mut Look) {
        let distinct: BTreeSet<&TlsBinding> = table.bindings().map(|(_, binding)| binding).collect();
        let found: BTreeMap<&TlsBinding, Found<Pair>> = distinct.into_iter().map(|binding| (binding, self.pair(binding, now))).collect();
        look.reports.extend(found.iter().map(|(binding, found)| report::of_pair(binding, found, now)));
        for (host, binding) in table.bindings() {
            match found.get(binding) {
                Some(Found::Good(pair)) => look.use_pair(host.clone(), binding, pair, now),
                Some(Found::Awaited) => {
                    look.awaits = true;
                    if !self.use_former_pair(host.clone(), now, look) {
                        look.stay_plain(&host, &self.in_use.plain);
                    }
                }
                Some(Found::Early(fault)) => look.changes_at(fault.not_before),
                Some(Found::Bad(_)) | None => {}
            }
        }
    }

    /// Whether there is one.
    fn use_former_pair(&self, host: HostKey, now: Timestamp, look: &mut Look) -> bool {
        let former = self.in_use.pairs.get(&host).filter(|(_, pair)| pair.facts.standing(now) == Standing::Valid);
        if let Some((binding, pair)) = former {
            look.bind(&host, binding);
            look.use_pair(host, binding, pair, now);
        }
        former.is_some()
    }

    fn pair(&mut self, binding: &TlsBinding, now: Timestamp) -> Found<Pair> {
        if let Some(missing) = binding.objects().find(|object| object.id.is_none()) {
            return Found::missing(missing);
        }
        let judged = match self.pairs.get(binding) {
            Some(judged) => judged.clone(),
            None => match mounted_object::read_pair(&self.directory, binding) {
                Some(judged) => self.pairs.entry(binding.clone()).or_insert(judged.map(Arc::new)).clone(),
                None => return Found::Awaited,
            },
        };
        Found::at(now, judged, |pair| &pair.facts)
    }

    fn look_at_authorities(&mut self, table: &RouteTable, now: Timestamp, look: &mut Look) {
        let distinct: BTreeSet<&MaterialRef> = crate::render::authorities(table).collect();
        let found: BTreeMap<&MaterialRef, Found<Authority>> = distinct.into_iter().map(|one| (one, self.authority(one, now))).collect();
        look.reports.extend(found.iter().map(|(authority, found)| report::of_authority(authority, found, now)));
        for (place, protocol) in protocols(table) {
            match &protocol.tls {
                Some(Verification::Authority(authority)) => match found.get(authority) {
                    Some(Found::Good(file)) => look.use_authority(place, authority, file, now),
                    Some(Found::Awaited) => {
                        look.awaits = true;
                        self.verify_as_before(place, now, look);
                    }
                    Some(Found::Early(fault)) => look.changes_at(fault.not_before),
                    Some(Found::Bad(_)) | None => {}
                },
                Some(other) => drop(look.used.verifications.insert(place, other.clone())),
                None => {}
            }
        }
    }

    fn verify_as_before(&self, place: RouteKey, now: Timestamp, look: &mut Look) {
        let former = self.in_use.authorities.get(&place).filter(|(_, file)| file.facts.standing(now) == Standing::Valid);
        if let Some((authority, file)) = former {
            look.verify(&place, Verification::Authority(authority.clone()));
            look.use_authority(place, authority, file, now);
        } else if let Some(other) = self.in_use.verifications.get(&place) {
            look.verify(&place, other.clone());
            look.used.verifications.insert(place, other.clone());
        }
    }

    fn authority(&mut self, authority: &MaterialRef, now: Timestamp) -> Found<Authority> {
        let Some(id) = &authority.id else { return Found::missing(authority) };
        let judged = match self.authorities.get(authority) {
            Some(judged) => judged.clone(),
            None => match mounted_object::read_authority(&self.directory, id) {
                Some(judged) => self.authorities.entry(authority.clone()).or_insert(judged.map(Arc::new)).clone(),
                None => return Found::Awaited,
            },
        };
        Found::at(now, judged, |authority| &authority.facts)
    }
}

impl Look {
    fn of(table: &RouteTable) -> Self {
        Self {
            table: table.clone(),
            materials: Materials::default(),
            contents: Contents::default(),
            reports: Vec::new(),
            awaits: false,
            next_change: None,
            used: InUse::default(),
        }
    }

    fn use_pair(&mut self, host: HostKey, binding: &TlsBinding, pair: &Arc<Pair>, now: Timestamp) {
        self.contents.0.extend(pair.contents.0.clone());
        self.materials.add_pair(binding.clone(), pair.files.clone());
        self.changes_at(pair.facts.next_change(now));
        self.used.pairs.insert(host, (binding.clone(), Arc::clone(pair)));
    }

    fn use_authority(&mut self, place: RouteKey, authority: &MaterialRef, file: &Arc<Authority>, now: Timestamp) {
        self.materials.add_authority(authority.clone(), file.file.clone());
        self.changes_at(file.facts.next_change(now));
        self.used.authorities.insert(place, (authority.clone(), Arc::clone(file)));
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

    /// Where plain HTTP was answered before, it is until the host has TLS: nobody is sent to where nobody answers yet.
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

/// How the applications of each route are spoken to.
fn protocols(table: &RouteTable) -> impl Iterator<Item = (RouteKey, &BackendProtocol)> {
    let hosts = table.hosts.iter().flat_map(|(host, virtual_host)| {
        virtual_host.paths.iter().map(move |(path, route)| (RouteKey::new(host, path), &route.backend.protocol))
    });
    hosts.chain(table.default_backend.iter().map(|default| (RouteKey::default_backend(), &default.backend.protocol)))
}

#[cfg(test)]
mod tests;
