//! Applications that speak TLS or HTTP/2 themselves and report what they saw.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates;

/// Starts an application that speaks TLS with a certificate for this host, over HTTP/1.1 and HTTP/2.
pub async fn start(host: &str) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(host)));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client may reject the certificate and disconnect.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let sni = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                serve(stream, sni).await;
            });
        }
    });
    address
}

/// Starts an application that speaks HTTP/2 (and HTTP/1.1) in plain text.
pub async fn start_h2c() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, String::new()));
        }
    });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn server_config(host: &str) -> ServerConfig {
    let (certificate, key) = certificates::leaf(&[host.to_owned()]);
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, sni: String) {
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let host = request.uri().host().map(str::to_owned);
        let text = format!(
            "app: peer\nsni: {sni}\nprotocol: {:?}\ntarget: {}\nhost: {}\n",
            request.version(),
            request.uri().path_and_query().map_or("", |target| target.as_str()),
            host.unwrap_or_default()
        );
        std::future::ready(Ok::<_, Infallible>(Response::new(text)))
    });
    // A broken connection ends only its own task.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
}
