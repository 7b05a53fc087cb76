//! The options of `swarmgate operator` for its status port, checked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use url::Url;

use super::token_file::{self, ENV_TOKEN_FILE, TokenFileError};
use crate::api::authorization::{Access, OPEN_BY_DEFAULT, PATHS};
use crate::controller::options::{StatusPort, TlsFiles};
use crate::protocol::{ChannelMode, SharedSecret};
use crate::types::Digest;

/// Shorter tokens can be guessed by brute force.
const TOKEN_MIN: usize = 16;

/// Access to the status, the page, and queries.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Paths of the status port that need no token. An empty value: every path needs it
    #[arg(long = "status-open", env = "SWARMGATE_STATUS_OPEN", value_delimiter = ',', default_values_t = OPEN_BY_DEFAULT.map(str::to_owned), value_parser = open_path)]
    open: Vec<String>,
    /// A file with the token for the other paths (a Swarm secret of at least 16 characters)
    #[arg(long = "status-token-file", env = ENV_TOKEN_FILE)]
    token_file: Option<PathBuf>,
    /// Require the token on loopback, too. Use it if the operator runs in the network of its node, where a reverse proxy or
    /// another user could otherwise connect without the token
    #[arg(long = "status-token-always", env = "SWARMGATE_STATUS_TOKEN_ALWAYS")]
    token_always: bool,
    /// A host name that requests to the status port may use, in addition to `localhost`, all addresses, and the operator's own
    /// name on the control network; may be repeated
    #[arg(long = "status-host", env = "SWARMGATE_STATUS_HOST", value_delimiter = ',', value_parser = host_name)]
    hosts: Vec<String>,
    /// Serve the same on a Unix socket that only the operator's own user can open; it needs no token
    #[arg(long = "status-socket", env = "SWARMGATE_STATUS_SOCKET")]
    socket: Option<PathBuf>,
    /// Serve the status port over TLS with this certificate (PEM, followed by its chain)
    #[arg(long = "status-tls-cert", env = "SWARMGATE_STATUS_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long = "status-tls-key", env = "SWARMGATE_STATUS_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Why the options are invalid.
#[derive(Debug, thiserror::Error)]
pub enum StatusArgsError {
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenFileError),
    /// The token is too short.
    #[error("the status token in {path} has fewer than {TOKEN_MIN} characters; create one with: openssl rand -hex 32")]
    Short {
        /// The file.
        path: PathBuf,
    },
}

impl StatusArgs {
    /// The port's settings.
    pub fn settings(self, channel: &ChannelMode) -> Result<StatusPort, StatusArgsError> {
        let token = self.token_file.map(long_token).transpose()?;
        let names = self.hosts.into_iter().filter(|name| !name.is_empty());
        let access = Access {
            token,
            open: self.open.into_iter().filter(|path| !path.is_empty()).collect(),
            hosts: names.chain(own_names(channel)).collect(),
            trust_loopback: !self.token_always,
        };
        let tls = self.tls_cert.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        Ok(StatusPort { access, socket: self.socket, tls })
    }
}

fn long_token(path: PathBuf) -> Result<Digest, StatusArgsError> {
    let token = token_file::read_named(&path)?;
    if token.reveal().len() < TOKEN_MIN { Err(StatusArgsError::Short { path }) } else { Ok(SharedSecret::digest(&token)) }
}

/// The host name by which extensions reach the operator.
fn own_names(channel: &ChannelMode) -> BTreeSet<String> {
    let ChannelMode::Overlay { operator_url, .. } = channel else { return BTreeSet::new() };
    Url::parse(operator_url).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).into_iter().collect()
}

fn open_path(text: &str) -> Result<String, String> {
    let known = text.is_empty() || PATHS.contains(&text);
    if known { Ok(text.to_owned()) } else { Err(format!("the valid paths are {}", PATHS.join(", "))) }
}

/// A host name as in a request, without a port.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    // Any plausible name of a node is accepted; only what is obviously not a name is rejected.
    let wrong = name.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '*' | '@'));
    if wrong { Err("use only a host name, such as status.example.org".to_owned()) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TokenLine {
        #[command(flatten)]
        status: StatusArgs,
    }

    fn parsed(args: &[&str]) -> Option<StatusPort> {
        let line = TokenLine::try_parse_from(["x"].iter().chain(args)).ok()?;
        let (network, operator_url) = ("n".to_owned(), "https://Swarmgate-operator:8081".to_owned());
        let channel = ChannelMode::Overlay { network, encrypted: false, operator_url };
        line.status.settings(&channel).ok()
    }

    #[test]
    fn by_default_monitoring_needs_no_token_and_the_operators_own_name_is_accepted() {
        let port = parsed(&[]).unwrap();
        assert_eq!(port.access.open, OPEN_BY_DEFAULT.map(str::to_owned).into());
        assert_eq!(port.access.hosts, ["swarmgate-operator".to_owned()].into());
        assert!(port.access.trust_loopback && port.access.token.is_none() && port.socket.is_none() && port.tls.is_none());
    }

    #[test]
    fn options_are_validated() {
        let port =
            parsed(&["--status-open", "/healthz", "--status-host", "Status.Example.org.", "--status-host=b", "--status-token-always"]);
        let access = port.unwrap().access;
        assert_eq!(access.open, ["/healthz".to_owned()].into());
        assert!(access.hosts.contains("status.example.org") && access.hosts.contains("b") && !access.trust_loopback);
        assert!(parsed(&["--status-open", ""]).unwrap().access.open.is_empty());
        assert!(parsed(&["--status-open", "/nothing"]).is_none());
        assert!(parsed(&["--status-host", "http://x"]).is_none());
        assert!(parsed(&["--status-tls-cert", "c"]).is_none(), "a certificate without a key");
        assert!(parsed(&["--status-tls-cert", "c", "--status-tls-key", "k"]).unwrap().tls.is_some());
        assert!(parsed(&["--status-token-file", "/nowhere"]).is_none());
    }

    #[test]
    fn a_short_token_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(file.path(), "0123456789abcde\n").unwrap();
        assert!(parsed(&["--status-token-file", path]).is_none());
        std::fs::write(file.path(), "0123456789abcdef\n").unwrap();
        assert_eq!(parsed(&["--status-token-file", path]).unwrap().access.token, Some(Digest::of_bytes(b"0123456789abcdef")));
    }
}
