//! Which material is used, and what stays in use while an object is not mounted yet.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::extension::test_certificates::{chain, chain_until, pair, pair_between};
use crate::protocol::messages::MaterialState;
use crate::route::{Backend, DefaultBackend, MaterialKind, PathRoute, VirtualHost};
use crate::types::{ClusterName, EngineKind, HostPattern, ObjectName, Port};

/// A directory of mounted objects and a store that reads it.
struct MountFixture {
    directory: TempDir,
    store: MaterialStore,
}

impl MountFixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = MaterialStore::new(directory.path(), Path::new("/nonexistent/roots"));
        Self { directory, store }
    }

    fn mount(&self, id: &str, content: &str) {
        fs::write(self.directory.path().join(id), content).unwrap();
    }

    /// Mounts a certificate with its key in one object, and returns the certificate.
    fn mount_pair(&self, id: &str, host: &str, year: i32) -> String {
        self.mount_pair_from(id, host, 1975, year)
    }

    fn mount_pair_from(&self, id: &str, host: &str, from: i32, until: i32) -> String {
        let (certificate, key) = pair_between(&[host], from, until);
        self.mount(id, &format!("a comment\n{certificate}{key}"));
        certificate
    }

    fn resolve(&mut self, table: &RouteTable) -> ResolvedTable {
        self.resolve_at(table, "2026-06-01T00:00:00Z")
    }

    fn resolve_at(&mut self, table: &RouteTable, now: &str) -> ResolvedTable {
        let resolved = self.store.resolve(table, now.parse().unwrap());
        self.store.settle(&resolved);
        resolved
    }
}

fn object(id: &str) -> MaterialRef {
    let exists = id != "missing";
    MaterialRef { kind: MaterialKind::Secret, name: ObjectName::parse(&format!("name-{id}")).unwrap(), id: exists.then(|| id.to_owned()) }
}

fn binding(id: &str) -> TlsBinding {
    TlsBinding { certificate: object(id), key: None }
}

fn host(name: &str) -> HostPattern {
    HostPattern::parse(name).unwrap()
}

/// Hosts, each with the object that holds its certificate and key.
fn table(hosts: &[(&str, &str)]) -> RouteTable {
    let mut table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(80).unwrap());
    table.https_port = Port::new(443).ok();
    for (name, id) in hosts {
        table.hosts.insert(host(name), VirtualHost { tls: Some(binding(id)), ..VirtualHost::default() });
    }
    table
}

fn states(resolved: &ResolvedTable) -> Vec<(&str, MaterialState)> {
    resolved.reports.iter().map(|report| (report.certificate.as_str(), report.state)).collect()
}

/// The certificate with which a host is published, if it has TLS.
fn shown(resolved: &ResolvedTable, name: &str) -> Option<String> {
    let files = resolved.materials.pair(resolved.table.hosts[&host(name)].tls.as_ref()?)?;
    let [certificate, key] = [&files.certificate, &files.key].map(|file| &resolved.contents.0[file.name()]);
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && !certificate.contains("PRIVATE"), "each in its own file");
    Some(certificate.clone())
}

#[test]
fn an_invalid_object_disables_tls_only_for_its_own_host() {
    let mut mounts = MountFixture::new();
    let good = mounts.mount_pair("good", "a.example", 2099);
    mounts.mount("bad", "no certificate");
    mounts.mount_pair("old", "c.example", 2026);
    let table = table(&[("a.example", "good"), ("b.example", "bad"), ("c.example", "old"), ("d.example", "missing")]);
    let resolved = mounts.resolve(&table);
    assert_eq!(shown(&resolved, "a.example"), Some(good));
    for name in ["b.example", "c.example", "d.example"] {
        assert_eq!(shown(&resolved, name), None);
    }
    let expected = [
        ("name-bad", MaterialState::NotACertificate),
        ("name-good", MaterialState::Good),
        ("name-missing", MaterialState::Missing),
        ("name-old", MaterialState::Expired),
    ];
    assert_eq!(states(&resolved), expected);
    assert!(!resolved.awaits && resolved.table == table);
    assert_eq!(resolved.reports[1].names, ["a.example"]);
}

