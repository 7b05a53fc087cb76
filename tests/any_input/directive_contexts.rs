//! Where directives and values may appear: only known directives in known blocks, and text from labels only at places of
//! values.

use crate::label_generator::MARK;
use crate::parser::Directive;

/// A kind of block (its path from the main file) and every directive that it may contain. `map` blocks are checked separately
/// below: their first words are patterns.
const KNOWN: &[(&str, &[&str])] = &[
    ("", &["worker_processes", "worker_rlimit_nofile", "worker_shutdown_timeout", "error_log", "pid", "events", "stream", "http"]),
    ("events", &["worker_connections"]),
    (
        "stream",
        &[
            "log_format",
            "access_log",
            "preread_timeout",
            "proxy_connect_timeout",
            "proxy_timeout",
            "proxy_next_upstream",
            "proxy_next_upstream_tries",
            "proxy_next_upstream_timeout",
            "resolver",
            "resolver_timeout",
            "server_names_hash_bucket_size",
            "server_names_hash_max_size",
            "map_hash_bucket_size",
            "map_hash_max_size",
            "variables_hash_bucket_size",
            "variables_hash_max_size",
            "map",
            "limit_conn_zone",
            "limit_conn",
            "limit_conn_log_level",
            "upstream",
            "server",
        ],
    ),
    ("stream/upstream", &["zone", "hash", "server"]),
    ("stream/server", &["listen", "server_name", "ssl_preread", "pass", "proxy_pass", "return"]),
    ("http/upstream", &["zone", "hash", "server", "keepalive", "keepalive_timeout"]),
    (
        "http/server",
        &["listen", "server_name", "if", "location", "access_log", "ssl_certificate", "ssl_certificate_key", "ssl_reject_handshake"],
    ),
    ("http/server/if", &["return"]),
    (
        "http/server/location",
        &[
            "return",
            "if",
            "set",
            "rewrite",
            "proxy_pass",
            "proxy_read_timeout",
            "proxy_send_timeout",
            "proxy_request_buffering",
            "client_max_body_size",
            "client_body_timeout",
            "send_timeout",
            "proxy_ssl_server_name",
            "proxy_ssl_name",
            "proxy_ssl_verify",
            "proxy_ssl_verify_depth",
            "proxy_ssl_trusted_certificate",
            "grpc_pass",
            "grpc_ssl_server_name",
            "grpc_ssl_name",
            "grpc_ssl_verify",
            "grpc_ssl_verify_depth",
            "grpc_ssl_trusted_certificate",
        ],
    ),
    ("http/server/location/if", &["return"]),
];

/// `http` itself may contain any directive of these families, once each unless the directive is a list.
const HTTP_FAMILIES: &[&str] = &[
    "client_",
    "proxy_",
    "grpc_",
    "fastcgi_",
    "uwsgi_",
    "scgi_",
    "keepalive_",
    "server_",
    "ssl_",
    "variables_hash_",
    "map_hash_",
    "large_client_header_buffers",
    "resolver",
    "resolver_timeout",
    "send_timeout",
    "reset_timedout_connection",
    "underscores_in_headers",
    "absolute_redirect",
    "add_header",
    "http2",
    "http2_max_concurrent_streams",
    "limit_conn",
    "limit_conn_",
    "log_format",
    "access_log",
    "map",
    "upstream",
    "server",
];

/// Where a label's value may appear: the block, the directive, and the position of the argument (from the end if negative).
const VALUES: &[(&str, &str, isize)] = &[
    ("stream", "upstream", 0),
    ("stream/upstream", "zone", 0),
    ("stream/upstream", "server", 0),
    ("stream/server", "server_name", 0),
    ("stream/server", "proxy_pass", 0),
    ("http", "upstream", 0),
    ("http/upstream", "zone", 0),
    ("http/upstream", "server", 0),
    ("http/server", "ssl_certificate", 0),
    ("http/server", "ssl_certificate_key", 0),
    ("http/server", "location", -1),
    ("http/server/location", "return", 1),
    ("http/server/location", "rewrite", 0),
    ("http/server/location", "set", 1),
    ("http/server/location", "proxy_pass", 0),
    ("http/server/location", "grpc_pass", 0),
    ("http/server/location", "proxy_ssl_trusted_certificate", 0),
    ("http/server/location", "grpc_ssl_trusted_certificate", 0),
];

