//! The operator's ports for people and monitoring: opens them before anything else, so that a misconfiguration ends the
//! start, and serves them. Errors about material never include its content.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::options::{StatusPort, TlsFiles};
use crate::http_server::tls_config::{MaterialError, server_config};
use crate::http_server::{Listener, ServerLimits, SocketError, bind_private, serve};
use crate::pki::{AuthorityError, TlsError};

/// The operator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operator has no certificate of its own.
    #[error("creating the operator's own certificate")]
    Certificate(#[from] AuthorityError),
    /// The channel cannot be served over TLS.
    #[error(transparent)]
    Channel(#[from] TlsError),
    /// A port cannot be opened.
    #[error("listening on {address} for {purpose}")]
    Port {
        /// Where.
        address: SocketAddr,
        /// The port's purpose.
        purpose: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The socket cannot be created.
    #[error("listening on the status socket {path}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// The reason.
        source: SocketError,
    },
    /// A file for the status port's TLS cannot be read.
    #[error("reading {path} for TLS on the status port")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The files are readable but not usable.
    #[error("setting up TLS on the status port from {certificate} and {key}")]
    Tls {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The problem.
        source: MaterialError,
    },
}

/// Where the status is served.
pub struct StatusPorts {
    port: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    socket: Option<UnixListener>,
}

impl StatusPorts {
    /// Opens what is configured.
    pub async fn open(address: SocketAddr, settings: &StatusPort) -> Result<Self, RunError> {
        let tls = match &settings.tls {
            Some(files) => Some(tls(files).await?),
            None => None,
        };
        let socket =
            settings.socket.as_ref().map(|path| bind_private(path).map_err(|source| RunError::Socket { path: path.clone(), source }));
        Ok(Self { port: listen(address, "status").await?, tls, socket: socket.transpose()? })
    }

    /// Serves until asked to stop. A server that ends earlier is logged and not restarted: the other parts continue without it.
    pub fn serve(self, router: &axum::Router, stop: &CancellationToken, background: &mut JoinSet<()>) {
        let mut start = |listener: Listener, tls: Option<Arc<ServerConfig>>| {
            let (router, stop) = (router.clone(), stop.clone());
            background.spawn(async move {
                if let Err(error) = serve(listener, tls, router, ServerLimits::default(), stop).await {
                    tracing::error!(%error, "a status server stopped");
                }
            });
        };
        start(self.port.into(), self.tls);
        if let Some(socket) = self.socket {
            start(socket.into(), None);
        }
    }
}

/// A port.
pub async fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).await.map_err(|source| RunError::Port { address, purpose, source })
}

async fn tls(files: &TlsFiles) -> Result<Arc<ServerConfig>, RunError> {
    let (certificate, key) = (read(&files.certificate).await?, read(&files.key).await?);
    let unusable = |source| RunError::Tls { certificate: files.certificate.clone(), key: files.key.clone(), source };
    server_config(&certificate, &key).map_err(unusable)
}

async fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    tokio::fs::read(path).await.map_err(|source| RunError::TlsFile { path: path.to_owned(), source })
}