#[test]
fn a_host_keeps_its_previous_material_until_the_new_object_is_mounted() {
    let mut mounts = MountFixture::new();
    let [one, two] = ["one", "two"].map(|id| mounts.mount_pair(id, "a.example", 2099));
    mounts.resolve(&table(&[("a.example", "one"), ("b.example", "two")]));
    let awaiting = table(&[("a.example", "new"), ("b.example", "new"), ("c.example", "new")]);
    for _ in 0..2 {
        let resolved = mounts.resolve(&awaiting);
        assert_eq!(
            (shown(&resolved, "a.example"), shown(&resolved, "b.example")),
            (Some(one.clone()), Some(two.clone())),
            "each host keeps its own"
        );
        assert_eq!(shown(&resolved, "c.example"), None, "the host had no certificate before");
        assert!(resolved.awaits);
        assert_eq!(states(&resolved), [("name-new", MaterialState::Awaited)]);
    }
    let new = mounts.mount_pair("new", "a.example", 2099);
    let resolved = mounts.resolve(&awaiting);
    assert!(["a.example", "b.example", "c.example"].iter().all(|name| shown(&resolved, name).as_ref() == Some(&new)) && !resolved.awaits);
    assert_eq!(resolved.table, awaiting);
}

/// One change of labels adds a host's first certificate and its redirect; the certificate is mounted seconds later.
#[test]
fn plain_requests_are_not_sent_to_a_host_that_has_no_tls_yet() {
    let mut mounts = MountFixture::new();
    let mut before = verifying(None);
    before.hosts.get_mut(&host("a.example")).unwrap().tls = None;
    mounts.resolve(&before);
    let mut after = before.clone();
    let redirected = after.hosts.get_mut(&host("a.example")).unwrap();
    redirected.tls = Some(binding("new"));
    redirected.paths.values_mut().for_each(|route| route.https_only = true);
    after.hosts.insert(host("b.example"), after.hosts[&host("a.example")].clone());
    let redirects = |resolved: &ResolvedTable, name: &str| resolved.table.hosts[&host(name)].paths.values().all(|route| route.https_only);
    for _ in 0..2 {
        let resolved = mounts.resolve(&after);
        assert!(!redirects(&resolved, "a.example"), "the host answers as before");
        assert!(redirects(&resolved, "b.example"), "the host had no answer before");
    }
    mounts.mount_pair("new", "a.example", 2099);
    assert_eq!(mounts.resolve(&after).table, after);
    before.hosts = after.hosts;
    assert_eq!(mounts.resolve(&before).table, before);
}

