//! The seam between the program and a proxy engine: what an engine writes, and what becomes of requests in it. The rest of the
//! program asks these two traits by the engine's kind. Must never name anything of one engine; the one row that does is
//! in `render/mod.rs`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Rendering;
use super::security::Faults;
use crate::protocol::messages::{Bundle, Material};
use crate::route::{Backend, ClientAddress, EngineSettings};
use crate::types::HostPattern;

/// What an engine writes.
pub(super) trait Renderer: Sync {
    /// The configuration of a table. Total: every table gives one, and equal tables give equal bytes.
    fn write(&self, rendering: &Rendering<'_>) -> Written;

    /// Why the administrator's own template gave no configuration, if that is what the bundle says.
    fn template_fault<'a>(&self, bundle: &'a Bundle) -> Option<&'a str>;

    /// How many locations (places that requests are matched with) and bytes everything takes that grows with routes.
    fn route_size(&self, rendering: &Rendering<'_>) -> RouteSize;

    /// The slot of the engine's host table that a host is kept in, whatever the table's size; none: it is in no table that
    /// hosts can crowd.
    fn host_slot(&self, host: &HostPattern) -> Option<u64>;

    /// How many hosts fit into one slot, even the longest.
    fn hosts_per_slot_max(&self) -> usize;

    /// The published faults of the version that the engine gives of itself.
    fn faults(&self, version: &str) -> Option<Faults>;
}

/// What an engine wrote.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// File name to content.
    pub files: BTreeMap<String, String>,
    /// The secret files that the configuration names, by file name.
    pub material: BTreeMap<String, Material>,
}

/// What routes take in a configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteSize {
    /// Places that requests are matched with.
    pub locations: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// What becomes of requests in an engine, for those who explain them. It is the same as what the configuration has the engine
/// do, said as code, and the engine's own tests hold one against the other.
pub trait Behavior: Sync {
    /// The status codes that the engine answers with by itself, or by a redirect that was configured.
    fn status_codes(&self) -> StatusCodes;

    /// A path as it was asked, in the form in which routes are compared. Bytes that are no UTF-8 are in no route; they are
    /// replaced.
    fn normalized_path(&self, path: &str) -> Result<String, BadPath>;

    /// The path that an application sees whose context root is cut off.
    fn cut_path(&self, request: &CutRequest<'_>) -> String;

    /// What a trusted load balancer says about a client, as far as the engine believes it.
    fn client_claims(&self, settings: &EngineSettings, front: &ClientAddress, request: &dyn ReceivedRequest) -> ClientClaims;

    /// When a request is tried at another endpoint.
    fn retry_rule(&self, settings: &EngineSettings) -> RetryRule;

    /// The names of the headers that tell applications about a request, in HTTP/2 or HTTP/1.1.
    fn request_headers(&self, settings: &EngineSettings, http2: bool) -> Vec<&'static str>;

    /// The name of the header that tells applications which path was cut off.
    fn prefix_header(&self) -> &'static str;

    /// The names of the headers by which answers tell about their way.
    fn info_headers(&self, settings: &EngineSettings) -> Vec<&'static str>;

    /// Whether any endpoint of the backend is found by name ([`super::Purpose::Boot`]).
    fn has_named_servers(&self, backend: &Backend) -> bool;
}

/// The status codes of answers that no application gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusCodes {
    /// A path that cannot be read.
    pub bad_path: u16,
    /// Plain HTTP on a port that speaks TLS.
    pub plain_on_tls_port: u16,
    /// A PROXY header where none is expected, by plain HTTP.
    pub unexpected_proxy_header: u16,
    /// A host without TLS over a TLS connection that was opened for another one.
    pub misdirected: u16,
    /// A redirect that a label asks for.
    pub redirect: u16,
    /// A redirect to HTTPS.
    pub to_https: u16,
    /// The same for methods other than GET and HEAD.
    pub to_https_other_methods: u16,
    /// The redirect that adds the slash behind a path that is cut off.
    pub added_slash: u16,
}

/// A request that is answered 400 whatever the routes are.
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
    /// The path as it was asked.
    pub asked: &'a str,
    /// The context root.
    pub root: &'a str,
    /// Whether the application is spoken to in HTTP/2.
    pub http2: bool,
}

/// A request as it reaches a proxy.
pub trait ReceivedRequest {
    /// Who connects.
    fn peer(&self) -> IpAddr;
    /// The value of a header (name in lower case); of several lines one list.
    fn header(&self, name: &str) -> Option<String>;
    /// The same, spelt with hyphens or underscores.
    fn header_in_any_spelling(&self, name: &str) -> Option<String>;
    /// The client in a PROXY header, and the port that it connected to.
    fn proxied_for(&self) -> Option<(IpAddr, u16)>;
}

/// What is believed about a client. What is absent is what the connection and the request say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientClaims {
    /// Its address.
    pub client: Option<IpAddr>,
    /// Whether it asked by TLS.
    pub secure: Option<bool>,
    /// The host that it asked for, with its port if it named one.
    pub site: Option<String>,
}

/// When a request is tried at another endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    /// At how many endpoints at most.
    pub tries_max: u32,
    /// For how long, in milliseconds.
    pub time_ms: u64,
    /// In which cases, in words that follow a colon.
    pub when: &'static str,
}
