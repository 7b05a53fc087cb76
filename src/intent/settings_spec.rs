//! The options of the engine as a document writes them (`spec.settings`). Field docs are what users see in the schema;
//! docs/settings.md lists the corresponding keys of Interlock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;
use crate::route::{AccessLogFormat, ClientAddressSource, LogLevel, TlsProtocol};

/// Options of the engine, in the unit of the field's name or with a unit in the value (`32m`, `75s`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The number of worker processes; 0 = one per CPU. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1024))]
    pub worker_processes: Option<u16>,
    /// The maximum number of connections of one worker; a forwarded request uses two. Default: 16384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u32>,
    /// The maximum number of open files of one worker. Default: 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub open_files: Option<u32>,
    /// How long connecting to an endpoint may take. Default: `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub connect_timeout: Option<String>,
    /// How long sending to an application may stall; also sending to clients, unless `clientSendTimeout` is set. Default: `600s`
    /// for applications, `60s` for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub send_timeout: Option<String>,
    /// How long an endpoint may stay silent. Default: `600s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub read_timeout: Option<String>,
    /// How long an idle client connection is kept. Default: `75s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub keepalive_timeout: Option<String>,
    /// How long a reload or stop keeps idle client connections open for one more request, which still goes to the previous
    /// endpoints. Default: `1500ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub keepalive_min_timeout: Option<String>,
    /// How long old workers may take to finish open requests after a reload; `0s` = no limit. Default: `600s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub worker_shutdown_timeout: Option<String>,
    /// The maximum size of a request body; `0` = no limit. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub client_max_body_size: Option<String>,
    /// The memory for a request body before it is written to a file. Default: `8k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::BufferSize>")]
    pub client_body_buffer_size: Option<String>,
    /// The memory for a small request header. Default: `1k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::BufferSize>")]
    pub client_header_buffer_size: Option<String>,
    /// Number and size of large header buffers: `4 8k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::HeaderBuffers>")]
    pub large_client_header_buffers: Option<String>,
    /// How long a client may stall while it sends a request body. Default: `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub client_body_timeout: Option<String>,
    /// The maximum number of simultaneous requests and passed-through connections of one client address (for IPv6: of one /64 network);
    /// `0` = no limit. Default: a quarter of `maxConnections` in host mode; no limit behind the routing mesh, where clients share an
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub max_connections_per_client: Option<u32>,
    /// How long a client may take for a TLS handshake, and to send the header of a request; `0s` = no limit. Default: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub client_header_timeout: Option<String>,
    /// How long a client may stall while it receives a response; `0s` = no limit. Default: `sendTimeout` if set, otherwise `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub client_send_timeout: Option<String>,
    /// The maximum number of simultaneous requests on one HTTP/2 connection of a client. Default: 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub max_concurrent_streams: Option<u32>,
    /// How long a stream may be idle in both directions: gRPC and HTTP/2 to applications, paths in `websocket_endpoints`, and
    /// passed-through connections; `0s` = no limit. Default: `1h`, or `readTimeout` if that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub stream_idle_timeout: Option<String>,
    /// The maximum number of workers that may finish long connections after reloads. Above this number the oldest workers are
    /// ended together with their connections. `0` = no limit. Default: 64, or eight for each worker process if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4096))]
    pub retiring_workers_max: Option<u32>,
    /// The maximum memory of all these workers together; above it the oldest are ended as well. `0` = no limit. Default: a quarter
    /// of the container's memory, at most `1g`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub retiring_memory_max: Option<String>,
    /// The maximum space that all request bodies together may use on a proxy's volume. Above it the proxy frees the space, and
    /// fails its health check until the space is free. `0` = limited only by the disk. Default: `8g`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub request_body_spool_max: Option<String>,
    /// Whether headers with underscores in their names are forwarded. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underscores_in_headers: Option<bool>,
    /// Whether the `x-…` information headers are removed from responses. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hide_info_headers: Option<bool>,
    /// Whether responses include the address of the endpoint that answered (`x-upstream-addr`), which discloses internal addresses
    /// to every client. `hideInfoHeaders: true` removes this header, too. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_address_header: Option<bool>,
    /// The load balancers in front of the proxies, and how they pass on the client's address. If omitted, there is none, and the
    /// proxies trust no client's statements about itself. See docs/behind-a-load-balancer.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
    /// Whether the proxies also listen on IPv6 addresses. Default: true if their container has IPv6; false with
    /// `rollout: replace`, because a stock image does not start without IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Whether requests are logged. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log: Option<bool>,
    /// Where requests are logged: `/dev/stdout` (default), another file, or `syslog:server=ADDRESS`. The proxies' file system
    /// is read-only, so a file requires your own image or a mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogTarget>")]
    pub access_log_path: Option<String>,
    /// The format of the access log. Default: `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log_format: Option<AccessLogFormat>,
    /// The format `main`: text with nginx's variables and `$reqid`, the request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogFormat>")]
    pub main_log_format: Option<String>,
    /// The format `trace`. Default: `main` with the request id and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogFormat>")]
    pub trace_log_format: Option<String>,
    /// Where the engine logs errors: `/dev/stderr` (default), another file, or `syslog:server=ADDRESS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogTarget>")]
    pub error_log_path: Option<String>,
    /// The minimum severity of the errors that are logged. Default: `warn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_log_level: Option<LogLevel>,
    /// The shared memory of each pool. Default: `64k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::ZoneSize>")]
    pub upstream_zone_size: Option<String>,
    /// The HTTP version to applications: `1.1` (default), or `1.0`, which supports neither keepalive connections nor upgrades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::HttpVersion>")]
    pub backend_http_version: Option<String>,
    /// Whether each client address always gets the same endpoint, on all routes without a sticky cookie, as if each service had
    /// the label `ip_hash`. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_hash: Option<bool>,
    /// How long the control plane (operator, extension, Docker API) may be silent before proxies resolve endpoints by service name
    /// instead of using addresses, which Docker may meanwhile assign to other containers: `10s` or more; `0s` = never. Default: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::ControlPlaneTimeout>")]
    pub control_plane_timeout: Option<String>,
    /// The TLS versions that clients may use. Default: `TLSv1.2` and `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_protocols: Option<Vec<TlsProtocol>>,
    /// The ciphers of TLS up to 1.2, in OpenSSL's notation. Default: `ECDHE+AESGCM:ECDHE+CHACHA20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Ciphers>")]
    pub tls_ciphers: Option<String>,
    /// Additional TLS directives of the engine, for all hosts: `ssl_session_timeout 1h;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub tls_options: Option<Vec<String>>,
    /// Raw directives in nginx's main context: `worker_priority -5;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub global_options: Option<Vec<String>>,
    /// Raw directives in nginx's `http` context: `gzip on;`. A directive replaces one of the same name that Swarmgate would write
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub http_options: Option<Vec<String>>,
    /// Raw directives in nginx's `stream` context, which exists only if TLS is passed through to an application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub tcp_options: Option<Vec<String>>,
    /// A Jinja template of the whole nginx.conf that replaces the built-in one. docs/template.md describes its variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Template>")]
    pub template: Option<String>,
}

/// The load balancers in front of the proxies, and how they pass on the client's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientAddress {
    /// The addresses of the load balancers: `10.0.0.7`, `192.0.2.0/24`, `2001:db8::/64`. The proxies trust what these state about a
    /// client: its address, scheme, host and port. Never use a range that contains clients.
    #[schemars(with = "Vec<formats::AddressRange>", length(max = 1024))]
    pub trusted: Vec<String>,
    /// How they pass on the client's address.
    pub from: ClientAddressSource,
}

impl Settings {
    /// Whether nothing is stated.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
