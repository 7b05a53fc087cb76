//! What a parsed configuration means: its servers, locations and pools, and whether it answers requests exactly as the route
//! table says. Reads the output of the second parser and reimplements nginx's rules for locations.

use std::collections::{BTreeMap, BTreeSet};

use swarmgate::render::ConfigPurpose;
use swarmgate::route::{RouteTable, VirtualHost};
use swarmgate::types::Scheme;

use crate::expected_response::{
    ExpectedResponse, RequestKind, default_answer, default_has_tls, host_answer, host_name, is_terminated, probes, servers,
};
use crate::parser::Directive;

/// Pools by name.
type Pools = BTreeMap<String, BTreeSet<String>>;
/// Servers by host pattern.
type Servers<'a> = BTreeMap<String, &'a Directive>;

/// Panics if the configuration says something other than the table.
pub fn check(config: &[Directive], table: &RouteTable, purpose: ConfigPurpose) {
    let http = config.iter().find(|directive| directive.name == "http").expect("there is http");
    let pools = pools(http);
    let mut used = BTreeSet::new();
    for scheme in [Scheme::Http, Scheme::Https] {
        let servers = servers_of(http, scheme, table);
        assert_eq!(servers.keys().cloned().collect::<BTreeSet<_>>(), expected_names(table, scheme, purpose), "{purpose:?} {scheme:?}");
        check_requests(&servers, &pools, table, RequestKind { purpose, scheme }, &mut used);
    }
    check_pools(&pools, &used, table, purpose);
    check_passthrough(config, table, purpose);
}

/// Each pool is one of the table's. A pool may exist although no request reaches it, because all its requests are redirected.
fn check_pools(pools: &Pools, used: &BTreeSet<String>, table: &RouteTable, purpose: ConfigPurpose) {
    assert!(used.iter().all(|name| pools.contains_key(name)), "{used:?}");
    let routes = table.hosts.values().flat_map(|host| host.paths.values()).map(|route| &route.backend);
    let backends = routes.chain(table.default_backend.iter().map(|default| &default.backend));
    let mut expected: Vec<_> = backends.map(|backend| servers(backend, purpose)).filter(|servers| !servers.is_empty()).collect();
    let mut found: Vec<_> = pools.values().cloned().collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{purpose:?}");
}

fn pools(block: &Directive) -> Pools {
    let mut pools = Pools::new();
    for upstream in block.all("upstream") {
        let servers = upstream.all("server").map(|server| server.args[0].clone()).collect();
        assert!(pools.insert(upstream.args[0].clone(), servers).is_none(), "two pools have one name: {upstream:?}");
    }
    pools
}

/// The servers of a scheme by name, without the loopback server that shows whether the engine serves. Each name appears once.
fn servers_of<'a>(http: &'a Directive, scheme: Scheme, table: &RouteTable) -> Servers<'a> {
    let mut found = Servers::new();
    for server in http.all("server") {
        let listens: Vec<_> = server.all("listen").collect();
        assert!(is_one_listener(&listens), "{server:?}");
        let by_tls = listens[0].args.iter().any(|word| word == "ssl");
        let (address, port) = (&listens[0].args[0], table.http_port.to_string());
        let plain = *address == port || address.ends_with(&format!(":{port}"));
        if !(if scheme == Scheme::Https { by_tls } else { plain && !by_tls }) {
            continue;
        }
        let is_default = listens[0].args.iter().any(|word| word == "default_server");
        for name in server.all("server_name").flat_map(|names| &names.args) {
            assert_eq!(is_default, name.is_empty(), "{server:?}");
            assert!(found.insert(pattern(name), server).is_none(), "{name} appears twice");
        }
    }
    found
}

/// Whether all listen on one port, perhaps on IPv6 addresses as well, with the same parameters.
fn is_one_listener(listens: &[&Directive]) -> bool {
    let port = |listen: &Directive| listen.args[0].rsplit(':').next().unwrap_or_default().to_owned();
    match listens {
        [_] => true,
        [four, six] => six.args[0].starts_with('[') && port(four) == port(six) && four.args[1..] == six.args[1..],
        _ => false,
    }
}

/// A wildcard is written as a pattern that matches exactly one label.
fn pattern(name: &str) -> String {
    name.strip_prefix("~^[^.]+[.]").map_or_else(|| name.to_owned(), |rest| format!("*.{}", rest.trim_end_matches('$').replace("[.]", ".")))
}

fn expected_names(table: &RouteTable, scheme: Scheme, purpose: ConfigPurpose) -> BTreeSet<String> {
    if scheme == Scheme::Https && table.https_port.is_none() {
        return BTreeSet::new();
    }
    let all = table.hosts.iter().filter(|(_, host)| scheme == Scheme::Http || is_terminated(table, host));
    let mut names: BTreeSet<String> = all.map(|(name, _)| name.to_string()).chain([String::new()]).collect();
    if scheme == Scheme::Http {
        // Otherwise the default backend or a wildcard's application would answer for a host that is passed through.
        let all = table.default_backend.is_some();
        let by_tls_only = table.passthrough.keys().filter(|host| !table.hosts.contains_key(*host)).map(ToString::to_string);
        names.extend(by_tls_only.filter(|name| all || is_below_wildcard(table, name, |_| true)));
    }
    if scheme == Scheme::Https {
        // Otherwise the certificate of the default backend or of a wildcard would be shown for them.
        let all = default_has_tls(table, purpose);
        let published = table.hosts.keys().chain(table.passthrough.keys()).map(ToString::to_string);
        names.extend(published.filter(|name| all || is_below_wildcard(table, name, |host| is_terminated(table, host))));
    }
    names
}

