//! The secret files of a configuration: from the extension's offer, or otherwise from Swarm's mounts, for a start without the
//! extension. Files that need a missing secret are left out, so that everything else is served. Contents are written only to the
//! memory-backed directory of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::protocol::messages::{Bundle, SecretFiles};

/// A configuration, reduced to what its available secret files permit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UsableFiles {
    /// The files without those that are left out.
    pub(super) files: BTreeMap<String, String>,
    /// The secret files.
    pub(super) secrets: SecretFiles,
    /// The files that are left out.
    pub(super) left_out: BTreeSet<String>,
}

/// Finds the secret files of a configuration.
pub(super) fn find_secret_files(bundle: &Bundle, offered: &SecretFiles, mounts: &Path) -> UsableFiles {
    let mut fitted = UsableFiles { files: bundle.files.clone(), ..UsableFiles::default() };
    for (name, material) in &bundle.material {
        match offered.0.get(name).cloned().or_else(|| mounted(mounts, &material.secret)) {
            Some(content) => drop(fitted.secrets.0.insert(name.clone(), content)),
            None => fitted.left_out.extend(material.needed_by.iter().cloned()),
        }
    }
    fitted.files.retain(|name, _| !fitted.left_out.contains(name));
    fitted
}

/// Ids are letters and digits: anything else could lead out of the directory.
fn mounted(directory: &Path, secret: &str) -> Option<String> {
    let is_id = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let content = std::fs::read(is_id.then(|| directory.join(secret))?).ok()?;
    // Around the PEM blocks there may be text in any encoding, which the engine skips.
    Some(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::Material;
    use crate::types::{ClusterName, Digest};

    /// `nginx.conf`, and a file for each host that needs a certificate and a key.
    fn bundle(hosts: &[&str]) -> Bundle {
        let file = |host: &&str| (format!("host-{host}.conf"), String::new());
        let files = hosts.iter().map(file).chain([("nginx.conf".to_owned(), String::new())]).collect();
        let material = hosts.iter().flat_map(|host| {
            let needed_by = vec![format!("host-{host}.conf")];
            ["cert", "key"]
                .map(|part| (format!("{host}-{part}.pem"), Material { secret: format!("{host}{part}"), needed_by: needed_by.clone() }))
        });
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files).with_material(material.collect())
    }

    fn check(offered: &[&str], mounted: &[&str], expected_files: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        for secret in mounted {
            std::fs::write(directory.path().join(secret), "mounted").unwrap();
        }
        let offered = SecretFiles(offered.iter().map(|name| ((*name).to_owned(), "offered".to_owned())).collect());
        let fitted = find_secret_files(&bundle(&["a", "b"]), &offered, directory.path());
        assert_eq!(fitted.files.keys().collect::<Vec<_>>(), expected_files);
        let sources = fitted.secrets.0.iter().all(|(name, content)| (content == "offered") == offered.0.contains_key(name));
        assert!(sources, "offered secrets take precedence over mounted ones");
    }

    #[test]
    fn a_file_without_its_secrets_is_left_out_and_the_others_stay() {
        check(&[], &[], &["nginx.conf"]);
        check(&["a-cert.pem", "a-key.pem"], &["bcert", "bkey"], &["host-a.conf", "host-b.conf", "nginx.conf"]);
        check(&["a-cert.pem", "a-key.pem"], &["acert", "bcert"], &["host-a.conf", "nginx.conf"]);
        check(&["a-cert.pem"], &["akey"], &["host-a.conf", "nginx.conf"]);
    }

    #[test]
    fn an_invalid_id_is_never_looked_up() {
        let directory = tempfile::tempdir().unwrap();
        let within = directory.path().join("within");
        std::fs::create_dir(&within).unwrap();
        std::fs::write(directory.path().join("outside"), "outside").unwrap();
        for id in ["../outside", "", ".", "a/b"] {
            assert_eq!(mounted(&within, id), None);
        }
        std::fs::write(within.join("inside"), "inside").unwrap();
        assert_eq!(mounted(&within, "inside").as_deref(), Some("inside"));
        std::fs::write(within.join("latin"), b"caf\xe9\nkey").unwrap();
        assert_eq!(mounted(&within, "latin").as_deref(), Some("caf\u{fffd}\nkey"));
    }
}
