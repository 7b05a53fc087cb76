//! How settings are serialized: flat, in an order that never changes, because tables are identified by digests of their JSON.
//! A new option is left out while it has its default, so that digests stay the same. Reading needs no order and is derived.

use serde::{Serialize, Serializer};

use super::client_limits::{ClientLimits, SizeBytes};
use super::settings::{AccessLogFormat, BackendHttpVersion, ClientAddress, EngineSettings, LogLevel, TlsProtocol};
use crate::types::{ConfigTemplate, EngineLine, LogFormat, LogTarget, TlsCiphers};

impl Serialize for EngineSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireForm::of(self).serialize(serializer)
    }
}

/// All options, whether all engines have them or only one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireForm<'a> {
    worker_processes: &'a u16,
    max_connections: &'a u32,
    open_files_max: &'a u32,
    connect_timeout_ms: &'a u64,
    send_timeout_ms: &'a u64,
    read_timeout_ms: &'a u64,
    keepalive_timeout_ms: &'a u64,
    keepalive_min_timeout_ms: &'a u64,
    worker_shutdown_timeout_ms: &'a u64,
    client_max_body_size: &'a SizeBytes,
    client_body_buffer_size: &'a SizeBytes,
    client_header_buffer_size: &'a SizeBytes,
    large_client_header_buffers_count: &'a u16,
    large_client_header_buffer_size: &'a SizeBytes,
    client_body_timeout_ms: &'a u64,
    limits: &'a ClientLimits,
    underscores_in_headers: &'a bool,
    hide_info_headers: &'a bool,
    upstream_address_header: &'a bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: &'a Option<ClientAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: &'a Option<bool>,
    access_log: &'a bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log_target: &'a Option<LogTarget>,
    access_log_format: &'a AccessLogFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    main_log_format: &'a Option<LogFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_log_format: &'a Option<LogFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_log_target: &'a Option<LogTarget>,
    error_log_level: &'a LogLevel,
    upstream_zone_size: &'a SizeBytes,
    backend_http_version: &'a BackendHttpVersion,
    ip_hash: &'a bool,
    control_plane_timeout_ms: &'a u64,
    tls_protocols: &'a [TlsProtocol],
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_ciphers: &'a Option<TlsCiphers>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tls_options: &'a [EngineLine],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    global_options: &'a [EngineLine],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    http_options: &'a [EngineLine],
    #[serde(skip_serializing_if = "Option::is_none")]
    template: &'a Option<ConfigTemplate>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tcp_options: &'a [EngineLine],
}

