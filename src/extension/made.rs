//! Certificates and keys that tests make when they need them: none is stored, none can expire unnoticed.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate for these hosts and its key, as PEM.
pub fn pair(hosts: &[&str]) -> (String, String) {
    pair_until(hosts, 2099)
}

/// The same, valid until the first day of a year.
pub fn pair_until(hosts: &[&str], year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (params(hosts, year).self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A certificate, that of the CA which signed it, and the key.
pub fn chain(hosts: &[&str]) -> (String, String, String) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = params(&[], 2099);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    (params(hosts, 2099).signed_by(&key, &issuer).unwrap().pem(), authority_pem, key.serialize_pem())
}

fn params(hosts: &[&str], year: i32) -> CertificateParams {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    params
}