fn is_below_wildcard(table: &RouteTable, name: &str, counts: impl Fn(&VirtualHost) -> bool) -> bool {
    let wildcards = table.hosts.iter().filter(|(host, virtual_host)| host.is_wildcard() && counts(virtual_host));
    let parent = name.split_once('.').map(|(_, parent)| parent);
    wildcards.filter_map(|(host, _)| host.as_str().strip_prefix("*.")).any(|suffix| Some(suffix) == parent)
}

fn check_requests(servers: &Servers<'_>, pools: &Pools, table: &RouteTable, kind: RequestKind, used: &mut BTreeSet<String>) {
    for (name, server) in servers {
        used.extend(server.all("location").filter_map(|location| passes(location).map(|(pool, _)| pool)));
        let host = table.hosts.iter().find(|(host, _)| host.as_str() == name);
        let host = host.filter(|(_, host)| kind.scheme == Scheme::Http || is_terminated(table, host));
        let requests = host.map_or_else(|| BTreeSet::from(["/".to_owned(), "/x/y".to_owned()]), |(_, host)| probes(host));
        for path in requests {
            let expected = match host {
                Some((_, host)) => host_answer(host, &path, kind),
                None if name.is_empty() => default_answer(table, &path, kind),
                None => ExpectedResponse::Status(if kind.scheme == Scheme::Http { 503 } else { 421 }),
            };
            assert_eq!(answer(server, &path, pools), expected, "{kind:?} {:?} {path}\n{server:#?}", host_name(host.map(|(host, _)| host)));
        }
    }
}

/// nginx's choice: the exact location, otherwise the longest prefix.
fn answer(server: &Directive, path: &str, pools: &Pools) -> ExpectedResponse {
    let exact = server.all("location").find(|location| location.args == ["=", path]);
    let prefix = server.all("location").filter(|location| location.args.len() == 1 && path.starts_with(&location.args[0]));
    let location = exact.or_else(|| prefix.max_by_key(|location| location.args[0].len())).expect("a location for every path");
    if let Some((pool, uri)) = passes(location) {
        return ExpectedResponse::Passed { servers: pools[&pool].clone(), path: passed_path(location, path, &uri) };
    }
    let args = &location.all("return").next().unwrap_or_else(|| panic!("{location:?} has no effect")).args;
    let status = args[0].parse().unwrap();
    args.get(1).map_or(ExpectedResponse::Status(status), |target| ExpectedResponse::Redirect { status, target: target.clone() })
}

/// The pool of a location, and the URI part after its name.
fn passes(location: &Directive) -> Option<(String, String)> {
    let target = location.word("proxy_pass").or_else(|| location.word("grpc_pass"))?;
    let (_, rest) = target.split_once("://").expect("a URL");
    let (pool, uri) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    Some((pool.to_owned(), uri.to_owned()))
}

/// The path that an application sees.
fn passed_path(location: &Directive, path: &str, uri: &str) -> String {
    if let Some(rewrite) = location.all("rewrite").next() {
        let cut = rewrite.args[0].trim_start_matches("(?s)^").trim_end_matches("/(.*)$").replace(['[', ']'], "");
        assert_eq!(rewrite.args[1..], ["/$1", "break"]);
        return path.strip_prefix(&cut).unwrap_or(path).to_owned();
    }
    let matched = location.args.last().expect("a location has a path");
    if uri.is_empty() { path.to_owned() } else { format!("{uri}{}", &path[matched.len()..]) }
}

/// Passed-through server names each reach exactly their servers; all others end at the proxy.
fn check_passthrough(config: &[Directive], table: &RouteTable, purpose: ConfigPurpose) {
    let mut found = BTreeMap::new();
    if let Some(stream) = config.iter().find(|directive| directive.name == "stream") {
        let pools = pools(stream);
        for server in stream.all("server") {
            let servers = server.word("proxy_pass").map_or_else(BTreeSet::new, |pool| pools[pool].clone());
            for name in server.all("server_name").flat_map(|names| &names.args) {
                let ends_here = server.word("pass").is_some();
                assert!(found.insert(pattern(name), (servers.clone(), ends_here)).is_none(), "{name} appears twice");
            }
        }
    }
    let passed = table.passthrough.iter().filter(|_| table.https_port.is_some());
    let mut expected: BTreeMap<_, _> = passed.map(|(host, backend)| (host.to_string(), (servers(backend, purpose), false))).collect();
    if !expected.is_empty() {
        expected.insert(String::new(), (BTreeSet::new(), true));
        // An exact host takes precedence over a wildcard that is passed through.
        let exact = table.hosts.keys().filter(|host| !host.is_wildcard() && !table.passthrough.contains_key(*host));
        let caught = exact.filter(|host| host.as_str().split_once('.').is_some_and(|(_, parent)| passes_wildcard(table, parent)));
        expected.extend(caught.map(|host| (host.to_string(), (BTreeSet::new(), true))));
    }
    assert_eq!(found, expected);
}

fn passes_wildcard(table: &RouteTable, parent: &str) -> bool {
    table.passthrough.keys().any(|host| host.as_str().strip_prefix("*.") == Some(parent))
}