#[test]
fn the_previous_certificate_is_not_kept_after_it_expires_or_if_the_new_object_is_invalid() {
    let mut mounts = MountFixture::new();
    mounts.mount_pair("one", "a.example", 2027);
    mounts.resolve(&table(&[("a.example", "one")]));
    mounts.mount("bad", "no certificate");
    assert_eq!(shown(&mounts.resolve(&table(&[("a.example", "bad")])), "a.example"), None);

    mounts.resolve(&table(&[("a.example", "one")]));
    let awaiting = table(&[("a.example", "new")]);
    assert!(shown(&mounts.resolve_at(&awaiting, "2026-12-31T23:59:59Z"), "a.example").is_some());
    assert_eq!(shown(&mounts.resolve_at(&awaiting, "2027-01-01T00:00:00Z"), "a.example"), None);
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_not_used_before_its_time() {
    let mut mounts = MountFixture::new();
    mounts.mount_pair("old", "a.example", 2099);
    let new = mounts.mount_pair_from("new", "a.example", 2030, 2099);
    mounts.resolve(&table(&[("a.example", "old")]));
    let renewed = table(&[("a.example", "new"), ("b.example", "new")]);
    for _ in 0..2 {
        let resolved = mounts.resolve(&renewed);
        assert_eq!((shown(&resolved, "a.example"), shown(&resolved, "b.example")), (None, None), "as after a restart of the extension");
        assert_eq!(states(&resolved), [("name-new", MaterialState::NotYetValid)]);
        assert!(!resolved.awaits, "a certificate with a future date is not awaited");
        assert_eq!(resolved.next_change.unwrap().to_string(), "2030-01-01T00:00:00Z");
        assert_eq!(resolved.reports[0].message, "it is not valid before 2030-01-01 at 00:00 UTC");
        assert_eq!(resolved.reports[0].not_before, resolved.next_change);
    }
    let resolved = mounts.resolve_at(&renewed, "2030-01-01T00:00:00Z");
    assert_eq!([shown(&resolved, "a.example"), shown(&resolved, "b.example")], [Some(new.clone()), Some(new)]);
    assert_eq!(states(&resolved), [("name-new", MaterialState::Good)]);
}

#[test]
fn an_authority_is_used_as_soon_as_one_of_its_certificates_is_valid() {
    let mut mounts = MountFixture::new();
    let [gone, later] = [(1975, 2026), (2030, 2040)].map(|(from, until)| pair_between(&["ca.example"], from, until).0);
    mounts.mount("ca", &format!("{gone}{later}"));
    let authority = Verification::Authority(object("ca"));
    let resolved = mounts.resolve(&verifying(Some(authority.clone())));
    assert!(!resolved.materials.can_verify(&authority) && resolved.next_change.unwrap().to_string() == "2030-01-01T00:00:00Z");
    let resolved = mounts.resolve_at(&verifying(Some(authority.clone())), "2030-01-01T00:00:00Z");
    assert!(resolved.materials.can_verify(&authority) && resolved.next_change.unwrap().to_string() == "2040-01-01T00:00:00Z");
}

#[test]
fn an_authority_with_a_key_is_not_used_and_others_are_rewritten() {
    let mut mounts = MountFixture::new();
    let (_, authority, key) = chain(&["a.example"]);
    mounts.mount("ca", &format!("some words\n{authority}more words\n{authority}"));
    let verification = Verification::Authority(object("ca"));
    let resolved = mounts.resolve(&verifying(Some(verification.clone())));
    assert_eq!(resolved.materials.authority(&object("ca")).unwrap().content(), authority, "each certificate once, without comments");
    for content in [format!("{authority}{key}"), format!("{key}{authority}")] {
        let mut mounts = MountFixture::new();
        mounts.mount("ca", &content);
        let resolved = mounts.resolve(&verifying(Some(verification.clone())));
        assert_eq!(states(&resolved), [("name-ca", MaterialState::HoldsKey)]);
        assert!(!resolved.materials.can_verify(&verification));
    }
}

#[test]
fn an_expired_chain_is_reported() {
    let mut mounts = MountFixture::new();
    let (certificate, intermediate, key) = chain_until(&["a.example"], 2030);
    mounts.mount("one", &format!("{certificate}{intermediate}{key}"));
    let table = table(&[("a.example", "one")]);
    let resolved = mounts.resolve(&table);
    assert!(resolved.reports[0].doubts.is_empty() && resolved.next_change.unwrap().to_string() == "2030-01-01T00:00:00Z");
    let resolved = mounts.resolve_at(&table, "2030-01-01T00:00:00Z");
    assert_eq!(resolved.reports[0].doubts[0].message, "chain certificate 2 expired on 2030-01-01 at 00:00 UTC");
    assert!(shown(&resolved, "a.example").is_some());
}

#[test]
fn the_next_change_is_when_the_first_certificate_in_use_expires() {
    let mut mounts = MountFixture::new();
    mounts.mount_pair("late", "a.example", 2050);
    mounts.mount_pair("early", "b.example", 2040);
    mounts.mount_pair("unused", "c.example", 2030);
    let hosts = table(&[("a.example", "late"), ("b.example", "early")]);
    assert_eq!(mounts.resolve(&hosts).next_change.unwrap().to_string(), "2040-01-01T00:00:00Z");
    let later = mounts.resolve_at(&hosts, "2040-01-01T00:00:00Z");
    assert_eq!(shown(&later, "b.example"), None);
    assert_eq!(later.next_change.unwrap().to_string(), "2050-01-01T00:00:00Z");
    assert_eq!(later.reports[0].not_after.unwrap().to_string(), "2040-01-01T00:00:00Z", "a past expiry is still reported");
}

#[test]
fn material_that_the_engine_rejects_is_invalid_even_if_it_looks_valid() {
    let mut mounts = MountFixture::new();
    mounts.mount_pair("weak", "a.example", 2099);
    let table = table(&[("a.example", "weak")]);
    let resolved = mounts.store.resolve(&table, "2026-06-01T00:00:00Z".parse().unwrap());
    assert_eq!(mounts.store.unproven(&resolved).0.into_iter().collect::<Vec<_>>(), [binding("weak")]);
    let message = "nginx: [emerg] SSL_CTX_use_PrivateKey(\"tls.pem\") failed (error:05800074:x509:key values mismatch)\ntest failed";
    let engine = crate::runtime::engine(EngineKind::Nginx, Path::new("nginx"), Path::new("/nonexistent"));
    mounts.store.reject_pair(&binding("weak"), engine.certificate_fault(message));
    let resolved = mounts.resolve(&table);
    assert_eq!(states(&resolved), [("name-weak", MaterialState::Mismatch)]);
    assert_eq!(shown(&resolved, "a.example"), None);
    assert_eq!(resolved.reports[0].message, "the key belongs to another certificate (OpenSSL error 05800074)");
}

#[test]
fn material_in_use_is_never_a_suspect() {
    let mut mounts = MountFixture::new();
    mounts.mount_pair("one", "a.example", 2099);
    let resolved = mounts.resolve(&table(&[("a.example", "one")]));
    assert!(mounts.store.unproven(&resolved).0.is_empty());
}

fn verifying(verification: Option<Verification>) -> RouteTable {
    let mut table = table(&[]);
    let protocol = BackendProtocol { http2: false, tls: verification };
    let route = PathRoute::to(Backend { protocol, ..Backend::default() });
    table.hosts.insert(host("a.example"), VirtualHost { paths: [(ContextPath::root(), route)].into(), ..VirtualHost::default() });
    table
}

fn verified(resolved: &ResolvedTable) -> Option<Verification> {
    resolved.table.hosts[&host("a.example")].paths[&ContextPath::root()].backend.protocol.tls.clone()
}

#[test]
fn applications_are_verified_with_the_previous_authority_until_the_new_one_is_mounted() {
    let mut mounts = MountFixture::new();
    mounts.mount("ca", &pair(&["ca.example"]).0);
    let (old, new) = (Verification::Authority(object("ca")), Verification::Authority(object("new")));
    let resolved = mounts.resolve(&verifying(Some(old.clone())));
    assert!(resolved.materials.can_verify(&old) && !resolved.awaits);
    let resolved = mounts.resolve(&verifying(Some(new.clone())));
    assert!(resolved.awaits && resolved.materials.can_verify(&old));
    assert_eq!(verified(&resolved), Some(old));
    mounts.mount("new", &pair(&["ca.example"]).0);
    let resolved = mounts.resolve(&verifying(Some(new.clone())));
    assert!(!resolved.awaits && resolved.materials.can_verify(&new) && verified(&resolved) == Some(new));
}

#[test]
fn an_application_that_was_not_verified_stays_unverified_until_the_authority_is_mounted() {
    let mut mounts = MountFixture::new();
    mounts.resolve(&verifying(Some(Verification::Off)));
    let awaiting = verifying(Some(Verification::Authority(object("new"))));
    for _ in 0..2 {
        assert_eq!(verified(&mounts.resolve(&awaiting)), Some(Verification::Off));
    }
    mounts.mount("new", "no certificate");
    let resolved = mounts.resolve(&awaiting);
    assert_eq!(verified(&resolved), Some(Verification::Authority(object("new"))), "an invalid authority is not awaited");
    assert!(!resolved.materials.can_verify(&Verification::Authority(object("new"))));
}

#[test]
fn the_default_backend_also_keeps_its_previous_certificate() {
    let mut mounts = MountFixture::new();
    let one = mounts.mount_pair("one", "a.example", 2099);
    let with = |id: &str| {
        let mut table = table(&[]);
        table.default_backend = Some(DefaultBackend { tls: Some(binding(id)), ..DefaultBackend::plain(Backend::default()) });
        table
    };
    mounts.resolve(&with("one"));
    let resolved = mounts.resolve(&with("new"));
    assert_eq!(resolved.table.default_backend.as_ref().unwrap().tls, Some(binding("one")));
    assert!(resolved.contents.0.values().any(|content| *content == one));
}

#[test]
fn missing_root_certificates_are_reported_only_if_a_route_needs_them() {
    let mut mounts = MountFixture::new();
    assert_eq!(mounts.resolve(&table(&[])).reports, []);
    let resolved = mounts.resolve(&verifying(Some(Verification::System)));
    assert_eq!(states(&resolved), [("/nonexistent/roots", MaterialState::Missing)]);
}

#[test]
fn contents_are_never_printed() {
    let mut mounts = MountFixture::new();
    let content = mounts.mount_pair("one", "a.example", 2099);
    let resolved = mounts.resolve(&table(&[("a.example", "one")]));
    let printed = format!("{resolved:?}");
    assert!(printed.contains("tls-"), "{printed}");
    assert!(content.lines().filter(|line| line.len() > 30).all(|line| !printed.contains(line)));
}
