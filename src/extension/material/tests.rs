//! What a look finds, and what stays in use when something is not there yet.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::extension::test_certificates::{chain, chain_until, pair, pair_between};
use crate::protocol::messages::MaterialState;
use crate::route::{Backend, DefaultBackend, MaterialKind, PathRoute, VirtualHost};
use crate::types::{ClusterName, HostPattern, ObjectName, Port};

/// A directory of mounts with a keeper that reads them.
struct Bench {
    mounts: TempDir,
    keeper: Keeper,
}

impl Bench {
    fn new() -> Self {
        let mounts = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(mounts.path(), Path::new("/nonexistent/roots"));
        Self { mounts, keeper }
    }

    fn mount(&self, id: &str, content: &str) {
        fs::write(self.mounts.path().join(id), content).unwrap();
    }

    /// Mounts a certificate with its key in one object, and gives the certificate.
    fn mount_pair(&self, id: &str, host: &str, year: i32) -> String {
        self.mount_pair_from(id, host, 1975, year)
    }

    fn mount_pair_from(&self, id: &str, host: &str, from: i32, until: i32) -> String {
        let (certificate, key) = pair_between(&[host], from, until);
        self.mount(id, &format!("a comment\n{certificate}{key}"));
        certificate
    }

    fn look(&mut self, table: &RouteTable) -> Look {
        self.look_at(table, "2026-06-01T00:00:00Z")
    }