impl<'a> WireForm<'a> {
    fn of(settings: &'a EngineSettings) -> Self {
        let nginx = &settings.nginx;
        Self {
            worker_processes: &settings.worker_processes,
            max_connections: &settings.max_connections,
            open_files_max: &settings.open_files_max,
            connect_timeout_ms: &settings.connect_timeout_ms,
            send_timeout_ms: &settings.send_timeout_ms,
            read_timeout_ms: &settings.read_timeout_ms,
            keepalive_timeout_ms: &settings.keepalive_timeout_ms,
            keepalive_min_timeout_ms: &nginx.keepalive_min_timeout_ms,
            worker_shutdown_timeout_ms: &settings.worker_shutdown_timeout_ms,
            client_max_body_size: &settings.client_max_body_size,
            client_body_buffer_size: &nginx.client_body_buffer_size,
            client_header_buffer_size: &nginx.client_header_buffer_size,
            large_client_header_buffers_count: &nginx.large_client_header_buffers_count,
            large_client_header_buffer_size: &nginx.large_client_header_buffer_size,
            client_body_timeout_ms: &settings.client_body_timeout_ms,
            limits: &settings.limits,
            underscores_in_headers: &nginx.underscores_in_headers,
            hide_info_headers: &settings.hide_info_headers,
            upstream_address_header: &settings.upstream_address_header,
            client_address: &settings.client_address,
            ipv6: &settings.ipv6,
            access_log: &settings.access_log,
            access_log_target: &settings.access_log_target,
            access_log_format: &settings.access_log_format,
            main_log_format: &nginx.main_log_format,
            trace_log_format: &nginx.trace_log_format,
            error_log_target: &settings.error_log_target,
            error_log_level: &settings.error_log_level,
            upstream_zone_size: &nginx.upstream_zone_size,
            backend_http_version: &settings.backend_http_version,
            ip_hash: &settings.ip_hash,
            control_plane_timeout_ms: &settings.control_plane_timeout_ms,
            tls_protocols: &settings.tls_protocols,
            tls_ciphers: &settings.tls_ciphers,
            tls_options: &nginx.tls_options,
            global_options: &nginx.global_options,
            http_options: &nginx.http_options,
            template: &nginx.template,
            tcp_options: &nginx.tcp_options,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::route::{EngineSettings, RouteTable};
    use crate::types::{ClusterName, Port};

    /// Every option with a value other than its default, as earlier versions serialized it.
    const ALL: &str = concat!(
        r#"{"workerProcesses":2,"maxConnections":1000,"openFilesMax":2000,"connectTimeoutMs":1,"sendTimeoutMs":2,"#,
        r#""readTimeoutMs":3,"keepaliveTimeoutMs":4,"keepaliveMinTimeoutMs":5,"workerShutdownTimeoutMs":6,"clientMaxBodySize":7,"#,
        r#""clientBodyBufferSize":8,"clientHeaderBufferSize":9,"largeClientHeaderBuffersCount":10,"#,
        r#""largeClientHeaderBufferSize":11,"clientBodyTimeoutMs":12,"limits":{"clientConnectionsMax":1,"#,
        r#""clientHeaderTimeoutMs":2,"clientSendTimeoutMs":3,"concurrentStreamsMax":4,"streamIdleTimeoutMs":5,"#,
        r#""retiringWorkersMax":6,"retiringMemoryMax":7,"bodySpoolMax":8},"underscoresInHeaders":true,"hideInfoHeaders":true,"#,
        r#""upstreamAddressHeader":true,"clientAddress":{"trusted":["10.0.0.0/8"],"from":"forwarded"},"ipv6":false,"#,
        r#""accessLog":false,"accessLogTarget":"/dev/stderr","accessLogFormat":"json","mainLogFormat":"$reqid","#,
        r#""traceLogFormat":"$msec","errorLogTarget":"/dev/stdout","errorLogLevel":"crit","#,
        r#""upstreamZoneSize":18446744073709551615,"backendHttpVersion":"1.0","ipHash":true,"controlPlaneTimeoutMs":14,"#,
        r#""tlsProtocols":["TLSv1.3"],"tlsCiphers":"HIGH","tlsOptions":["ssl_session_timeout 1h;"],"#,
        r#""globalOptions":["worker_priority 0;"],"httpOptions":["gzip on;"],"template":"{{ builtin.main }}","#,
        r#""tcpOptions":["tcp_nodelay on;"]}"#,
    );
    /// The options that are always present, with their defaults, as earlier versions serialized them.
    const DEFAULTS: &str = concat!(
        r#"{"workerProcesses":1,"maxConnections":16384,"openFilesMax":65535,"connectTimeoutMs":5000,"sendTimeoutMs":600000,"#,
        r#""readTimeoutMs":600000,"keepaliveTimeoutMs":75000,"keepaliveMinTimeoutMs":1500,"workerShutdownTimeoutMs":600000,"#,
        r#""clientMaxBodySize":1048576,"clientBodyBufferSize":8192,"clientHeaderBufferSize":1024,"#,
        r#""largeClientHeaderBuffersCount":4,"largeClientHeaderBufferSize":8192,"clientBodyTimeoutMs":60000,"#,
        r#""limits":{"clientConnectionsMax":0,"clientHeaderTimeoutMs":30000,"clientSendTimeoutMs":60000,"#,
        r#""concurrentStreamsMax":128,"streamIdleTimeoutMs":3600000},"underscoresInHeaders":false,"hideInfoHeaders":false,"#,
        r#""upstreamAddressHeader":false,"accessLog":true,"accessLogFormat":"main","errorLogLevel":"warn","#,
        r#""upstreamZoneSize":65536,"backendHttpVersion":"1.1","ipHash":false,"controlPlaneTimeoutMs":30000,"#,
        r#""tlsProtocols":["TLSv1.2","TLSv1.3"]}"#,
    );

    /// Compares the text of settings, and the digest of a table with them, to those of earlier versions.
    fn check(settings: &EngineSettings, text: &str, digest: &str) {
        assert_eq!(serde_json::to_string(settings).unwrap(), text);
        assert_eq!(serde_json::from_str::<EngineSettings>(text).unwrap(), *settings);
        let mut table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(8080).unwrap());
        table.settings = settings.clone();
        assert_eq!(table.digest().to_string(), digest);
        assert_eq!(serde_json::from_str::<RouteTable>(&serde_json::to_string(&table).unwrap()).unwrap(), table);
    }

    #[test]
    fn settings_are_written_flat_in_the_order_of_earlier_versions() {
        check(&EngineSettings::default(), DEFAULTS, "218b937a4bcc2047d917ebb06a49e94adaf6850c8feda54e07e92cb850a33dbd");
        check(&serde_json::from_str(ALL).unwrap(), ALL, "1136621497a7710067561799d969b96bc8823e02eb731b89f01a63e5e5a2fa26");
    }

    #[test]
    fn every_option_is_written() {
        let schema = schemars::schema_for!(EngineSettings).to_value();
        let (options, written) = (schema["properties"].as_object().unwrap(), serde_json::from_str::<Value>(ALL).unwrap());
        assert_eq!(options.keys().collect::<BTreeSet<_>>(), written.as_object().unwrap().keys().collect::<BTreeSet<_>>());
    }

    #[test]
    fn absent_options_are_the_defaults_and_unknown_ones_are_ignored() {
        for text in ["{}", "{\"later\": {\"a\": 1}}"] {
            assert_eq!(serde_json::from_str::<EngineSettings>(text).unwrap(), EngineSettings::default(), "{text}");
        }
        for bad in ["{\"upstreamZoneSize\": \"64k\"}", "{\"httpOptions\": \"gzip on;\"}", "{\"ipv6\": 1}"] {
            assert!(serde_json::from_str::<EngineSettings>(bad).is_err(), "{bad}");
        }
    }
}
