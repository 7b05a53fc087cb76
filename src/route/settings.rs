//! Engine options that apply to all routes of a cluster, validated and with units. The renderer translates them to its
//! engine's syntax. Options that only one engine has are in a file of that engine; on the wire they stand among the others
//! (`settings_wire_form.rs`).

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client_limits::{ClientLimits, SizeBytes};
use super::nginx::NginxSettings;
use super::raw_lines::LineList;
use crate::types::{AddressRange, ConfigTemplate, EngineLine, LogTarget, TlsCiphers};

/// Options of the proxy engine; every field has a sensible default.
// `settings_wire_form.rs` serializes it; what the attributes say about that is for the schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate setting that administrators know by its name")]
pub struct EngineSettings {
    /// Worker processes; 0 = one per processor.
    pub worker_processes: u16,
    /// The maximum number of connections of one worker.
    pub max_connections: u32,
    /// The maximum number of open files of one worker.
    pub open_files_max: u32,
    /// How long connecting to an endpoint may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long an application may accept no data, in milliseconds.
    pub send_timeout_ms: u64,
    /// How long an endpoint may send no data, in milliseconds.
    pub read_timeout_ms: u64,
    /// How long an idle client connection is kept, in milliseconds.
    pub keepalive_timeout_ms: u64,
    /// How long old workers may finish open requests after a reload, in milliseconds; 0 = no limit.
    pub worker_shutdown_timeout_ms: u64,
    /// The largest request body.
    pub client_max_body_size: SizeBytes,
    /// How long a client may pause while it sends its body, in milliseconds.
    pub client_body_timeout_ms: u64,
    /// Limits on clients, streams, and workers of earlier configurations.
    pub limits: ClientLimits,
    /// Whether responses omit the `x-…` information headers.
    pub hide_info_headers: bool,
    /// Whether responses contain the address of the application that answered.
    pub upstream_address_header: bool,
    /// Whose information about clients is trusted; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
    /// Whether proxies listen on IPv6; absent: where IPv6 is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Whether requests are logged.
    pub access_log: bool,
    /// Where they are logged; absent: standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log_target: Option<LogTarget>,
    /// The format of the access log.
    pub access_log_format: AccessLogFormat,
    /// Where the engine logs errors; absent: standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_log_target: Option<LogTarget>,
    /// The lowest severity that is logged.
    pub error_log_level: LogLevel,
    /// The HTTP version used for applications that do not select another one.
    pub backend_http_version: BackendHttpVersion,
    /// Whether clients stay at one endpoint by their address where no cookie is configured; translation has applied it.
    pub ip_hash: bool,
    /// How long proxies send requests to addresses that are no longer confirmed, in milliseconds; 0 = forever.
    pub control_plane_timeout_ms: u64,
    /// The TLS versions that clients may use; never empty, in ascending order.
    pub tls_protocols: Vec<TlsProtocol>,
    /// The ciphers of TLS up to 1.2; absent: the renderer's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ciphers: Option<TlsCiphers>,
    /// The options that only nginx has.
    #[serde(flatten)]
    pub nginx: NginxSettings,
}

/// Which load balancers' information about clients is trusted, and where it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientAddress {
    /// The load balancers in front of the proxies; sorted, without duplicates.
    pub trusted: Vec<AddressRange>,
    /// Where they state the client's address.
    pub from: ClientAddressSource,
}

impl ClientAddress {
    /// Whether this address is one of the load balancers. An IPv4 address may arrive in its IPv6 form.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.net().contains(&address.to_canonical()))
    }
}

/// How a load balancer states the client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAddressSource {
    /// The headers `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    XForwardedFor,
    /// The header `Forwarded` of RFC 7239.
    Forwarded,
    /// The PROXY protocol, version 1 or 2, before each connection.
    ProxyProtocol,
}

/// The format of the access log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogFormat {
    /// The format `main`.
    #[default]
    Main,
    /// The format `trace`.
    Trace,
    /// One JSON object for each request.
    Json,
}

/// The severity of a log message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Informational messages.
    Info,
    /// Unusual events.
    Notice,
    /// Possible problems.
    #[default]
    Warn,
    /// Errors of single requests.
    Error,
    /// Errors that affect all requests.
    Crit,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsProtocol {
    /// From 1999; no current browser supports it.
    #[serde(rename = "TLSv1")]
    V1_0,
    /// From 2006; no current browser supports it.
    #[serde(rename = "TLSv1.1")]
    V1_1,
    /// From 2008.
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// From 2018.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

/// The HTTP version used for applications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackendHttpVersion {
    /// Without persistent connections and upgrades.
    #[serde(rename = "1.0")]
    Http10,
    /// The version that applications usually support.
    #[default]
    #[serde(rename = "1.1")]
    Http11,
}

/// How long proxies send requests to unconfirmed addresses by default: longer than an upgrade or a crash of the operator or
/// an extension takes, and far shorter than a network of the usual size needs to reuse an address.
pub const CONTROL_PLANE_TIMEOUT_MS: u64 = 30_000;

impl EngineSettings {
    /// Milliseconds as a duration.
    pub fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The administrator's own template of the whole configuration.
    pub fn template(&self) -> Option<&ConfigTemplate> {
        self.nginx.template.as_ref()
    }

    /// Replaces it by the renderer's own configuration.
    pub fn remove_template(&mut self) {
        self.nginx.template = None;
    }

    /// The administrator's raw directives of a list.
    pub(super) fn lines(&self, list: LineList) -> &[EngineLine] {
        self.nginx.lines(list)
    }

    /// The same, to change them.
    pub(super) fn lines_mut(&mut self, list: LineList) -> &mut Vec<EngineLine> {
        self.nginx.lines_mut(list)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            worker_processes: 1,
            // A proxied request takes two; 7 MB of memory in each worker.
            max_connections: 16_384,
            open_files_max: 65_535,
            // Interlock's 600 s hid dead endpoints; its later releases wrote 5 s.
            connect_timeout_ms: 5_000,
            send_timeout_ms: 600_000,
            read_timeout_ms: 600_000,
            keepalive_timeout_ms: 75_000,
            worker_shutdown_timeout_ms: 600_000,
            client_max_body_size: SizeBytes(1 << 20),
            client_body_timeout_ms: 60_000,
            limits: ClientLimits::default(),
            hide_info_headers: false,
            upstream_address_header: false,
            client_address: None,
            ipv6: None,
            access_log: true,
            access_log_target: None,
            access_log_format: AccessLogFormat::Main,
            error_log_target: None,
            error_log_level: LogLevel::Warn,
            backend_http_version: BackendHttpVersion::Http11,
            ip_hash: false,
            control_plane_timeout_ms: CONTROL_PLANE_TIMEOUT_MS,
            tls_protocols: vec![TlsProtocol::V1_2, TlsProtocol::V1_3],
            tls_ciphers: None,
            nginx: NginxSettings::default(),
        }
    }
}