    fn look_at(&mut self, table: &RouteTable, now: &str) -> Look {
        let look = self.keeper.look(table, now.parse().unwrap());
        self.keeper.settle(&look);
        look
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

/// Hosts with the object that holds the certificate and key of each.
fn table(hosts: &[(&str, &str)]) -> RouteTable {
    let mut table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(80).unwrap());
    table.https_port = Port::new(443).ok();
    for (name, id) in hosts {
        table.hosts.insert(host(name), VirtualHost { tls: Some(binding(id)), ..VirtualHost::default() });
    }
    table
}

fn states(look: &Look) -> Vec<(&str, MaterialState)> {
    look.reports.iter().map(|report| (report.certificate.as_str(), report.state)).collect()
}

/// The certificate that a host is published with, if it is by TLS.
fn shown(look: &Look, name: &str) -> Option<String> {
    let files = look.materials.pair(look.table.hosts[&host(name)].tls.as_ref()?)?;
    let [certificate, key] = [&files.certificate, &files.key].map(|file| &look.contents.0[file.name()]);
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----") && !certificate.contains("PRIVATE"), "each in a file of its own");
    Some(certificate.clone())
}

#[test]
fn one_bad_object_costs_its_host_tls_and_no_other() {
    let mut bench = Bench::new();
    let good = bench.mount_pair("good", "a.example", 2099);
    bench.mount("bad", "no certificate");
    bench.mount_pair("old", "c.example", 2026);
    let table = table(&[("a.example", "good"), ("b.example", "bad"), ("c.example", "old"), ("d.example", "missing")]);
    let look = bench.look(&table);
    assert_eq!(shown(&look, "a.example"), Some(good));
    for name in ["b.example", "c.example", "d.example"] {
        assert_eq!(shown(&look, name), None);
    }
    let expected = [
        ("name-bad", MaterialState::NotACertificate),
        ("name-good", MaterialState::Good),
        ("name-missing", MaterialState::Missing),
        ("name-old", MaterialState::Expired),
    ];
    assert_eq!(states(&look), expected);
    assert!(!look.awaits && look.table == table);
    assert_eq!(look.reports[1].names, ["a.example"]);
}

#[test]
fn what_a_host_used_before_stays_until_the_new_object_is_mounted() {
    let mut bench = Bench::new();
    let [one, two] = ["one", "two"].map(|id| bench.mount_pair(id, "a.example", 2099));
    bench.look(&table(&[("a.example", "one"), ("b.example", "two")]));
    let awaiting = table(&[("a.example", "new"), ("b.example", "new"), ("c.example", "new")]);
    for _ in 0..2 {
        let look = bench.look(&awaiting);
        assert_eq!((shown(&look, "a.example"), shown(&look, "b.example")), (Some(one.clone()), Some(two.clone())), "each its own");
        assert_eq!(shown(&look, "c.example"), None, "it had none");
        assert!(look.awaits);
        assert_eq!(states(&look), [("name-new", MaterialState::Awaited)]);
    }
    let new = bench.mount_pair("new", "a.example", 2099);
    let look = bench.look(&awaiting);
    assert!(["a.example", "b.example", "c.example"].iter().all(|name| shown(&look, name).as_ref() == Some(&new)) && !look.awaits);
    assert_eq!(look.table, awaiting);
}

/// The first certificate of a host and the redirect to it come in one change of labels; the certificate is mounted seconds later.
#[test]
fn plain_requests_are_not_sent_to_a_host_that_has_no_tls_yet() {
    let mut bench = Bench::new();
    let mut before = verifying(None);
    before.hosts.get_mut(&host("a.example")).unwrap().tls = None;
    bench.look(&before);
    let mut after = before.clone();
    let redirected = after.hosts.get_mut(&host("a.example")).unwrap();
    redirected.tls = Some(binding("new"));
    redirected.paths.values_mut().for_each(|route| route.https_only = true);
    after.hosts.insert(host("b.example"), after.hosts[&host("a.example")].clone());
    let redirects = |look: &Look, name: &str| look.table.hosts[&host(name)].paths.values().all(|route| route.https_only);
    for _ in 0..2 {
        let look = bench.look(&after);
        assert!(!redirects(&look, "a.example"), "it answers as before");
        assert!(redirects(&look, "b.example"), "nobody was answered there before");
    }
    bench.mount_pair("new", "a.example", 2099);
    assert_eq!(bench.look(&after).table, after);
    before.hosts = after.hosts;
    assert_eq!(bench.look(&before).table, before);
}

#[test]
fn the_certificate_of_before_is_not_kept_beyond_its_time_nor_for_an_object_that_is_bad() {
    let mut bench = Bench::new();
    bench.mount_pair("one", "a.example", 2027);
    bench.look(&table(&[("a.example", "one")]));
    bench.mount("bad", "no certificate");
    assert_eq!(shown(&bench.look(&table(&[("a.example", "bad")])), "a.example"), None);

    bench.look(&table(&[("a.example", "one")]));
    let awaiting = table(&[("a.example", "new")]);
    assert!(shown(&bench.look_at(&awaiting, "2026-12-31T23:59:59Z"), "a.example").is_some());
    assert_eq!(shown(&bench.look_at(&awaiting, "2027-01-01T00:00:00Z"), "a.example"), None);
}

#[test]
fn what_is_not_valid_yet_waits_for_its_time_whatever_ran_before() {
    let mut bench = Bench::new();
    bench.mount_pair("old", "a.example", 2099);
    let new = bench.mount_pair_from("new", "a.example", 2030, 2099);
    bench.look(&table(&[("a.example", "old")]));
    let renewed = table(&[("a.example", "new"), ("b.example", "new")]);
    for _ in 0..2 {
        let look = bench.look(&renewed);
        assert_eq!((shown(&look, "a.example"), shown(&look, "b.example")), (None, None), "as after a restart of the extension");
        assert_eq!(states(&look), [("name-new", MaterialState::NotYetValid)]);
        assert!(!look.awaits, "nobody has to look every second, nor to hold anything back");
        assert_eq!(look.next_change.unwrap().to_string(), "2030-01-01T00:00:00Z");
        assert_eq!(look.reports[0].words, "it is valid from 2030-01-01 at 00:00 UTC on");
        assert_eq!(look.reports[0].not_before, look.next_change);
    }
    let look = bench.look_at(&renewed, "2030-01-01T00:00:00Z");
    assert_eq!([shown(&look, "a.example"), shown(&look, "b.example")], [Some(new.clone()), Some(new)]);
    assert_eq!(states(&look), [("name-new", MaterialState::Good)]);
}

#[test]
fn an_authority_is_used_as_soon_as_one_of_its_certificates_is_valid() {
    let mut bench = Bench::new();
    let [gone, later] = [(1975, 2026), (2030, 2040)].map(|(from, until)| pair_between(&["ca.example"], from, until).0);
    bench.mount("ca", &format!("{gone}{later}"));
    let authority = Verification::Authority(object("ca"));
    let look = bench.look(&verifying(Some(authority.clone())));
    assert!(!look.materials.can_verify(&authority) && look.next_change.unwrap().to_string() == "2030-01-01T00:00:00Z");
    let look = bench.look_at(&verifying(Some(authority.clone())), "2030-01-01T00:00:00Z");
    assert!(look.materials.can_verify(&authority) && look.next_change.unwrap().to_string() == "2040-01-01T00:00:00Z");
}

#[test]
fn an_authority_with_a_key_is_not_used_at_all_and_the_others_are_written_anew() {
    let mut bench = Bench::new();
    let (_, authority, key) = chain(&["a.example"]);
    bench.mount("ca", &format!("some words\n{authority}more words\n{authority}"));
    let verification = Verification::Authority(object("ca"));
    let look = bench.look(&verifying(Some(verification.clone())));
    assert_eq!(look.materials.authority(&object("ca")).unwrap().content(), authority, "once, and no words");
    for content in [format!("{authority}{key}"), format!("{key}{authority}")] {
        let mut bench = Bench::new();
        bench.mount("ca", &content);
        let look = bench.look(&verifying(Some(verification.clone())));
        assert_eq!(states(&look), [("name-ca", MaterialState::HoldsKey)]);
        assert!(!look.materials.can_verify(&verification));
    }
}

#[test]
fn a_chain_that_expires_is_doubted_from_then_on() {
    let mut bench = Bench::new();
    let (certificate, intermediate, key) = chain_until(&["a.example"], 2030);
    bench.mount("one", &format!("{certificate}{intermediate}{key}"));
    let table = table(&[("a.example", "one")]);
    let look = bench.look(&table);
    assert!(look.reports[0].doubts.is_empty() && look.next_change.unwrap().to_string() == "2030-01-01T00:00:00Z");
    let look = bench.look_at(&table, "2030-01-01T00:00:00Z");
    assert_eq!(look.reports[0].doubts[0].words, "certificate 2 in it, of the chain, expired on 2030-01-01 at 00:00 UTC");
    assert!(shown(&look, "a.example").is_some());
}

#[test]
fn what_is_used_changes_next_when_the_first_of_it_expires() {
    let mut bench = Bench::new();
    bench.mount_pair("late", "a.example", 2050);
    bench.mount_pair("early", "b.example", 2040);
    bench.mount_pair("unused", "c.example", 2030);
    let hosts = table(&[("a.example", "late"), ("b.example", "early")]);
    assert_eq!(bench.look(&hosts).next_change.unwrap().to_string(), "2040-01-01T00:00:00Z");
    let later = bench.look_at(&hosts, "2040-01-01T00:00:00Z");
    assert_eq!(shown(&later, "b.example"), None);
    assert_eq!(later.next_change.unwrap().to_string(), "2050-01-01T00:00:00Z");
    assert_eq!(later.reports[0].not_after.unwrap().to_string(), "2040-01-01T00:00:00Z", "told although it is past");
}

#[test]
fn what_the_engine_refuses_is_bad_although_it_looks_good() {
    let mut bench = Bench::new();
    bench.mount_pair("weak", "a.example", 2099);
    let table = table(&[("a.example", "weak")]);
    let look = bench.keeper.look(&table, "2026-06-01T00:00:00Z".parse().unwrap());
    assert_eq!(bench.keeper.unproven(&look).0.into_iter().collect::<Vec<_>>(), [binding("weak")]);
    let words = "nginx: [emerg] SSL_CTX_use_PrivateKey(\"tls.pem\") failed (error:05800074:x509:key values mismatch)\ntest failed";
    bench.keeper.blame_pair(&binding("weak"), words);
    let look = bench.look(&table);
    assert_eq!(states(&look), [("name-weak", MaterialState::Mismatch)]);
    assert_eq!(shown(&look, "a.example"), None);
    assert_eq!(look.reports[0].words, "the key is another certificate's (OpenSSL error 05800074)");
}

#[test]
fn nothing_that_is_in_force_is_a_suspect() {
    let mut bench = Bench::new();
    bench.mount_pair("one", "a.example", 2099);
    let look = bench.look(&table(&[("a.example", "one")]));
    assert!(bench.keeper.unproven(&look).0.is_empty());
}

fn verifying(verification: Option<Verification>) -> RouteTable {
    let mut table = table(&[]);
    let protocol = BackendProtocol { http2: false, tls: verification };
    let route = PathRoute::to(Backend { protocol, ..Backend::default() });
    table.hosts.insert(host("a.example"), VirtualHost { paths: [(ContextPath::root(), route)].into(), ..VirtualHost::default() });
    table
}

fn verified(look: &Look) -> Option<Verification> {
    look.table.hosts[&host("a.example")].paths[&ContextPath::root()].backend.protocol.tls.clone()
}

#[test]
fn applications_are_verified_as_before_until_the_new_authority_is_mounted() {
    let mut bench = Bench::new();
    bench.mount("ca", &pair(&["ca.example"]).0);
    let (old, new) = (Verification::Authority(object("ca")), Verification::Authority(object("new")));
    let look = bench.look(&verifying(Some(old.clone())));
    assert!(look.materials.can_verify(&old) && !look.awaits);
    let look = bench.look(&verifying(Some(new.clone())));
    assert!(look.awaits && look.materials.can_verify(&old));
    assert_eq!(verified(&look), Some(old));
    bench.mount("new", &pair(&["ca.example"]).0);
    let look = bench.look(&verifying(Some(new.clone())));
    assert!(!look.awaits && look.materials.can_verify(&new) && verified(&look) == Some(new));
}

#[test]
fn an_application_that_was_not_verified_is_not_until_the_authority_is_mounted() {
    let mut bench = Bench::new();
    bench.look(&verifying(Some(Verification::Off)));
    let awaiting = verifying(Some(Verification::Authority(object("new"))));
    for _ in 0..2 {
        assert_eq!(verified(&bench.look(&awaiting)), Some(Verification::Off));
    }
    bench.mount("new", "no certificate");
    let look = bench.look(&awaiting);
    assert_eq!(verified(&look), Some(Verification::Authority(object("new"))), "bad is not awaited: it is not verified by nothing");
    assert!(!look.materials.can_verify(&Verification::Authority(object("new"))));
}

#[test]
fn a_default_backend_keeps_its_certificate_too() {
    let mut bench = Bench::new();
    let one = bench.mount_pair("one", "a.example", 2099);
    let with = |id: &str| {
        let mut table = table(&[]);
        table.default_backend = Some(DefaultBackend { tls: Some(binding(id)), ..DefaultBackend::plain(Backend::default()) });
        table
    };
    bench.look(&with("one"));
    let look = bench.look(&with("new"));
    assert_eq!(look.table.default_backend.as_ref().unwrap().tls, Some(binding("one")));
    assert!(look.contents.0.values().any(|content| *content == one));
}

#[test]
fn missing_root_certificates_are_told_when_they_are_wanted() {
    let mut bench = Bench::new();
    assert_eq!(bench.look(&table(&[])).reports, []);
    let look = bench.look(&verifying(Some(Verification::System)));
    assert_eq!(states(&look), [("/nonexistent/roots", MaterialState::Missing)]);
}

#[test]
fn contents_are_never_part_of_what_is_printed() {
    let mut bench = Bench::new();
    let content = bench.mount_pair("one", "a.example", 2099);
    let look = bench.look(&table(&[("a.example", "one")]));
    let printed = format!("{look:?}");
    assert!(printed.contains("tls-"), "{printed}");
    assert!(content.lines().filter(|line| line.len() > 30).all(|line| !printed.contains(line)));
}
