//! Certificates and keys that tests create on demand: none is stored, so none can expire unnoticed.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate for these hosts and its key, as PEM.
pub fn pair(hosts: &[&str]) -> (String, String) {
    pair_until(hosts, 2099)
}

/// The same, valid until the first day of a year.
pub fn pair_until(hosts: &[&str], year: i32) -> (String, String) {
    pair_between(hosts, 1975, year)
}

/// The same, valid from the first day of a year until that of another.
pub fn pair_between(hosts: &[&str], from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = params(hosts, until);
    params.not_before = date_time_ymd(from, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A certificate, the certificate of the intermediate CA that signed it (valid until the first day of a year), and the key.
pub fn chain_until(hosts: &[&str], year: i32) -> (String, String, String) {
    let [root_key, between_key, key] = std::array::from_fn(|_| KeyPair::generate().unwrap());
    let root = Issuer::new(authority("root", 2099), root_key);
    let between = authority("between", year);
    let between_pem = between.signed_by(&between_key, &root).unwrap().pem();
    let issuer = Issuer::new(between, between_key);
    (params(hosts, 2099).signed_by(&key, &issuer).unwrap().pem(), between_pem, key.serialize_pem())
}

/// A certificate, the certificate of the CA that signed it, and the key.
pub fn chain(hosts: &[&str]) -> (String, String, String) {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = authority("root", 2099);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    (params(hosts, 2099).signed_by(&key, &issuer).unwrap().pem(), authority_pem, key.serialize_pem())
}

fn authority(name: &str, year: i32) -> CertificateParams {
    let mut authority = params(&[], year);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, name);
    authority
}

fn params(hosts: &[&str], year: i32) -> CertificateParams {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    params
}
