//! Access control of the status port: judges requests by their head and their origin. Decides only; the only responses it
//! generates are refusals, whose text contains nothing from the request. `docs/decisions/status-access.md` explains why.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ALLOW, AUTHORIZATION, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use crate::http_server::{Origin, Peer, Transport};
use crate::types::Digest;

/// All paths.
pub const PATHS: [&str; 9] = ["/", "/status", "/plan", "/explain", "/render", "/snapshot", "/healthz", "/readyz", "/metrics"];
/// The paths for monitoring, which name nothing but clusters.
pub const OPEN_BY_DEFAULT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Enough for any query's path and query string: a URL to explain has 2 KB at most in practice.
const URI_MAX: usize = 8 * 1024;
/// After this many wrong tokens in quick succession ...
const FAILURES_AT_ONCE: u32 = 10;
/// ... an origin gets one attempt per this interval.
const FAILURE_COSTS: Duration = Duration::from_secs(6);
/// This many origins are tracked separately; all others share one entry.
const ORIGINS_MAX: usize = 1024;
/// Headers that a proxy adds when it forwards a request: the peer's address is then not the client's.
const FORWARDED: [&str; 6] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
/// The header in which a browser states the origin of a request.
const FETCH_SITE: &str = "sec-fetch-site";

/// The rules of a status port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The SHA-256 of the token for paths that are not open; `None`: only this machine may access those.
    pub token: Option<Digest>,
    /// Paths that need no token, from [`PATHS`].
    pub open: BTreeSet<String>,
    /// Host names by which the port may be accessed, besides `localhost` and all addresses; in lower case.
    pub hosts: BTreeSet<String>,
    /// Whether clients on loopback need no token.
    pub trust_loopback: bool,
}

impl Default for Access {
    fn default() -> Self {
        let open = OPEN_BY_DEFAULT.map(str::to_owned).into();
        Self { token: None, open, hosts: BTreeSet::new(), trust_loopback: true }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuthError {
    Method,
    TooLong,
    NoHost,
    WrongHost,
    NoTokenSet,
    NoToken,
    WrongToken,
    TooOften(Duration),
}

/// Applies the rules, and remembers wrong tokens.
#[derive(Debug)]
pub(super) struct Guard {
    access: Access,
    guesses: Mutex<Guesses>,
}

impl Guard {
    pub(super) fn new(access: Access) -> Self {
        Self { access, guesses: Mutex::default() }
    }

    /// Whether a request is answered. Without a peer only open paths are.
    pub(super) fn authorize(&self, head: &Parts, peer: Option<&Peer>) -> Result<(), AuthError> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(AuthError::Method);
        }
        if head.uri.path_and_query().is_some_and(|path| path.as_str().len() > URI_MAX) {
            return Err(AuthError::TooLong);
        }
        // The permissions of the socket's file have already admitted the client, and browsers cannot use it.
        if peer.is_some_and(|peer| peer.transport == Transport::Unix) {
            return Ok(());
        }
        let host = requested_host(&head.uri, &head.headers)?;
        if !self.access.knows(&host) {
            return Err(AuthError::WrongHost);
        }
        if self.access.open.contains(head.uri.path()) || peer.is_some_and(|peer| self.access.is_local(peer, &host, &head.headers)) {
            return Ok(());
        }
        self.check_token(&head.headers, peer)
    }

    fn check_token(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Result<(), AuthError> {
        let Some(token) = &self.access.token else { return Err(AuthError::NoTokenSet) };
        if !headers.contains_key(AUTHORIZATION) {
            return Err(AuthError::NoToken);
        }
        let (origin, now) = (peer.map(Origin::from_peer), Instant::now());
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        // Not even compared: otherwise a flood of guesses would still reveal which one is right.
        if let Some(wait) = guesses.wait(origin, now) {
            return Err(AuthError::TooOften(wait));
        }
        if sent_token(headers).is_some_and(|sent| is_token(&sent, token)) {
            return Ok(());
        }
        guesses.wrong(origin, now);
        tracing::warn!(peer = ?peer.and_then(|peer| peer.address), "rejected a wrong token on the status port");
        Err(AuthError::WrongToken)
    }
}

impl Access {
    fn knows(&self, host: &Host) -> bool {
        match host {
            Host::Address(_) => true,
            Host::Name(name) => name == "localhost" || self.hosts.contains(name),
        }
    }

