//! TLS for the demo application: with a certificate generated at start, or with one from a file. It must never be taken as an
//! example of how to store a key.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// The value of `TLS` that requests a certificate that no client knows.
const SELF_SIGNED: &str = "self-signed";
/// How many connections may wait to be served.
const WAITING: usize = 64;

/// The remote address, and the server name requested in TLS.
#[derive(Clone, Debug)]
pub struct Caller {
    pub address: SocketAddr,
    pub server_name: Option<String>,
}

impl Connected<IncomingStream<'_, TcpListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { address: *stream.remote_addr(), server_name: None }
    }
}

impl Connected<IncomingStream<'_, Secure>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Secure>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Connections whose TLS handshake is done.
pub struct Secure {
    address: SocketAddr,
    done: mpsc::Receiver<(TlsStream<TcpStream>, Caller)>,
}

impl Secure {
    /// Accepts connections from `listener`. `material` is `self-signed`, or names a PEM file with a certificate chain and its
    /// key.
    pub fn new(listener: TcpListener, material: &str) -> Result<Self> {
        let address = listener.local_addr().context("look up the own address")?;
        let acceptor = TlsAcceptor::from(Arc::new(settings(material)?));
        let (sender, done) = mpsc::channel(WAITING);
        tokio::spawn(accept(listener, acceptor, sender));
        Ok(Self { address, done })
    }
}

/// Each handshake has its own task, so that a slow client does not hold up the others.
async fn accept(mut listener: TcpListener, acceptor: TlsAcceptor, sender: mpsc::Sender<(TlsStream<TcpStream>, Caller)>) {
    loop {
        let (stream, address) = Listener::accept(&mut listener).await;
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            let stream = match acceptor.accept(stream).await {
                Ok(stream) => stream,
                Err(error) => return report_failure(address, &error),
            };
            let server_name = stream.get_ref().1.server_name().map(str::to_owned);
            // When the application ends, nothing receives connections any more.
            let _ = sender.send((stream, Caller { address, server_name })).await;
        });
    }
}

fn report_failure(address: SocketAddr, error: &io::Error) {
    if std::env::var_os("TELL").is_some() {
        println!("demo-app: {address} ended a handshake: {error}");
    }
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = Caller;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.done.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Caller { address: self.address, server_name: None })
    }
}

fn settings(material: &str) -> Result<ServerConfig> {
    let pem = if material == SELF_SIGNED {
        let made = rcgen::generate_simple_self_signed(["demo-app".to_owned()]).context("make a certificate")?;
        made.cert.pem() + &made.signing_key.serialize_pem()
    } else {
        std::fs::read_to_string(material).with_context(|| format!("read {material}"))?
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).context("read the key")?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let mut settings = builder.with_no_client_auth().with_single_cert(chain.context("read the certificates")?, key)?;
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(settings)
}
