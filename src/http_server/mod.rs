//! The HTTP/1 server behind every port of all three processes. It only knows connections: how many, from whom, how long
//! each part of a request may take, TLS if configured, and an orderly shutdown. It must never know what a request means or
//! whom to trust, and must never cut off an answer that is merely slow to begin (a long poll).
//!
//! `axum::serve` has no time limits, no limit on connections and no TLS: one client that sends a byte a minute, or opens
//! sockets and sends nothing, would block the port for all others.

mod admission;
mod connection;
pub(crate) mod tls_config;
mod unix;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use admission::ConnectionAdmission;
use connection::{Connection, ConnectionSettings};

pub use admission::Origin;
pub use unix::{SocketError, bind_private};

/// Retrying at once does not help if file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// The resources of one server, and its timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// The time limit for the TLS handshake.
    pub handshake: Duration,
    /// The time limit for the head of a request, counted from the end of the previous request. A kept-alive connection is
    /// idle no longer than this either.
    pub header: Duration,
    /// The time limit for the body of a request, counted from its head. The answer may take any time to begin.
    pub body: Duration,
    /// A client that reads nothing of its answer for this long is disconnected.
    pub stall: Duration,
    /// A connection older than this ends after its current request, so that certificates are presented again from time to
    /// time.
    pub lifetime: Duration,
    /// The maximum size of a request's head in bytes.
    pub head_bytes: usize,
    /// The maximum number of open connections. Connections from this machine (loopback, Unix socket) have the same number
    /// again to themselves, so that health checks are answered while other clients flood the port.
    pub connections: usize,
    /// The maximum number of open connections from one address (one /64 of IPv6). Behind Swarm's routing mesh a node is one
    /// address.
    pub connections_per_peer: usize,
    /// How long open requests may take to finish on shutdown.
    pub end: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            lifetime: Duration::from_secs(3600),
            head_bytes: 32 * 1024,
            connections: 512,
            connections_per_peer: 128,
            end: Duration::from_millis(500),
        }
    }
}

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// How a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over a port.
    Tcp,
    /// Over a Unix socket: the file's permissions admitted the client.
    Unix,
}

/// The peer of a connection; each request has it as an extension (`axum::Extension<Peer>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The address; `None` over a Unix socket.
    pub address: Option<SocketAddr>,
    /// How it came in.
    pub transport: Transport,
    /// The chain that the client presented in the TLS handshake and that the configuration's verifier accepted, its own
    /// certificate first. Empty without TLS, or if the client presented none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// An accepted connection.
enum AcceptedConnection {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<AcceptedConnection> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, address)| AcceptedConnection::Tcp(stream, address)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| AcceptedConnection::Unix(stream)),
        }
    }
}

impl AcceptedConnection {
    fn peer(&self) -> Peer {
        let (address, transport) = match self {
            // A client over IPv4 is reported as such, whatever kind of socket listens.
            Self::Tcp(_, address) => (Some(SocketAddr::new(address.ip().to_canonical(), address.port())), Transport::Tcp),
            Self::Unix(_) => (None, Transport::Unix),
        };
        Peer { address, transport, certificates: Arc::new([]) }
    }
}

/// Serves until `shutdown` is triggered; open requests then get a moment to finish. With TLS, every connection over TCP is
/// TLS; a Unix socket never is. Dropping the future closes all connections. Fails only if the socket itself does not
/// listen.
pub async fn serve(
    listener: Listener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let admission = Arc::new(ConnectionAdmission::new(limits.connections, limits.connections_per_peer));
    let setup = Arc::new(ConnectionSettings { tls, router, limits, shutdown: shutdown.clone() });
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = open.join_next() => log_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok(accepted) => admit(&admission, &setup, accepted, &mut open),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(error) => pause(&error, &shutdown).await,
            }
        }
    }
    drop(listener);
    let all_ended = async { while open.join_next().await.is_some() {} };
    // Connections that are too slow are cut off when the set is dropped.
    let _ = tokio::time::timeout(limits.end, all_ended).await;
    Ok(())
}

/// Starts a connection if there is room for it. An excess connection is closed at once: its client can try elsewhere or
/// later, which a client that waits unnoticed in the kernel's queue cannot.
fn admit(admission: &Arc<ConnectionAdmission>, setup: &Arc<ConnectionSettings>, accepted: AcceptedConnection, open: &mut JoinSet<()>) {
    let peer = accepted.peer();
    let Some(permit) = ConnectionAdmission::enter(admission, &peer) else { return };
    let connection = Connection { setup: setup.clone(), peer, permit };
    open.spawn(async move {
        match accepted {
            AcceptedConnection::Tcp(stream, _) => connection.over_tcp(stream).await,
            AcceptedConnection::Unix(stream) => connection.over_unix(stream).await,
        }
    });
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection task failed");
    }
}

async fn pause(error: &io::Error, shutdown: &CancellationToken) {
    // The client went away while it waited; there is no reason to delay the next one.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections; retrying");
    tokio::select! {
        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        () = shutdown.cancelled() => {}
    }
}
