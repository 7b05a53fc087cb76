//! All kinds of content that people store instead of a certificate or key.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::extension::test_certificates::{chain, pair, pair_until};
use crate::protocol::messages::MaterialState::{Mismatch, NotACertificate, NotAKey};

fn check_good(certificate: &str, key: &str, names: &[&str]) {
    let facts = read(certificate, key).unwrap();
    assert_eq!(facts.names, names);
    assert_eq!(facts.not_after().unwrap().to_string(), "2099-01-01T00:00:00Z");
}

/// The facts about a pair, in a form that can be printed without the key.
fn read(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<CertificateFacts, MaterialFault> {
    read_pair(certificate.as_ref(), key.as_ref()).map(|pair| pair.facts)
}

fn check_bad(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>, state: MaterialState, message: &str) {
    let fault = read(certificate, key).unwrap_err();
    assert_eq!(fault.state, state, "{fault:?}");
    assert!(fault.message.contains(message), "{fault:?}");
}

#[test]
fn a_certificate_and_its_key_are_valid_in_one_object_or_two() {
    let (certificate, key) = pair(&["App.example.org", "*.example.org"]);
    let names = ["*.example.org", "app.example.org"];
    check_good(&certificate, &key, &names);
    let both = format!("{certificate}{key}");
    check_good(&both, &both, &names);
    let key_first = format!("{key}{certificate}");
    check_good(&key_first, &key_first, &names);
    check_good(&certificate.replace('\n', "\r\n"), &format!("some words before\n{key}"), &names);
}

#[test]
fn a_chain_is_valid_if_the_servers_own_certificate_is_first() {
    let (certificate, authority, key) = chain(&["app.example.org"]);
    check_good(&format!("{certificate}{authority}"), &key, &["app.example.org"]);
    check_bad(format!("{authority}{certificate}"), &key, Mismatch, "certificate 2 of 2; the server's own must be first");
}

#[test]
fn an_invalid_certificate_produces_an_error_that_names_the_mistake() {
    let (certificate, key) = pair(&["app.example.org"]);
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    check_bad("", &key, NotACertificate, "empty");
    check_bad(" \n", &key, NotACertificate, "empty");
    check_bad("hello", &key, NotACertificate, "no certificate");
    check_bad(&der, &key, NotACertificate, "openssl x509 -inform der");
    check_bad([0xfd, 0x00], &key, NotACertificate, "not PEM text");
    check_bad([0xff, 0xfe, b'-', 0], &key, NotACertificate, "UTF-16");
    check_bad(&key, &key, NotACertificate, "a key but no certificate");
    check_bad(certificate.replace("MII", "!!!"), &key, NotACertificate, "damaged");
    check_bad(&certificate[..certificate.len() / 2], &key, NotACertificate, "damaged");
    let other = certificate.replace("BEGIN CERTIFICATE", "BEGIN X").replace("END CERTIFICATE", "END X");
    check_bad(other, &key, NotACertificate, "no certificate");
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check_bad(empty, &key, NotACertificate, "cannot be read");
}

#[test]
fn an_invalid_key_produces_an_error_that_names_the_mistake() {
    let (certificate, key) = pair(&["app.example.org"]);
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    check_bad(&certificate, "", NotAKey, "empty");
    check_bad(&certificate, &certificate, NotAKey, "no private key");
    check_bad(&certificate, der.secret_der(), NotAKey, "");
    check_bad(&certificate, pem("ENCRYPTED PRIVATE KEY", b"\x30\x03AAA"), NotAKey, "encrypted");
    check_bad(&certificate, pem("OPENSSH PRIVATE KEY", b"openssh-key-v1\0"), NotAKey, "another program's format");
    check_bad(&certificate, pem("PRIVATE KEY", b"AAA"), NotAKey, "not a key of that kind");
    check_bad(&certificate, key.replace('\n', "\\n"), NotAKey, "real line breaks");
    check_bad(&certificate, key.replace('\n', " "), NotAKey, "a single line");
    check_bad(&certificate, key.replace("END PRIVATE", "END RSA PRIVATE"), NotAKey, "last line");
    check_bad(&certificate, key.replacen("MI", "!!", 1), NotAKey, "not valid base64");
    check_bad(&certificate, &key[..key.len() / 2], NotAKey, "cut off");
    let both = format!("{certificate}{}", key.replacen("MI", "!!", 1));
    check_bad(&both, &both, NotAKey, "not valid base64");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    check_bad(&certificate, old, NotAKey, "encrypted");
}

#[test]
fn another_certificates_key_is_a_mismatch() {
    let (certificate, key) = pair(&["app.example.org"]);
    let other = pair(&["app.example.org"]).1;
    check_bad(&certificate, &other, Mismatch, "belongs to another certificate");
    check_bad(&certificate, format!("{other}{key}"), Mismatch, "the first one of its keys is used");
    check_good(&certificate, &format!("{key}{other}"), &["app.example.org"]);
}

#[test]
fn a_key_on_an_unknown_curve_is_left_to_the_engine() {
    let (certificate, _) = pair(&["app.example.org"]);
    check_good(
        &certificate,
        "-----BEGIN PRIVATE KEY-----\nMBUCAQAwDQYHKoZIzj0CAQYCKgMEAQA=\n-----END PRIVATE KEY-----\n",
        &["app.example.org"],
    );
}

#[test]
fn an_expired_certificate_is_read_without_an_error() {
    let (certificate, key) = pair_until(&["app.example.org"], 2001);
    assert_eq!(read(certificate, key).unwrap().not_after().unwrap().to_string(), "2001-01-01T00:00:00Z");
}

#[test]
fn several_authorities_expire_when_the_last_one_does() {
    let (early, late) = (pair_until(&["a.example"], 2001).0, pair_until(&["b.example"], 2050).0);
    let read = |content: &str| read_authority(content.as_bytes()).map(|(facts, _)| facts);
    assert_eq!(read(&format!("{early}{late}")).unwrap().not_after().unwrap().to_string(), "2050-01-01T00:00:00Z");
    assert_eq!(read("").unwrap_err().state, NotACertificate);
    assert_eq!(read(&pair(&["a.example"]).1).unwrap_err().state, MaterialState::HoldsKey);
}

#[test]
fn names_that_are_not_host_names_are_left_out() {
    let (certificate, key) = pair(&["app.example.org", "192.0.2.1"]);
    check_good(&certificate, &key, &["app.example.org"]);
}
