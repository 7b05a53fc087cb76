//! Queries a running operator: over HTTP, TLS or its Unix socket. The token is sent only to the named server: redirects are
//! not followed, and proxies from the environment are not used.

use std::error::Error;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::api::routes::ANSWER_BYTES_MAX;

use super::token_file::{self, DEFAULT_TOKEN_FILE, ENV_TOKEN_FILE, TokenFileError};

/// The operator's address on its own machine.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// A plan needs a complete snapshot of the Swarm, whose own deadline is 20 s, and may have to wait in a queue.
const DEADLINE: Duration = Duration::from_secs(40);

/// The operator to query, and the credentials.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// The address of the operator: `http://HOST:PORT`, `https://HOST:PORT`, or `unix:///PATH` for its socket
    #[arg(long, env = "SWARMGATE_SERVER", default_value = DEFAULT_SERVER)]
    pub server: String,
    /// The operator's socket, from the environment of its own container
    #[arg(long, env = "SWARMGATE_STATUS_SOCKET", hide = true)]
    status_socket: Option<PathBuf>,
    /// A file with the operator's token; `swarmgate token` prints the token in the operator's container [default:
    /// /run/secrets/swarmgate-status-token if it exists]
    #[arg(long, env = ENV_TOKEN_FILE)]
    token_file: Option<PathBuf>,
    /// With https: a file with the CA certificates (PEM) to trust [default: those that the system trusts]
    #[arg(long, env = "SWARMGATE_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl ServerArgs {
    /// The address to query: in the operator's own container its socket, unless an address is given.
    fn server(&self) -> String {
        let socket = self.status_socket.as_ref().filter(|socket| self.server == DEFAULT_SERVER && socket.exists());
        socket.map_or_else(|| self.server.clone(), |socket| format!("unix://{}", socket.display()))
    }
}

/// The cause of a failed exchange.
type Cause = Box<dyn Error + Send + Sync>;

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorClientError {
    /// The address is invalid.
    #[error("--server {0} is not a valid address; use http://HOST:PORT, https://HOST:PORT, or unix:///PATH")]
    Address(String),
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] TokenFileError),
    /// The trusted certificates cannot be loaded.
    #[error("{0}")]
    Trust(String),
    /// The operator's certificate is that of a CA.
    #[error(
        "the operator at {url} uses a CA certificate as its own certificate (`openssl req -x509` creates one by default); give the \
         operator a certificate with basicConstraints CA:FALSE, either signed by your CA or created with \
         `openssl req -x509 -addext basicConstraints=critical,CA:FALSE ...`"
    )]
    CaCertificate {
        /// The URL.
        url: String,
    },
    /// The server does not speak HTTP.
    #[error("{url} does not speak HTTP; if the operator's status port uses TLS, set --server https://NAME:PORT and --ca-file FILE")]
    NotHttp {
        /// The URL.
        url: String,
        /// The problem.
        source: Cause,
    },
    /// There was no answer.
    #[error("cannot reach the operator at {url} (is it running, and is --server correct?)")]
    Unreachable {
        /// The URL.
        url: String,
        /// The reason.
        source: Cause,
    },
    /// The operator requires a token, or rejects the one sent.
    #[error(
        "the operator at {url} {}. To get the token, run `docker exec CONTAINER swarmgate token` on its node. Save it in a file and pass \
         the file with --token-file ({ENV_TOKEN_FILE})",
        if *.sent { "rejects this token" } else { "requires a token" }
    )]
    Token401 {
        /// The URL.
        url: String,
        /// Whether a token was sent.
        sent: bool,
    },
    /// The operator answered with an error.
    #[error("the operator at {url} answered {status}: {body}")]
    Refused {
        /// The URL.
        url: String,
        /// The status of the response.
        status: u16,
        /// The text of the response.
        body: String,
    },
    /// Another server answered, or an operator of another version.
    #[error("this version of swarmgate does not understand the answer of {url}; use the operator's version, or -o json where there is one")]
    Strange {
        /// The URL.
        url: String,
        /// The parse error.
        source: serde_json::Error,
    },
}

/// A client of an operator.
pub struct OperatorClient {
    server: String,
    address: ServerAddress,
    authorization: Option<HeaderValue>,
    roots: Option<Arc<ClientConfig>>,
}

/// The address of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ServerAddress {
    /// The URL before each path.
    base: Url,
    /// The socket, if it is not a port.
    socket: Option<PathBuf>,
}

