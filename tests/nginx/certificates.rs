//! Real certificates for everything that a table names: one CA per test run, and a leaf for each binding, created on first use.
//! The same name always gives the same certificate, so that writing a table twice gives the same files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use swarmgate::render::{AuthorityFile, Layout, Materials, PairFiles, SecretFile, authorities};
use swarmgate::route::{RouteTable, TlsBinding};

/// The material that a table needs, as the extension would have found it.
#[derive(Default)]
pub struct GeneratedMaterial {
    pub materials: Materials,
    /// By file name.
    pub contents: BTreeMap<String, String>,
}

static CA: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "the CA of a test");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});
static LEAVES: LazyLock<Mutex<BTreeMap<String, (String, String)>>> = LazyLock::new(Mutex::default);

/// The certificate of the CA.
pub fn ca() -> String {
    CA.pem()
}

/// A certificate and key for these names, signed by the CA of the test run.
pub fn leaf(names: &[String]) -> (String, String) {
    let mut leaves = LEAVES.lock().unwrap();
    leaves.entry(names.join(",")).or_insert_with(|| make_leaf(names)).clone()
}

fn make_leaf(names: &[String]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("nobody", String::as_str));
    (params.signed_by(&key, &CA).unwrap().pem(), key.serialize_pem())
}

/// Makes all material that the table names. The system's roots are the CA of the test run.
pub fn make(table: &RouteTable, directory: &Path, layout: &Layout) -> GeneratedMaterial {
    let mut made = GeneratedMaterial::default();
    let exists = |binding: &TlsBinding| binding.objects().all(|object| object.id.is_some());
    for (host, binding) in table.bindings().filter(|(_, binding)| exists(binding)) {
        let (certificate, key) = leaf(&[host.pattern().map_or_else(|| "default.test".to_owned(), ToString::to_string)]);
        let file = |content: &str, id: &Option<String>| SecretFile::new(content, id.as_deref().unwrap_or_default());
        let files = PairFiles { certificate: file(&certificate, &binding.certificate.id), key: file(&key, &binding.key_object().id) };
        // Next to the configuration, and at the mount points of a stock image.
        let both = format!("{certificate}{key}");
        let in_one_secret = files.certificate.secret() == files.key.secret();
        for (file, content) in [(&files.certificate, certificate), (&files.key, key)] {
            made.contents.insert(file.name().to_owned(), content.clone());
            made.contents.insert(file.secret().to_owned(), if in_one_secret { both.clone() } else { content });
        }
        made.materials.add_pair(binding.clone(), files);
    }
    for authority in authorities(table).filter(|authority| authority.id.is_some()) {
        made.materials.add_authority(authority.clone(), AuthorityFile::new([CA.der().as_ref()]).unwrap());
        made.contents.insert(authority.id.clone().unwrap_or_default(), ca());
    }
    made.materials.set_system_roots(true);
    let roots = directory.join(Path::new(layout.system_roots).file_name().unwrap());
    fs::write(roots, ca()).unwrap();
    made
}
