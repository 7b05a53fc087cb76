//! The files that hold the certificates, keys and CAs that a table names. The caller of the renderer has read and checked
//! them: material that is missing here is not valid, and its routes do without it. Holds file names, never contents (except
//! a CA's certificates, which are public and travel with the configuration).

use std::collections::BTreeMap;

use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::route::{MaterialRef, RouteTable, TlsBinding, Verification};
use crate::types::{CERTIFICATE_LABEL, Digest, pem};

/// The available material.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Materials {
    pairs: BTreeMap<TlsBinding, PairFiles>,
    authorities: BTreeMap<MaterialRef, AuthorityFile>,
    system_roots: bool,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate with its chain.
    pub certificate: SecretFile,
    /// The key.
    pub key: SecretFile,
}

/// A file with secret content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretFile {
    name: String,
    secret: String,
}

impl SecretFile {
    /// The file for this content of the secret with this id. Different content has a different file name, so a renewed
    /// certificate changes the configuration.
    pub fn new(content: &str, secret: &str) -> Self {
        Self { name: format!("tls-{}.pem", Digest::of_bytes(content.as_bytes()).short()), secret: secret.to_owned() }
    }

    /// The file's name, in the directory of the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// A file with a CA's certificates. Its content travels with the configuration into config objects and onto volumes, so it
/// must not contain anything else: it is written here, from certificates that parse as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityFile {
    name: String,
    content: String,
}

impl AuthorityFile {
    /// The file with these certificates (DER). `None` if there are none, or if one is not exactly an X.509 certificate.
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let is_one = |der: &[u8]| X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty());
        let blocks = certificates.into_iter().map(|der| is_one(der).then(|| pem(CERTIFICATE_LABEL, der)));
        let content = blocks.collect::<Option<String>>()?;
        (!content.is_empty()).then(|| Self::with(content))
    }

    /// A placeholder for the file of an object that cannot be read here.
    fn assumed(object: &MaterialRef) -> Self {
        Self::with(format!("# the certificates in {}\n", object.name))
    }

    fn with(content: String) -> Self {
        Self { name: format!("ca-{}.pem", Digest::of_bytes(content.as_bytes()).short()), content }
    }

    /// The file's name, in the directory of the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its content.
    pub fn content(&self) -> &str {
        &self.content
    }
}

impl Materials {
    /// Removes this pair: its hosts are not published by TLS.
    pub fn leave_out(&mut self, binding: &TlsBinding) {
        self.pairs.remove(binding);
    }

    /// Removes the CA for applications' certificates: its routes answer 503.
    pub fn leave_out_verification(&mut self, verification: &Verification) {
        match verification {
            Verification::Off => {}
            Verification::System => self.system_roots = false,
            Verification::Authority(authority) => drop(self.authorities.remove(authority)),
        }
    }

    /// Everything that the table names and that exists in the Swarm, as if each object held what its name promises: to show
    /// a configuration where secrets cannot be read.
    pub fn assumed(table: &RouteTable) -> Self {
        let mut materials = Self { system_roots: true, ..Self::default() };
        for (_, binding) in table.bindings() {
            let file = |material: &MaterialRef, part: &str| {
                material.id.as_ref().map(|id| SecretFile::new(&format!("{part} of {}", material.name), id))
            };
            if let (Some(certificate), Some(key)) = (file(&binding.certificate, "certificate"), file(binding.key_object(), "key")) {
                materials.add_pair(binding.clone(), PairFiles { certificate, key });
            }
        }
        for authority in authorities(table).filter(|authority| authority.id.is_some()) {
            materials.add_authority(authority.clone(), AuthorityFile::assumed(authority));
        }
        materials
    }

    /// Adds a valid certificate with its key.
    pub fn add_pair(&mut self, binding: TlsBinding, files: PairFiles) {
        self.pairs.insert(binding, files);
    }

    /// Adds valid certificates of a CA.
    pub fn add_authority(&mut self, authority: MaterialRef, file: AuthorityFile) {
        self.authorities.insert(authority, file);
    }

    /// Sets whether the proxies' system has root certificates at [`super::Layout::system_roots`].
    pub fn set_system_roots(&mut self, there: bool) {
        self.system_roots = there;
    }

    /// The files of a binding, if it is valid.
    pub fn pair(&self, binding: &TlsBinding) -> Option<&PairFiles> {
        self.pairs.get(binding)
    }

    /// The file of a CA, if it is valid.
    pub fn authority(&self, authority: &MaterialRef) -> Option<&AuthorityFile> {
        self.authorities.get(authority)
    }

    /// Whether certificates can be checked as configured.
    pub fn can_verify(&self, verification: &Verification) -> bool {
        match verification {
            Verification::Off => true,
            Verification::System => self.system_roots,
            Verification::Authority(authority) => self.authorities.contains_key(authority),
        }
    }
}

/// The CAs that a table names.
pub fn authorities(table: &RouteTable) -> impl Iterator<Item = &MaterialRef> {
    table.backends().filter_map(|backend| match &backend.protocol.tls {
        Some(Verification::Authority(authority)) => Some(authority),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn an_authority_file_contains_only_certificates() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["ca.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (good, private) = (certificate.der().as_ref(), key.serialized_der());
        let file = AuthorityFile::new([good, good]).unwrap();
        assert_eq!(file.content(), pem(CERTIFICATE_LABEL, good).repeat(2));
        let with_more = [good, private].concat();
        for bad in [&[private][..], &[good, private], &[&with_more], &[b""], &[]] {
            assert_eq!(AuthorityFile::new(bad.iter().copied()), None);
        }
    }
}