impl OperatorClient {
    /// Reads the token and, if needed, the trusted certificates.
    pub fn new(args: &ServerArgs) -> Result<Self, OperatorClientError> {
        let server = args.server();
        let address = ServerAddress::parse(&server).ok_or_else(|| OperatorClientError::Address(server.clone()))?;
        let token = match &args.token_file {
            Some(path) => Some(token_file::read_named(path)?),
            None => token_file::read(DEFAULT_TOKEN_FILE.as_ref())?,
        };
        let authorization = token.and_then(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        if authorization.is_some() && address.is_overheard() {
            eprintln!(
                "swarmgate: warning: the token is sent to {server} unencrypted; set up TLS on the operator (--status-tls-cert) and use \
                 https, or run this command on the operator's node"
            );
        }
        let roots = if address.is_tls() { Some(trusted(args)?) } else { None };
        Ok(Self { server, address, authorization, roots })
    }

    /// The body of a successful answer.
    pub async fn get(&self, path: &str) -> Result<String, OperatorClientError> {
        self.query(path, &[]).await
    }

    /// The same with a query.
    pub async fn query(&self, path: &str, query: &[(&str, &str)]) -> Result<String, OperatorClientError> {
        let url = self.address.url(path, query);
        let shown = format!("{}{path}", self.server.trim_end_matches('/'));
        let unreachable = |source: Cause| unreachable(shown.clone(), source);
        let answer = timeout(DEADLINE, self.exchange(&url)).await.map_err(|elapsed| unreachable(elapsed.into()))?;
        let (status, body) = answer.map_err(unreachable)?;
        match status {
            _ if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => Err(OperatorClientError::Token401 { url: shown, sent: self.authorization.is_some() }),
            _ => Err(OperatorClientError::Refused { url: shown, status: status.as_u16(), body: body.trim().to_owned() }),
        }
    }

    async fn exchange(&self, url: &Url) -> Result<(StatusCode, String), Cause> {
        if let Some(path) = &self.address.socket {
            return self.speak(UnixStream::connect(path).await?, url).await;
        }
        let name = match url.host().ok_or("the address has no host")? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let port = url.port_or_known_default().ok_or("the address has no port")?;
        let stream = TcpStream::connect((name.as_str(), port)).await?;
        match &self.roots {
            None => self.speak(stream, url).await,
            Some(roots) => {
                let stream = TlsConnector::from(roots.clone()).connect(ServerName::try_from(name)?, stream).await?;
                self.speak(stream, url).await
            }
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, url: &Url) -> Result<(StatusCode, String), Cause> {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let answer = sender.send_request(self.request(url)?).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok((status, String::from_utf8(body.into())?))
        };
        with_connection(exchange, connection).await
    }

    fn request(&self, url: &Url) -> Result<Request<Empty<Bytes>>, Cause> {
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let agent = concat!("swarmgate/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::get(path).header(HOST, host).header(USER_AGENT, agent).body(Empty::new())?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

/// Classifies the cause of a missing answer.
fn unreachable(url: String, source: Cause) -> OperatorClientError {
    let mut error: Option<&(dyn Error + 'static)> = Some(source.as_ref());
    while let Some(cause) = error {
        if cause.to_string().contains("CaUsedAsEndEntity") {
            return OperatorClientError::CaCertificate { url };
        }
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return OperatorClientError::NotHttp { url, source };
        }
        error = cause.source();
    }
    OperatorClientError::Unreachable { url, source }
}

/// Drives a connection until the exchange over it ends.
async fn with_connection<T>(
    exchange: impl Future<Output = Result<T, Cause>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<T, Cause> {
    let (mut exchange, mut connection) = (std::pin::pin!(exchange), std::pin::pin!(connection));
    tokio::select! {
        done = &mut exchange => return done,
        _ = &mut connection => {}
    }
    // The server has closed the connection; its response may still be buffered.
    exchange.await
}

impl ServerAddress {
    fn parse(server: &str) -> Option<Self> {
        if let Some(path) = server.strip_prefix("unix://") {
            let base = Url::parse("http://localhost").ok()?;
            return path.starts_with('/').then(|| Self { base, socket: Some(PathBuf::from(path)) });
        }
        let base = Url::parse(server).ok()?;
        let fine = matches!(base.scheme(), "http" | "https") && base.has_host() && base.username().is_empty() && base.password().is_none();
        fine.then_some(Self { base, socket: None })
    }

    fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether the token could be read in transit.
    fn is_overheard(&self) -> bool {
        let here = match self.base.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        !self.is_tls() && !here
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        let below = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{below}{path}"));
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// The trusted certificates.
fn trusted(args: &ServerArgs) -> Result<Arc<ClientConfig>, OperatorClientError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &args.ca_file {
        let named = |what: &str| OperatorClientError::Trust(format!("--ca-file {}: {what}", path.display()));
        let text = std::fs::read(path).map_err(|error| named(&error.to_string()))?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&text).flatten().collect();
        if roots.add_parsable_certificates(found).0 == 0 {
            return Err(named("the file contains no certificate (PEM)"));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(OperatorClientError::Trust("this system trusts no CA certificates; set --ca-file".to_owned()));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| OperatorClientError::Trust(error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Parses an answer's JSON.
pub fn parse<T: DeserializeOwned>(server: &str, body: &str) -> Result<T, OperatorClientError> {
    serde_json::from_str(body).map_err(|source| OperatorClientError::Strange { url: server.to_owned(), source })
}

/// Converts JSON that is already parsed.
pub fn understood<T: DeserializeOwned>(server: &str, json: &serde_json::Value) -> Result<T, OperatorClientError> {
    T::deserialize(json).map_err(|source| OperatorClientError::Strange { url: server.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_or_a_socket() {
        assert_eq!(ServerAddress::parse("unix:///run/x.sock").unwrap().socket, Some("/run/x.sock".into()));
        for bad in ["unix://run/x.sock", "ftp://x", "x", "http://", "http://user:word@x", ""] {
            assert_eq!(ServerAddress::parse(bad), None, "{bad}");
        }
        let url = |server: &str| ServerAddress::parse(server).unwrap().url("/explain", &[("url", "http://a/?b=c&d")]).to_string();
        assert_eq!(url("http://x:8080"), "http://x:8080/explain?url=http%3A%2F%2Fa%2F%3Fb%3Dc%26d");
        assert_eq!(url("https://x/status/"), "https://x/status/explain?url=http%3A%2F%2Fa%2F%3Fb%3Dc%26d");
        assert!(url("unix:///s").starts_with("http://localhost/explain?"));
    }

    #[test]
    fn unencrypted_connections_to_other_machines_are_detected() {
        for (server, overheard) in [
            ("http://192.0.2.1:8080", true),
            ("http://manager:8080", true),
            ("http://localhost.example.org", true),
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("http://localhost", false),
            ("https://192.0.2.1", false),
            ("unix:///s", false),
        ] {
            assert_eq!(ServerAddress::parse(server).unwrap().is_overheard(), overheard, "{server}");
        }
    }
}
