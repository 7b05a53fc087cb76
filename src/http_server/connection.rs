//! Handles one connection from handshake to end. Every wait for the client has a limit; the wait for an answer has none.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::stream;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::admission::ConnectionPermit;
use super::{Peer, ServerLimits};

/// What all connections of a server share.
pub(super) struct ConnectionSettings {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) router: Router,
    pub(super) limits: ServerLimits,
    pub(super) shutdown: CancellationToken,
}

/// One connection.
pub(super) struct Connection {
    pub(super) setup: Arc<ConnectionSettings>,
    pub(super) peer: Peer,
    /// Held until the connection is closed.
    pub(super) permit: ConnectionPermit,
}

impl Connection {
    pub(super) async fn over_tcp(self, stream: TcpStream) {
        // Answers are small and written at once; delaying them to collect more data has no benefit.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was closed immediately");
            return;
        }
        match self.setup.tls.clone() {
            Some(config) => self.over_tls(stream, config).await,
            None => self.http(stream).await,
        }
    }

    pub(super) async fn over_unix(self, stream: UnixStream) {
        self.http(stream).await;
    }

    async fn over_tls(mut self, stream: TcpStream, config: Arc<ServerConfig>) {
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = match timeout(self.setup.limits.handshake, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, peer = ?self.peer.address, "TLS handshake failed"),
            Err(_elapsed) => return tracing::debug!(peer = ?self.peer.address, "TLS handshake timed out"),
        };
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        self.peer.certificates = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
        self.http(stream).await;
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let Self { setup, peer, permit } = self;
        let shutdown = setup.shutdown.clone();
        let (address, limits) = (peer.address, setup.limits);
        let service = service_fn(move |request| answer(setup.router.clone(), request, peer.clone(), limits.body));
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.stall));
        let mut connection = pin!(builder(limits).serve_connection(TokioIo::new(Box::pin(stream)), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = over(&shutdown, limits.lifetime) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, peer = ?address, "a connection ended unexpectedly");
        }
        drop(permit);
    }
}

/// Returns when the connection should take no further requests.
async fn over(shutdown: &CancellationToken, lifetime: Duration) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(lifetime) => {}
    }
}

fn builder(limits: ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header).max_header_size(limits.head_bytes);
    builder
}

async fn answer(mut router: Router, mut request: Request<Incoming>, peer: Peer, body: Duration) -> Result<Response, Infallible> {
    request.extensions_mut().insert(peer);
    router.call(request.map(|incoming| in_time(incoming, body))).await
}

/// The same body, with an error if it does not arrive in time: a slow client must not hold a handler.
fn in_time(body: Incoming, limit: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let deadline = Instant::now() + limit;
    let frames = stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => Some((Ok::<Frame<_>, axum::Error>(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(axum::Error::new(error)), None)),
            Ok(None) => None,
            Err(elapsed) => Some((Err(axum::Error::new(elapsed)), None)),
        }
    });
    Body::new(StreamBody::new(frames))
}