    /// Whether the client is on this machine. The peer alone does not prove that: a page in this machine's browser connects
    /// from loopback under any name that its owner resolves to it, and a reverse proxy connects from loopback on behalf of
    /// the world.
    fn is_local(&self, peer: &Peer, host: &Host, headers: &HeaderMap) -> bool {
        let from_here = peer.address.is_some_and(|address| address.ip().is_loopback());
        let of_here = match host {
            Host::Address(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        let by_foreign_page = headers.get(FETCH_SITE).is_some_and(|site| site != "none" && site != "same-origin");
        self.trust_loopback && from_here && of_here && !forwarded && !by_foreign_page
    }
}

/// The host by which the port was accessed.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let authority = Authority::from_str(text).ok().filter(|_| !text.contains('@'))?;
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Some(Self::Address(ip.to_canonical()));
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name))
    }
}

/// The one host that a request names; if several differ, the request is refused.
fn requested_host(uri: &Uri, headers: &HeaderMap) -> Result<Host, AuthError> {
    let mut all = headers.get_all(HOST).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return Err(AuthError::NoHost) };
    let host = value.to_str().ok().and_then(Host::parse).ok_or(AuthError::WrongHost)?;
    match uri.authority() {
        Some(authority) if Host::parse(authority.as_str()).as_ref() != Some(&host) => Err(AuthError::WrongHost),
        _ => Ok(host),
    }
}

/// The bearer token, or the password of basic authentication with any user name: browsers support only the latter.
fn sent_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// Takes the same time for every wrong token.
fn is_token(sent: &[u8], token: &Digest) -> bool {
    Digest::of_bytes(sent).as_str().as_bytes().ct_eq(token.as_str().as_bytes()).into()
}

/// Wrong tokens by origin: the time at which all of an origin's attempts are forgiven.
#[derive(Debug, Default)]
struct Guesses(HashMap<Option<Origin>, Instant>);

impl Guesses {
    /// How long requests from this origin are refused.
    fn wait(&self, origin: Option<Origin>, now: Instant) -> Option<Duration> {
        let debt = self.0.get(&self.key(origin))?.saturating_duration_since(now);
        debt.checked_sub(FAILURE_COSTS * (FAILURES_AT_ONCE - 1)).filter(|wait| !wait.is_zero())
    }

    fn wrong(&mut self, origin: Option<Origin>, now: Instant) {
        if self.0.len() >= ORIGINS_MAX {
            self.0.retain(|_, forgiven| *forgiven > now);
        }
        let key = self.key(origin);
        let forgiven = self.0.entry(key).or_insert(now);
        *forgiven = (*forgiven).max(now) + FAILURE_COSTS;
    }

    /// When too many origins are tracked, new ones share one entry.
    fn key(&self, origin: Option<Origin>) -> Option<Origin> {
        if self.0.len() < ORIGINS_MAX || self.0.contains_key(&origin) { origin } else { None }
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "the status port is read-only; use GET or HEAD\n"),
            Self::TooLong => (StatusCode::URI_TOO_LONG, "the path and query are longer than 8 KiB\n"),
            Self::NoHost => (StatusCode::BAD_REQUEST, "a request must have exactly one Host header\n"),
            Self::WrongHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "this host name is not allowed; use the operator's address, or allow the name with --status-host \
                 (SWARMGATE_STATUS_HOST) of `swarmgate operator`\n",
            ),
            Self::NoTokenSet => (
                StatusCode::UNAUTHORIZED,
                "this path needs a token, but the operator has none; set one with --status-token-file \
                 (SWARMGATE_STATUS_TOKEN_FILE), or run a command in its container: docker exec CONTAINER swarmgate status\n",
            ),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "this path needs the operator's token, as a bearer token or as the password of any user; get it with: \
                 docker exec CONTAINER swarmgate token\n",
            ),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "wrong token; get the right one with: docker exec CONTAINER swarmgate token\n"),
            Self::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens from your address; try again later\n"),
        };
        let mut response = (status, [(http::header::CONTENT_TYPE, "text/plain; charset=utf-8")], message).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Method => drop(headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::TooOften(wait) => drop(headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1))),
            Self::NoToken | Self::WrongToken => {
                // Two headers: some browsers read only the first scheme of a list.
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"swarmgate\", charset=\"UTF-8\""));
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"swarmgate\""));
            }
            // With `Basic` a browser would prompt for a token that does not exist; but a 401 response must have a
            // challenge.
            Self::NoTokenSet => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"swarmgate\""))),
            Self::TooLong | Self::NoHost | Self::WrongHost => {}
        }
        response
    }
}

#[cfg(test)]
mod tests;
