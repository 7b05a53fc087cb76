//! The engine accepts any routes without a warning.

use std::net::SocketAddr;

use proptest::prelude::*;
use swarmgate::render::ConfigPurpose;
use swarmgate::route::{
    AccessLogFormat, BackendHttpVersion, ClientAddress, ClientAddressSource, DefaultBackend, EngineSettings, LogLevel, NginxSettings,
    RouteTable, SizeBytes, TlsProtocol,
};
use swarmgate::translate::translate;
use swarmgate::types::{AddressRange, ContextPath, EngineLine, HostPattern, LogFormat, LogTarget, Port, TlsCiphers};

use super::engine::{EngineSandbox, nginx};
use super::golden_cases::all_cases;
use super::hash_collisions::lookalike;
use super::route_tables::{Path, backend, empty, route};

/// Tests a table for every purpose.
fn check(about: &str, table: &RouteTable) {
    let Some(recent) = nginx() else { return };
    let sandbox = EngineSandbox::new();
    // The test must not bind well-known ports.
    let table =
        RouteTable { http_port: Port::new(sandbox.http).unwrap(), https_port: table.https_port.map(|_| port(1443)), ..table.clone() };
    for purpose in [ConfigPurpose::Live, ConfigPurpose::Boot, ConfigPurpose::Stock] {
        assert_eq!(sandbox.test(&recent, &table, purpose), Ok(String::new()), "{about}, {purpose:?}");
    }
}

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn nginx_accepts_every_golden_case_for_every_purpose() {
    for case in all_cases() {
        let (clusters, snapshot) = (case.clusters().0, case.snapshot());
        for cluster in &clusters {
            check(&case.name, &translate(cluster, &snapshot).table);
        }
    }
}

#[test]
fn nginx_accepts_thousands_of_long_names_without_a_warning() {
    let mut table = empty(80);
    for number in 0..2000 {
        let label = format!("h{number:04}-{}", "x".repeat(57));
        route(&mut table, &format!("{label}.{label}.{label}.example.org"), "/some/path", Path::Kept, &[address("10.0.0.2:80")]);
    }
    check("2000 hosts", &table);
}

/// Uses as many of the longest lookalikes as may be published.
#[test]
fn nginx_accepts_hosts_with_equal_hashes_without_a_warning() {
    let mut table = empty(80);
    for number in 0..200 {
        route(&mut table, &lookalike(number, 250), "/", Path::Kept, &[address("10.0.0.2:80")]);
    }
    for number in 0..3000 {
        route(&mut table, &format!("h{number}.example.org"), "/", Path::Kept, &[address("10.0.0.2:80")]);
    }
    check("200 hosts in one bucket", &table);
}

#[test]
fn a_pool_of_a_thousand_endpoints_fits_its_memory_zone() {
    let endpoints: Vec<_> = (0..1000).map(|number| address(&format!("10.0.{}.{}:8080", number / 250, number % 250 + 1))).collect();
    let six: Vec<_> = (0..1000).map(|number| address(&format!("[fd00:1234:5678:9abc:def0:1234:5678:{number:x}]:8080"))).collect();
    let mut table = empty(80);
    route(&mut table, "h", "/", Path::Kept, &endpoints);
    route(&mut table, "i", "/", Path::Kept, &six);
    table.settings.nginx.upstream_zone_size = SizeBytes(1);
    table.default_backend = Some(DefaultBackend::plain(backend(&endpoints)));
    check("1000 endpoints", &table);
}

fn settings() -> impl Strategy<Value = EngineSettings> {
    // The ends of each range are the critical values; memory that is actually reserved stays small.
    let number = || prop_oneof![Just(0_u64), Just(1), Just(1500), Just(60_000), Just(u64::MAX)];
    let size = || prop_oneof![Just(0_u64), Just(1), Just(1025), Just(8 << 10)].prop_map(SizeBytes);
    let body = prop_oneof![Just(0_u64), Just(1 << 40), Just(u64::MAX)].prop_map(SizeBytes);
    (prop::array::uniform8(number()), size(), size(), size(), body, any::<[bool; 3]>(), 0..3_u16).prop_map(
        |(times, first, second, third, body, switches, count)| EngineSettings {
            worker_processes: count,
            max_connections: u32::from(count),
            open_files_max: u32::from(count),
            connect_timeout_ms: times[0],
            send_timeout_ms: times[1],
            read_timeout_ms: times[2],
            keepalive_timeout_ms: times[3],
            worker_shutdown_timeout_ms: times[5],
            client_body_timeout_ms: times[6],
            client_max_body_size: body,
            hide_info_headers: switches[1],
            access_log: switches[2],
            nginx: NginxSettings {
                keepalive_min_timeout_ms: times[4],
                client_body_buffer_size: first,
                client_header_buffer_size: second,
                large_client_header_buffers_count: count,
                large_client_header_buffer_size: third,
                underscores_in_headers: switches[0],
                upstream_zone_size: first,
                ..NginxSettings::default()
            },
            ..EngineSettings::default()
        },
    )
}

