//! Certificates made for a test, and clients that record the certificate they are shown instead of verifying it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;

use crate::accept_any_certificate::client_config;
use crate::traffic::{LoadOutcome, SteadyLoad, exchange};

/// A certificate with its key.
pub struct Certificate {
    /// The certificate and the key, as one object holds them.
    pub pem: String,
    /// The certificate alone.
    pub chain: String,
    /// The certificate that clients are shown, in DER.
    pub der: Vec<u8>,
}

/// A certificate for a host that outlives every test.
pub fn certificate(host: &str) -> Certificate {
    certificate_for(host, Duration::from_secs(365 * 24 * 3600))
}

/// A certificate that is valid for this long.
pub fn certificate_for(host: &str, time: Duration) -> Certificate {
    made(host, |params, now| params.not_after = date_time_ymd(1970, 1, 1) + now + time)
}

fn made(host: &str, set: impl FnOnce(&mut CertificateParams, Duration)) -> Certificate {
    let now = Duration::from_secs(u64::try_from(jiff::Timestamp::now().as_second()).unwrap());
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    set(&mut params, now);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let chain = certificate.pem();
    Certificate { pem: format!("{chain}{}", key.serialize_pem()), chain, der: certificate.der().to_vec() }
}

/// A certificate that becomes valid only after this time.
pub fn certificate_after(host: &str, time: Duration) -> Certificate {
    made(host, |params, now| params.not_before = date_time_ymd(1970, 1, 1) + now + time)
}

/// The certificate that the proxy shows to a client that names this host.
pub async fn handshake(proxy: SocketAddr, host: Option<&str>) -> Result<Vec<u8>, String> {
    connect(proxy, host).await.map(|connection| leaf(&connection))
}

/// The certificate, and the answer to a request.
pub async fn shown(proxy: SocketAddr, host: Option<&str>) -> Result<(Vec<u8>, String), String> {
    let mut connection = connect(proxy, host).await?;
    let (body, _) = exchange(&mut connection, host.unwrap_or_default()).await?;
    Ok((leaf(&connection), body))
}

fn leaf(connection: &TlsStream<TcpStream>) -> Vec<u8> {
    connection.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn connect(proxy: SocketAddr, host: Option<&str>) -> Result<TlsStream<TcpStream>, String> {
    let connection = TcpStream::connect(proxy).await.map_err(|error| format!("connecting: {error}"))?;
    // Clients send no server name if they connect to an address.
    let name = host.map_or_else(|| ServerName::from(proxy.ip()), |host| ServerName::try_from(host.to_owned()).unwrap());
    let connected = TlsConnector::from(config()).connect(name, connection).await;
    connected.map_err(|error| format!("the handshake failed: {error}"))
}

fn config() -> Arc<ClientConfig> {
    let mut config = client_config();
    // Without resumption, each handshake shows the certificate.
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Starts clients over TLS that send requests one after another on kept connections.
pub fn tls_load(proxy: SocketAddr, host: &'static str, clients: usize) -> SteadyLoad {
    SteadyLoad::of(clients, |stop| one_client(proxy, host, stop))
}

/// A client that never repeats a request.
async fn one_client(proxy: SocketAddr, host: &'static str, stop: CancellationToken) -> LoadOutcome {
    let mut outcome = LoadOutcome::default();
    let mut kept: Option<TlsStream<TcpStream>> = None;
    while !stop.is_cancelled() {
        let request = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => connect(proxy, Some(host)).await?,
            };
            let (_, stays) = exchange(&mut connection, host).await?;
            Ok::<_, String>(stays.then_some(connection))
        };
        match tokio::time::timeout(Duration::from_secs(10), request).await.unwrap_or_else(|_| Err("no answer within 10 s".to_owned())) {
            Ok(connection) => {
                kept = connection;
                outcome.answered += 1;
            }
            Err(message) => outcome.failed.push(message),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    outcome
}
