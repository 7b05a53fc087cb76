//! How requests are passed on to applications: protocol, certificate checks, timeouts, retries. The defaults for all locations,
//! and what a single location adds. Used by all pools.

use super::writer::{Word, Writer};
use super::{Rendering, administrator_options, client_limits, request_headers};
use crate::route::{Backend, EngineSettings, Verification};
use crate::types::ContextPath;

/// Response headers by which an application could control the engine.
const IGNORED_HEADERS: [&str; 3] = ["X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Accel-Charset"];

/// The maximum number of endpoints at which a request is tried.
pub const TRIES_MAX: u32 = 5;

/// The maximum time for finding an endpoint that accepts the request.
fn retry_time(settings: &EngineSettings) -> Word {
    Word::millis(retry_time_ms(settings))
}

/// The same in milliseconds.
pub fn retry_time_ms(settings: &EngineSettings) -> u64 {
    settings.connect_timeout_ms.saturating_mul(3).max(1000)
}

/// The destination of a location's requests.
pub struct ProxyTarget<'a> {
    /// The pool.
    pub backend: &'a Backend,
    /// Its name.
    pub pool: Word,
    /// The path that is cut off, and its replacement.
    pub cut: Option<(&'a ContextPath, Word)>,
    /// Whether connections are long-lived (`websocket_endpoints`): requests and answers are passed on as they arrive,
    /// without a time limit.
    pub long_lived: bool,
}

impl<'a> ProxyTarget<'a> {
    /// A pool that gets requests exactly as they were received.
    pub fn whole(backend: &'a Backend, pool: Word) -> Self {
        Self { backend, pool, cut: None, long_lived: false }
    }
}

/// Writes how the requests of a location are passed on.
pub fn write(location: &mut Writer, rendering: &Rendering<'_>, target: &ProxyTarget<'_>) {
    if target.backend.protocol.http2 { write_http2(location, rendering, target) } else { write_http1(location, rendering, target) }
}

fn write_http1(location: &mut Writer, rendering: &Rendering<'_>, target: &ProxyTarget<'_>) {
    let verification = target.backend.protocol.tls.as_ref();
    if let Some(verification) = verification {
        write_checks(location, rendering, verification, &HTTP1_CHECKS);
    }
    if target.long_lived {
        client_limits::write_http1_stream(location, &rendering.table.settings);
    }
    let scheme: Word = if verification.is_some() { "https://".into() } else { "http://".into() };
    // Without a URI after the pool's name a request is passed on exactly as received; a URI replaces the matched path.
    let uri = target.cut.as_ref().map_or_else(|| "".into(), |(_, uri)| uri.clone());
    location.directive("proxy_pass", &[Word::join([scheme, target.pool.clone(), uri])]);
}

/// HTTP/2 to applications, gRPC or not. The directive takes no URI, so a separate rewrite cuts off the path.
fn write_http2(location: &mut Writer, rendering: &Rendering<'_>, target: &ProxyTarget<'_>) {
    let verification = target.backend.protocol.tls.as_ref();
    if let Some(verification) = verification {
        write_checks(location, rendering, verification, &HTTP2_CHECKS);
    }
    if let Some((path, _)) = &target.cut {
        location.directive("rewrite", &[Word::below_pattern(path), "/$1".into(), "break".into()]);
    }
    client_limits::write_stream(location, &rendering.table.settings);
    let scheme: Word = if verification.is_some() { "grpcs://".into() } else { "grpc://".into() };
    location.directive("grpc_pass", &[Word::join([scheme, target.pool.clone()])]);
}

/// The same five directives exist for both protocols.
struct Checks {
    server_name: &'static str,
    name: &'static str,
    verify: &'static str,
    depth: &'static str,
    trusted: &'static str,
}

