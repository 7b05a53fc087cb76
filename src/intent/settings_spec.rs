//! The options of the engine as a document writes them (`spec.settings`). Field docs are what users see in the schema;
//! docs/settings.md says which of Interlock's keys each one is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;
use crate::route::{AccessLogFormat, ClientAddressSource, LogLevel, TlsProtocol};

/// Options of the engine, in the units of the field's name or with a unit in the value (`32m`, `75s`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Worker processes: a number, 0 = one per processor. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1024))]
    pub worker_processes: Option<u16>,
    /// Connections that one worker holds at most; a request that is passed on takes two. Default: 16384.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u32>,
    /// Open files that one worker may have. Default: 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub open_files: Option<u32>,
    /// How long connecting to an endpoint may take. Default: `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub connect_timeout: Option<String>,
    /// How long sending to an application may stall; to clients as well, unless `clientSendTimeout` says otherwise. Default: `600s`
    /// to applications, `60s` to clients.
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
    /// For how long a reload or stop keeps idle client connections open for one more request, which
    /// still goes to the endpoints of before. Default: `1500ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub keepalive_min_timeout: Option<String>,
    /// For how long old workers finish open requests after a reload; `0s` = without limit. Default: `600s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub worker_shutdown_timeout: Option<String>,
    /// The largest request body; `0` = without limit. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub client_max_body_size: Option<String>,
    /// The memory for a request body before it goes to a file. Default: `8k`.
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
    /// How long a client may stall while it sends its body. Default: `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Timeout>")]
    pub client_body_timeout: Option<String>,
    /// Requests, and connections that are passed through, that one client address may have at a time (of IPv6 a /64 network); `0` = no
    /// limit. Default: a quarter of `maxConnections` in host mode; none behind the routing mesh, where clients have no address of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub max_connections_per_client: Option<u32>,
    /// How long a client may take for a TLS handshake, and for the head of a request; `0s` = without limit. Default: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub client_header_timeout: Option<String>,
    /// How long a client may stall while it takes an answer; `0s` = without limit. Default: `sendTimeout` if stated, else `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub client_send_timeout: Option<String>,
    /// Requests at a time on one HTTP/2 connection of a client. Default: 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub max_concurrent_streams: Option<u32>,
    /// How long a stream may be silent in both directions: gRPC and HTTP/2 to applications, paths in `websocket_endpoints`,
    /// connections that are passed through; `0s` = without limit. Default: `1h`, or `readTimeout` if that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::EngineDuration>")]
    pub stream_idle_timeout: Option<String>,
    /// Workers that may still finish long connections after reloads; beyond it the oldest end, and their connections with
    /// them. `0` = no limit. Default: 64, or eight for each worker process if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 4096))]
    pub retiring_workers_max: Option<u32>,
    /// The memory of these workers together, with the same consequence. `0` = no limit. Default: a quarter of the container's
    /// memory, at most `1g`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub retiring_memory_max: Option<String>,
    /// What request bodies may take on a proxy's volume, all together; beyond it the proxy frees the space and fails its
    /// health check until it is free. `0` = no limit but the disk. Default: `8g`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Size>")]
    pub request_body_spool_max: Option<String>,
    /// Whether header names with underscores are passed on. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub underscores_in_headers: Option<bool>,
    /// Whether the `x-…` information headers are left out of answers. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hide_info_headers: Option<bool>,
    /// Whether answers say at which address an application answered (`x-upstream-addr`), which tells internal addresses to
    /// every client. `hideInfoHeaders: true` hides this one, too. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_address_header: Option<bool>,
    /// Who stands in front of the proxies, and how he says who asks. Absent: nobody does, and what clients say about
    /// themselves is believed to nobody. See docs/behind-a-load-balancer.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
    /// Whether the proxies listen at IPv6 addresses as well. Default: true where their container has IPv6; false with
    /// `rollout: replace`, because a stock image does not start where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Whether requests are logged. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log: Option<bool>,
    /// Where requests are logged: `/dev/stdout` (default), another file, or `syslog:server=ADDRESS`. The proxies' file system
    /// is read-only; a file needs an image or a mount of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogTarget>")]
    pub access_log_path: Option<String>,
    /// Which format the access log has. Default: `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_log_format: Option<AccessLogFormat>,
    /// The format `main`: text with nginx's variables and `$reqid`, the id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogFormat>")]
    pub main_log_format: Option<String>,
    /// The format `trace`: `main` with the request's id and times unless stated otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogFormat>")]
    pub trace_log_format: Option<String>,
    /// Where the engine logs errors: `/dev/stderr` (default), another file, or `syslog:server=ADDRESS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::LogTarget>")]
    pub error_log_path: Option<String>,
    /// The least severe errors that are logged. Default: `warn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_log_level: Option<LogLevel>,
    /// Shared memory per pool. Default: `64k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::ZoneSize>")]
    pub upstream_zone_size: Option<String>,
    /// The HTTP version towards applications: `1.1` (default), or `1.0`, which keeps no connections and upgrades none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::HttpVersion>")]
    pub backend_http_version: Option<String>,
    /// Whether clients stick to an endpoint by their address on all routes without a sticky cookie, as if each service had
    /// the label `ip_hash`. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_hash: Option<bool>,
    /// How long the control plane (operator, extension, Docker API) may be silent before proxies find endpoints by the names of
    /// services instead of addresses, which may be given to somebody else meanwhile: `10s` or more; `0s` = never. Default: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::ControlPlaneTimeout>")]
    pub control_plane_timeout: Option<String>,
    /// The TLS versions that clients may speak. Default: `TLSv1.2` and `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_protocols: Option<Vec<TlsProtocol>>,
    /// The ciphers of TLS up to 1.2, in OpenSSL's words. Default: `ECDHE+AESGCM:ECDHE+CHACHA20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Ciphers>")]
    pub tls_ciphers: Option<String>,
    /// Further TLS directives of the engine, for all hosts: `ssl_session_timeout 1h;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub tls_options: Option<Vec<String>>,
    /// Raw directives in nginx's main context: `worker_priority -5;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub global_options: Option<Vec<String>>,
    /// Raw directives in nginx's `http` context: `gzip on;`. It takes the place of one of the same name that
    /// Swarmgate would write there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub http_options: Option<Vec<String>>,
    /// Raw directives in nginx's `stream` context, which exists when TLS is passed through to an application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<formats::EngineLine>>")]
    pub tcp_options: Option<Vec<String>>,
    /// A template of the whole nginx.conf instead of the built-in one, in the language Jinja. docs/template.md says what
    /// it is filled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<formats::Template>")]
    pub template: Option<String>,
}

/// The load balancers in front, and how they say who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientAddress {
    /// The addresses of the load balancers: `10.0.0.7`, `192.0.2.0/24`, `2001:db8::/64`. What they say about a client is believed:
    /// its address, scheme, host and port. Never a range that clients are in.
    #[schemars(with = "Vec<formats::AddressRange>", length(max = 1024))]
    pub trusted: Vec<String>,
    /// How they say it.
    pub from: ClientAddressSource,
}

impl Settings {
    /// Whether nothing is stated.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