/// Panics if the configuration contains something at a place where it may not be.
pub fn check(config: &[Directive]) {
    check_block("", config);
}

fn check_block(block: &str, directives: &[Directive]) {
    for directive in directives {
        if directive.name == "#" {
            assert!(!is_marked(directive.comment.as_deref().unwrap_or_default()), "a label's value in a comment: {directive:?}");
            continue;
        }
        assert!(is_known(block, &directive.name), "{} is not allowed in {block:?}: {directive:?}", directive.name);
        for (at, word) in directive.args.iter().enumerate().filter(|(_, word)| is_marked(word)) {
            assert!(may_hold_values(block, directive, at), "the label's value {word:?} appears in {block:?}: {directive:?}");
        }
        match (directive.name.as_str(), &directive.block) {
            ("map", Some(entries)) => check_map(directive, entries),
            (name, Some(inner)) => check_block(format!("{block}/{name}").trim_start_matches('/'), inner),
            (_, None) => {}
        }
    }
}

fn is_marked(text: &str) -> bool {
    text.to_ascii_lowercase().contains(MARK)
}

fn is_known(block: &str, name: &str) -> bool {
    if block == "http" {
        return HTTP_FAMILIES.iter().any(|family| name == *family || family.ends_with('_') && name.starts_with(family));
    }
    KNOWN.iter().any(|(known, names)| *known == block && names.contains(&name))
}

fn may_hold_values(block: &str, directive: &Directive, at: usize) -> bool {
    let from_end = directive.args.len() - at;
    // Servers that terminate or refuse several names list all of them in one directive.
    (block.ends_with("/server") && directive.name == "server_name")
        || VALUES.iter().any(|(known, name, position)| {
            let fits = usize::try_from(*position).map_or_else(|_| from_end == position.unsigned_abs(), |position| position == at);
            *known == block && *name == directive.name && fits
        })
}

/// An entry of a map is a pattern and a word. A label's value appears in a pattern only if it is the cookie's.
fn check_map(map: &Directive, entries: &[Directive]) {
    for entry in entries.iter().filter(|entry| entry.name != "#") {
        assert!(entry.args.len() == 1 && entry.block.is_none(), "a map entry must have two values: {entry:?}");
        assert!(!is_marked(&entry.args[0]), "a label's value decides in a map: {entry:?}");
        assert!(!is_marked(&entry.name) || map.args[0] == "$http_cookie", "a label's value in the map {:?}: {entry:?}", map.args);
    }
}

#[test]
fn misplaced_values_are_detected() {
    let directive = |name: &str, args: &[&str], block: Option<Vec<Directive>>| Directive {
        name: name.to_owned(),
        args: args.iter().map(ToString::to_string).collect(),
        block,
        comment: None,
    };
    let http = |inner: Directive| vec![directive("http", &[], Some(vec![inner]))];
    let server = |inner: Directive| http(directive("server", &[], Some(vec![inner])));
    let refused = |config: Vec<Directive>| std::panic::catch_unwind(|| check(&config)).is_err();
    assert!(!refused(server(directive("server_name", &["qz1zq"], None))));
    assert!(refused(server(directive("listen", &["qz1zq"], None))));
    assert!(refused(server(directive("root", &["/"], None))));
    assert!(refused(http(directive("qz1zq", &[], None))));
    assert!(refused(http(directive("map", &["$host", "$x"], Some(vec![directive("qz1zq", &["1"], None)])))));
    assert!(refused(vec![Directive { comment: Some("qz1zq".to_owned()), ..directive("#", &[], None) }]));
}
