//! Valid TLS material for everything that a table names: every object holds the same certificate and key. Other tests make
//! requests to check which certificate each host shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rcgen::{CertificateParams, KeyPair};
use swarmgate::render::{AuthorityFile, Layout, Materials, PairFiles, SecretFile, authorities};
use swarmgate::route::RouteTable;

use crate::expected_response::is_good;

/// The material that a table needs, as the extension would have found it.
#[derive(Default)]
pub struct GeneratedMaterial {
    pub materials: Materials,
    /// By file name.
    pub contents: BTreeMap<String, String>,
}

/// The certificate with its key in one text, and the certificate alone.
static CERTIFICATE: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["any.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem() + &key.serialize_pem(), certificate.der().to_vec())
});

/// Makes all material that the table names.
pub fn make(table: &RouteTable, directory: &Path, layout: &Layout) -> GeneratedMaterial {
    let mut made = GeneratedMaterial::default();
    for (_, binding) in table.bindings().filter(|(_, binding)| is_good(binding)) {
        let file = |id: &Option<String>| SecretFile::new(&CERTIFICATE.0, id.as_deref().unwrap());
        let files = PairFiles { certificate: file(&binding.certificate.id), key: file(&binding.key_object().id) };
        // Next to the configuration, and at the mount points of a stock image.
        let names = [&files.certificate, &files.key].into_iter().flat_map(|file| [file.name(), file.secret()]);
        made.contents.extend(names.map(|name| (name.to_owned(), CERTIFICATE.0.clone())));
        made.materials.add_pair(binding.clone(), files);
    }
    for authority in authorities(table).filter(|authority| authority.id.is_some()) {
        made.materials.add_authority(authority.clone(), AuthorityFile::new([CERTIFICATE.1.as_slice()]).unwrap());
        made.contents.insert(authority.id.clone().unwrap(), CERTIFICATE.0.clone());
    }
    made.materials.set_system_roots(true);
    fs::write(directory.join(Path::new(layout.system_roots).file_name().unwrap()), CERTIFICATE.0.as_bytes()).unwrap();
    made
}
