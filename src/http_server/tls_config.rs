//! Builds a configuration from a server's certificate and key in mounted files. Its errors are worded here and never
//! contain any of the content: a library's error may quote a key.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why the material is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// No certificate.
    #[error("the certificate file contains no valid PEM block CERTIFICATE")]
    Certificate,
    /// No key.
    #[error("the key file contains no valid PEM block with an unencrypted PRIVATE KEY")]
    Key,
    /// They do not belong together, or one is of a kind that TLS does not support here.
    #[error("the key does not belong to the first certificate, or the type of the key or certificate is not supported")]
    Mismatch,
}

/// A configuration for TLS 1.2 and 1.3 that asks clients for no certificate.
pub fn server_config(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, MaterialError> {
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(certificates).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(MaterialError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| MaterialError::Key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| MaterialError::Mismatch)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(|_| MaterialError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["x.example.org".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn invalid_material_is_refused_without_quoting_it() {
        let (certificate, key) = pair();
        let other = pair().1;
        let made = |certificate: &str, key: &str| server_config(certificate.as_bytes(), key.as_bytes()).map(drop);
        assert_eq!(made(&certificate, &key), Ok(()));
        assert_eq!(made(&format!("{certificate}{key}"), &format!("{certificate}{key}")), Ok(()), "certificate and key may be in one file");
        assert_eq!(made(&certificate, &other), Err(MaterialError::Mismatch));
        assert_eq!(made(&key, &key), Err(MaterialError::Certificate));
        assert_eq!(made(&certificate, &certificate), Err(MaterialError::Key));
        for damaged in
            [String::new(), key.replace('\n', "\\n"), key[..key.len() / 2].to_owned(), key.replace("PRIVATE", "ENCRYPTED PRIVATE")]
        {
            assert_eq!(made(&certificate, &damaged), Err(MaterialError::Key), "{damaged}");
        }
        assert_eq!(made(&certificate.replace('\n', "\\n"), &key), Err(MaterialError::Certificate));
    }
}