const HTTP1_CHECKS: Checks = Checks {
    server_name: "proxy_ssl_server_name",
    name: "proxy_ssl_name",
    verify: "proxy_ssl_verify",
    depth: "proxy_ssl_verify_depth",
    trusted: "proxy_ssl_trusted_certificate",
};
const HTTP2_CHECKS: Checks = Checks {
    server_name: "grpc_ssl_server_name",
    name: "grpc_ssl_name",
    verify: "grpc_ssl_verify",
    depth: "grpc_ssl_verify_depth",
    trusted: "grpc_ssl_trusted_certificate",
};

/// The application is asked for the host that the client requested, and its certificate is checked against it.
fn write_checks(location: &mut Writer, rendering: &Rendering<'_>, verification: &Verification, directives: &Checks) {
    location.directive(directives.server_name, &["on".into()]);
    location.directive(directives.name, &["$host".into()]);
    let trusted = match verification {
        Verification::Off => return,
        Verification::System => Some(rendering.layout.system_roots.into()),
        Verification::Authority(authority) => rendering.authority_path(authority),
    };
    let Some(trusted) = trusted else { return };
    location.directive(directives.verify, &["on".into()]);
    location.directive(directives.depth, &["4".into()]);
    location.directive(directives.trusted, &[trusted]);
}

/// Writes the settings of all locations that use HTTP/1.1 to applications.
pub fn write_http1_defaults(http: &mut Writer, settings: &EngineSettings) {
    http.directive("proxy_http_version", &[administrator_options::backend_http_version(settings)]);
    http.directive("proxy_connect_timeout", &[Word::millis(settings.connect_timeout_ms)]);
    http.directive("proxy_send_timeout", &[Word::millis(settings.send_timeout_ms)]);
    http.directive("proxy_read_timeout", &[Word::millis(settings.read_timeout_ms)]);
    // Answers are passed on as they arrive: with buffers, nginx holds back an answer shorter than a buffer until the
    // application closes, and an event stream cannot be told from a page in advance. One buffer and those of the kernel free
    // the application from a usual answer to a slow client.
    http.directive("proxy_buffering", &["off".into()]);
    // Large cookies are common; with the default of one memory page such answers result in 502.
    http.directive("proxy_buffer_size", &["32k".into()]);
    http.directive("proxy_buffers", &["8".into(), "16k".into()]);
    http.directive("proxy_busy_buffers_size", &["32k".into()]);
    // An application answers only for its own requests: it must not make the engine request another location of the host.
    http.directive("proxy_ignore_headers", &IGNORED_HEADERS.map(Word::from));
    // If a connection fails, the request is retried elsewhere whatever its method; a request that was already sent only if
    // it is idempotent (nginx's rule without `non_idempotent`). An answer of the application is final, whatever its status.
    http.directive("proxy_next_upstream", &["error".into(), "timeout".into()]);
    http.directive("proxy_next_upstream_tries", &[TRIES_MAX.into()]);
    http.directive("proxy_next_upstream_timeout", &[retry_time(settings)]);
}

/// Writes the settings of all locations that use HTTP/2 to applications.
pub fn write_http2_defaults(http: &mut Writer, rendering: &Rendering<'_>) {
    let settings = &rendering.table.settings;
    http.directive("grpc_connect_timeout", &[Word::millis(settings.connect_timeout_ms)]);
    http.directive("grpc_send_timeout", &[client_limits::http2_silence(settings)]);
    http.directive("grpc_read_timeout", &[client_limits::http2_silence(settings)]);
    http.directive("grpc_buffer_size", &["16k".into()]);
    http.directive("grpc_ignore_headers", &IGNORED_HEADERS.map(Word::from));
    http.directive("grpc_next_upstream", &["error".into(), "timeout".into()]);
    http.directive("grpc_next_upstream_tries", &[TRIES_MAX.into()]);
    http.directive("grpc_next_upstream_timeout", &[retry_time(settings)]);
    request_headers::write(http, rendering, "grpc_set_header");
}