/// The trusted addresses in front of the proxy, from a single address to all addresses.
fn front() -> impl Strategy<Value = Option<ClientAddress>> {
    let ranges = ["10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "::/0", "2001:db8::/32", "255.255.255.254", "::1"];
    let trusted = prop::sample::subsequence(ranges.to_vec(), 1..=ranges.len());
    let from = [ClientAddressSource::XForwardedFor, ClientAddressSource::Forwarded, ClientAddressSource::ProxyProtocol];
    let front = (trusted, prop::sample::select(from.to_vec())).prop_map(|(trusted, from)| {
        let mut trusted: Vec<_> = trusted.into_iter().map(|range| AddressRange::parse(range).unwrap()).collect();
        trusted.sort_unstable();
        ClientAddress { trusted, from }
    });
    prop::option::of(front)
}

/// Settings that an administrator can choose besides numbers, each with values that tend to break it.
fn choices() -> impl Strategy<Value = EngineSettings> {
    use prop::sample::select;
    // Variables that exist, mixed with text that resembles syntax.
    let format = "((\\$(status|reqid|\\{host\\})) |[a-z0-9;{}\"'\\\\#| \t-]){1,60}";
    let format = format.prop_filter_map("a format", |text| LogFormat::parse(&text).ok());
    let formats = prop::collection::vec(format, 2);
    let logs = (select(vec![AccessLogFormat::Main, AccessLogFormat::Trace, AccessLogFormat::Json]), formats);
    let target = select(vec!["/dev/stdout", "/dev/stderr", "/dev/null", "syslog:server=127.0.0.1:5140,tag=a"]);
    let level = select(vec![LogLevel::Debug, LogLevel::Info, LogLevel::Notice, LogLevel::Error, LogLevel::Crit]);
    let versions = select(vec![BackendHttpVersion::Http10, BackendHttpVersion::Http11]);
    let protocols = prop::sample::subsequence(vec![TlsProtocol::V1_0, TlsProtocol::V1_1, TlsProtocol::V1_2, TlsProtocol::V1_3], 1..=4);
    let lines = prop::sample::subsequence(HTTP_LINES.to_vec(), 0..=HTTP_LINES.len());
    let others = (protocols, lines, front(), prop::option::of(any::<bool>()));
    (logs, target, level, versions, others).prop_map(|((format, formats), target, level, version, (protocols, lines, front, ipv6))| {
        EngineSettings {
            client_address: front,
            ipv6,
            access_log_format: format,
            access_log_target: LogTarget::parse(target).ok(),
            error_log_target: LogTarget::parse(target).ok(),
            error_log_level: level,
            backend_http_version: version,
            tls_protocols: protocols,
            tls_ciphers: TlsCiphers::parse("HIGH:!aNULL:!MD5").ok(),
            nginx: NginxSettings {
                underscores_in_headers: ipv6 == Some(true),
                main_log_format: formats.first().cloned(),
                trace_log_format: formats.last().cloned(),
                tls_options: engine_lines(&["ssl_protocols TLSv1.3;", "ssl_session_timeout 1h;"]),
                global_options: engine_lines(&["worker_rlimit_nofile 1024; worker_processes auto;", "worker_priority 0;"]),
                http_options: engine_lines(&lines),
                ..NginxSettings::default()
            },
            ..EngineSettings::default()
        }
    })
}

/// Directives that may appear only once and that we also write, directives that may repeat, and blocks.
const HTTP_LINES: &[&str] = &[
    "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;",
    "server_tokens off;",
    "keepalive_timeout 10s;",
    "client_max_body_size 7m;",
    "add_header x-frame-options 'DENY' always;",
    "proxy_set_header X-Team edge;",
    "map $status $own { default 1; '~^5' \"}\"; }",
    "access_log /dev/null json;",
    "gzip on; # for all\ngzip_types application/json;",
];

fn engine_lines(lines: &[&str]) -> Vec<EngineLine> {
    lines.iter().map(|line| EngineLine::parse(line).unwrap()).collect()
}

/// Hosts and paths that the checked types accept, generated from text that resembles syntax.
fn routes() -> impl Strategy<Value = Vec<(String, String, bool, bool)>> {
    let host = "(\\*\\.)?[a-zA-Z0-9_$;{}~\"\\\\.-]{1,70}".prop_filter("a host", |text| HostPattern::parse(text).is_ok());
    let path = "/([a-zA-Z0-9._~!&+,=:@/-]|[\"$;{}\\\\ ]){0,40}".prop_filter("a path", |text| ContextPath::parse(text).is_ok());
    prop::collection::vec((host, path, any::<bool>(), any::<bool>()), 0..40)
}

proptest! {
    // Each case starts the engine three times.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_valid_routes_and_settings_are_accepted(routes in routes(), settings in settings()) {
        let mut table = RouteTable { settings, ..empty(80) };
        for (host, path, cut, served) in &routes {
            let endpoints = [address("10.0.0.2:80"), address("[fd00::2]:81")];
            route(&mut table, host, path, if *cut { Path::Cut } else { Path::Kept }, if *served { &endpoints } else { &[] });
        }
        check("any routes", &table);
    }
    #[test]
    fn any_choices_of_an_administrator_are_accepted(settings in choices()) {
        let mut table = RouteTable { settings, ..empty(80) };
        (table.https_port, table.https_published) = (Some(port(443)), Some(port(443)));
        route(&mut table, "h", "/", Path::Kept, &[address("10.0.0.2:80")]);
        route(&mut table, "h", "/cut", Path::Cut, &[address("10.0.0.2:80"), address("[fd00::2]:80")]);
        route(&mut table, "h", "/grpc", Path::Cut, &[address("10.0.0.2:80")]);
        let host = table.hosts.get_mut(&HostPattern::parse("h").unwrap()).unwrap();
        host.paths.values_mut().for_each(|route| route.https_only = true);
        host.paths.get_mut(&ContextPath::parse("/grpc").unwrap()).unwrap().backend.protocol.http2 = true;
        table.passthrough.insert(HostPattern::parse("p").unwrap(), backend(&[address("10.0.0.2:443")]));
        table.default_backend = Some(DefaultBackend { https_only: true, ..DefaultBackend::plain(backend(&[address("10.0.0.2:80")])) });
        check("any choices", &table);
    }
}
