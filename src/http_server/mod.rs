//! The HTTP/1 server that all ports of all three processes stand behind. It knows connections only: how many, from whom,
//! how long each part of a request may take, TLS if it is given any, and an orderly end. It must never know what a request
//! means, whom to trust, or cut an answer that is merely slow to begin (a long poll).
//!
//! `axum::serve` has no time limits, no bound on connections and no TLS: one client that sends a byte a minute, or opens
//! sockets and sends nothing, would hold the port against everybody else.

mod admission;
mod connection;
pub(crate) mod tls;
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

/// Too few file descriptors are not mended by trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How much one server gives, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// A TLS handshake is done within this.
    pub handshake: Duration,
    /// The head of a request is there within this, counted from the end of the request before: a kept-alive connection is
    /// idle no longer than this either.
    pub header: Duration,
    /// The body of a request is there within this, counted from its head. The answer may take any time to begin.
    pub body: Duration,
    /// A client that takes nothing of its answer for this long is gone.
    pub stall: Duration,
    /// A connection that is older ends after its running request, so that certificates are shown again now and then.
    pub lifetime: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Open connections. Those from this machine (loopback, Unix socket) have as many again to themselves, so that health
    /// checks are answered while others flood the port.
    pub connections: usize,
    /// Open connections from one address (one /64 of IPv6). Behind Swarm's routing mesh a node is one address.
    pub connections_per_peer: usize,
    /// How long open requests may take to end when the server is told to.
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
    /// Over a Unix socket: the file's permissions have let the client in.
    Unix,
}

/// Who is at the other end of a connection; each request has it as an extension (`axum::Extension<Peer>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The address; none over a Unix socket.
    pub address: Option<SocketAddr>,
    /// How it came in.
    pub transport: Transport,
    /// The chain that it showed in the TLS handshake and that the configuration's verifier accepted, its own certificate
    /// first. Empty without TLS, or when it showed none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// A connection that was accepted.
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
            // A client over IPv4 is one, whatever kind of socket listens.
            Self::Tcp(_, address) => (Some(SocketAddr::new(address.ip().to_canonical(), address.port())), Transport::Tcp),
            Self::Unix(_) => (None, Transport::Unix),
        };
        Peer { address, transport, certificates: Arc::new([]) }
    }
}

/// Serves until told to stop; then open requests get a moment to end. With TLS every connection over TCP is TLS; a Unix
/// socket never is. Dropping the future cuts all connections. Fails only when the socket itself does not listen.
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
    // Whoever is too slow is cut when the set is dropped.
    let _ = tokio::time::timeout(limits.end, all_ended).await;
    Ok(())
}

/// Starts a connection if there is room for it. One too many is closed at once: a client that is told tries elsewhere or
/// later, one that waits unseen in the kernel's queue does not.
fn admit(admission: &Arc<ConnectionAdmission>, setup: &Arc<ConnectionSettings>, accepted: AcceptedConnection, open: &mut JoinSet<()>) {
    let peer = accepted.peer();
    let Some(seat) = ConnectionAdmission::enter(admission, &peer) else { return };
    let connection = Connection { setup: setup.clone(), peer, seat };
    open.spawn(async move {
        match accepted {
            AcceptedConnection::Tcp(stream, _) => connection.over_tcp(stream).await,
            AcceptedConnection::Unix(stream) => connection.over_unix(stream).await,
        }
    });
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection broke off");
    }
}

async fn pause(error: &io::Error, shutdown: &CancellationToken) {
    // The client went away while it waited; the next one is not to blame.
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted now; trying again");
    tokio::select! {
        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        () = shutdown.cancelled() => {}
    }
}
