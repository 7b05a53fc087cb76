//! TLS for the channel: version 1.3, the operator's authority as the only root, names checked on both sides. The checked
//! name is the role's, never the address that was dialled.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, version};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::credentials::Credentials;

/// TLS cannot be set up: the root certificate or the name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot set up TLS for the channel: {0}")]
pub struct TlsError(String);

/// Whether clients must present a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Optional: a client without a certificate asks for its first one. The server's handlers must decide what else it
    /// gets.
    Optional,
    /// Required.
    Required,
}

/// The configuration of a server with these credentials.
pub fn server_config(credentials: &Credentials, clients: ClientAuthentication) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(credentials.root().store(), provider());
    let verifier = match clients {
        ClientAuthentication::Optional => verifier.allow_unauthenticated(),
        ClientAuthentication::Required => verifier,
    };
    let verifier = verifier.build().map_err(failed)?;
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]).map_err(failed)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(credentials.resolver());
    // A resumed session would keep an old certificate.
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The configuration of a client that only talks to a server with a certificate for `server`. With `authenticated` it
/// presents its own certificate.
pub fn client_config(credentials: &Credentials, server: &str, authenticated: bool) -> Result<ClientConfig, TlsError> {
    let inner = WebPkiServerVerifier::builder_with_provider(credentials.root().store(), provider()).build();
    let inner = inner.map_err(failed)?;
    let name = ServerName::try_from(server.to_owned()).map_err(failed)?;
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]).map_err(failed)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(RoleVerifier { inner, name }));
    let mut config = if authenticated { builder.with_client_cert_resolver(credentials.resolver()) } else { builder.with_no_client_auth() };
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn failed(error: impl std::fmt::Display) -> TlsError {
    TlsError(error.to_string())
}

/// Makes the checks of `WebPKI`, with the role's name instead of the dialled address: addresses come from names and answers
/// that anyone on the network may give.
#[derive(Debug)]
struct RoleVerifier {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for RoleVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
