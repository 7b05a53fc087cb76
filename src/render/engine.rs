//! The boundary between the program and a proxy engine: what an engine writes, and how it handles requests. The rest of the
//! program looks up these two traits by engine kind. Must never name anything specific to one engine; the only line that
//! does is in `render/mod.rs`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Rendering;
use super::security_advisory::Vulnerabilities;
use crate::protocol::messages::{Bundle, Material};
use crate::route::{Backend, ClientAddress, EngineSettings};
use crate::types::HostPattern;

/// What an engine writes.
pub(super) trait Renderer: Sync {
    /// The configuration of a table. Total: every table has one, and equal tables give equal bytes.
    fn write(&self, rendering: &Rendering<'_>) -> EngineOutput;

    /// Why the administrator's own template produced no configuration, if this bundle reports that.
    fn template_fault<'a>(&self, bundle: &'a Bundle) -> Option<&'a str>;

    /// The number of locations (places that requests are matched with) and bytes of everything that grows with routes.
    fn route_size(&self, rendering: &Rendering<'_>) -> RouteSize;

    /// The slot of the engine's host table that holds a host, whatever the table's size; `None`: the host is in no table
    /// that hosts can overfill.
    fn host_slot(&self, host: &HostPattern) -> Option<u64>;

    /// How many hosts of any length fit into one slot.
    fn hosts_per_slot_max(&self) -> usize;

    /// The published vulnerabilities of the version that the engine reports.
    fn faults(&self, version: &str) -> Option<Vulnerabilities>;
}

/// What an engine wrote.
#[derive(Debug, Default)]
pub(super) struct EngineOutput {
    /// File name to content.
    pub files: BTreeMap<String, String>,
    /// The secret files that the configuration refers to, by file name.
    pub material: BTreeMap<String, Material>,
}

/// The share of a configuration that routes take.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteSize {
    /// Places that requests are matched with.
    pub locations: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// How an engine handles requests, for explanations: the same behaviour as in the rendered configuration, implemented as
/// code. The engine's own tests compare the two.
pub trait Behavior: Sync {
    /// The status codes that the engine itself answers with, or those of configured redirects.
    fn status_codes(&self) -> StatusCodes;

    /// A requested path in the form in which routes are compared. Bytes that are not UTF-8 occur in no route; they are
    /// replaced.
    fn normalized_path(&self, path: &str) -> Result<String, BadPath>;

    /// The path that an application sees when its context root is cut off.
    fn cut_path(&self, request: &CutRequest<'_>) -> String;

    /// What a trusted load balancer says about a client, as far as the engine trusts it.
    fn client_claims(&self, settings: &EngineSettings, front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims;

    /// When a request is retried at another endpoint.
    fn retry_rule(&self, settings: &EngineSettings) -> RetryRule;

    /// The names of the request headers that the proxy adds for applications, in HTTP/2 or HTTP/1.1.
    fn request_headers(&self, settings: &EngineSettings, http2: bool) -> Vec<&'static str>;

    /// The name of the header that tells applications which path was cut off.
    fn prefix_header(&self) -> &'static str;

    /// The names of the response headers with information about how the request was proxied.
    fn info_headers(&self, settings: &EngineSettings) -> Vec<&'static str>;

    /// Whether any endpoint of the backend is resolved by name ([`super::ConfigPurpose::Boot`]).
    fn has_named_servers(&self, backend: &Backend) -> bool;
}

/// The status codes of answers that come from no application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusCodes {
    /// An invalid path.
    pub bad_path: u16,
    /// Plain HTTP on a port that speaks TLS.
    pub plain_on_tls_port: u16,
    /// A PROXY header in plain HTTP where none is expected.
    pub unexpected_proxy_header: u16,
    /// A request for a host without TLS over a TLS connection that was opened for another host.
    pub misdirected: u16,
    /// A redirect requested by a label.
    pub redirect: u16,
    /// A redirect to HTTPS.
    pub to_https: u16,
    /// The same for methods other than GET and HEAD.
    pub to_https_other_methods: u16,
    /// The redirect that adds the trailing slash to a path that is cut off.
    pub added_slash: u16,
}

/// A request that is answered with 400 whatever the routes are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// A `%` without two hexadecimal digits.
    #[error("the path has a % that is not followed by two hexadecimal digits")]
    Escape,
    /// An escaped NUL.
    #[error("the path has an escaped NUL character")]
    Nul,
    /// More `..` than segments.
    #[error("the path leads above the root")]
    AboveRoot,
}

/// A request to an application whose context root is cut off.
#[derive(Debug, Clone, Copy)]
pub struct CutRequest<'a> {
    /// The path as routes see it.
    pub path: &'a str,
    /// The path as requested.
    pub requested: &'a str,
    /// The context root.
    pub root: &'a str,
    /// Whether the application uses HTTP/2.
    pub http2: bool,
}

/// A request as it reaches a proxy.
pub trait ReceivedRequest {
    /// The peer of the connection.
    fn peer(&self) -> IpAddr;
    /// The value of a header (name in lower case); several lines are joined to one list.
    fn header(&self, name: &str) -> Option<String>;
    /// The same, spelt with hyphens or underscores.
    fn header_in_any_spelling(&self, name: &str) -> Option<String>;
    /// The client in a PROXY header, and the port that it connected to.
    fn proxied_for(&self) -> Option<(IpAddr, u16)>;
}

/// What is trusted about a client. Absent values are taken from the connection and the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientClaims {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Whether the client used TLS.
    pub secure: Option<bool>,
    /// The host that the client asked for, with its port if it named one.
    pub site: Option<String>,
}

/// When a request is retried at another endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    /// The maximum number of endpoints.
    pub tries_max: u32,
    /// For how long, in milliseconds.
    pub time_ms: u64,
    /// In which cases, worded to follow a colon.
    pub when: &'static str,
}
