//! Generates what people could write into labels: valid values, almost valid ones, and syntax of every language on the way.
//! Shared with the tests of `translate`. Uses no type of the project; a new label needs an entry here only to receive valid
//! values, too.
//!
//! Every value carries [`MARK`], so that a reader of a configuration can tell what came from a label.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// Appears in every value that is more than a number or a switch, and nowhere in our own text.
pub const MARK: &str = "qz1zq";

/// Fragments that begin, end or change something in nginx, YAML, JSON, a shell or a template.
const FRAGMENTS: &[&str] = &[
    "\"",
    "'",
    "`",
    "\\",
    "{",
    "}",
    ";",
    "#",
    "$",
    "$host",
    "${host}",
    "$(id)",
    "{{ x }}",
    "{% raw %}",
    "\n",
    "\r\n",
    "\t",
    "\0",
    " ",
    "//",
    "..",
    "%2e",
    "%00",
    "~",
    "^",
    "*",
    "(",
    ")",
    "[",
    "]",
    "|",
    "<",
    ">",
    "&",
    "@",
    ",",
    "=",
    ":",
    "é",
    "日本",
    "\u{202e}",
    "\u{feff}",
    "\u{7f}",
    "; } server { listen 81; ",
    "return 200;",
    "include /etc/passwd;",
    "\";\n}\n",
    "*/",
    "unix:/x",
    "https://",
    "default_server",
    "load_module",
];

/// Hostile text, sometimes far too long.
pub fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![3 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned), 1 => Just(MARK.to_owned()), 1 => any::<String>()];
    let text = prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat());
    prop_oneof![
        12 => text.prop_map(|text| format!("{text}{MARK}{text}")),
        1 => (prop::sample::select(FRAGMENTS), 1_000_usize..20_000).prop_map(|(piece, times)| MARK.to_owned() + &piece.repeat(times)),
    ]
}

fn one_of(values: &[&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(values.to_vec()).prop_map(str::to_owned).boxed()
}

/// Host lengths at which tables, buckets and buffers only just suffice or only just do not, and the limits of DNS.
pub const HOST_LENGTHS: &[usize] =
    &[9, 30, 31, 46, 47, 62, 63, 64, 65, 94, 95, 102, 103, 110, 111, 112, 127, 128, 129, 187, 222, 223, 238, 239, 252, 253];

/// A host of exactly this length, in labels of at most 63 bytes. Different numbers give different hosts.
pub fn host_of_length(length: usize, number: u8) -> String {
    let mut host = format!("{}{MARK}", char::from(b'a' + number % 26));
    while host.len() < length {
        let room = length - host.len();
        // A label takes at least two bytes with its dot, so no single byte may remain.
        let label = if room > 64 { (room - 3).min(62) } else { room - 1 };
        host = if room == 1 { host + "l" } else { format!("{host}.{}", "l".repeat(label)) };
    }
    host
}

/// Few names, so that services collide on them: some of critical lengths, some arbitrary.
fn host() -> BoxedStrategy<String> {
    let any_length =
        (1_usize..5, "[a-z0-9]{1,40}").prop_map(|(parts, end)| format!("{MARK}{}.{end}", format!(".{}", "l".repeat(60)).repeat(parts - 1)));
    let long = prop_oneof![3 => (prop::sample::select(HOST_LENGTHS), 0_u8..4).prop_map(|(length, number)| host_of_length(length, number)), 1 => any_length];
    prop_oneof![
        12 => one_of(&["a.qz1zq.test", "b.qz1zq.test", "*.qz1zq.test", "x_y.qz1zq.test", "QZ1ZQ.example.", "*.qz1zq"]),
        1 => "[a-zA-Z0-9_]{1,20}[.]qz1zq",
        3 => long,
    ]
    .boxed()
}

fn path() -> BoxedStrategy<String> {
    let chosen = one_of(&["/", "/qz1zq", "/qz1zq/", "/qz1zq/b", "/qz1zq-b", "/qz1zq/b/c~d!&+,=:@", "/QZ1ZQ"]);
    let long = "/qz1zq(/[a-zA-Z0-9._~!&+,=:@-]{1,100}){0,9}";
    prop_oneof![9 => chosen, 1 => long.prop_map(|text: String| text.chars().take(1024).collect())].boxed()
}

fn listed(item: BoxedStrategy<String>, separator: &'static str) -> BoxedStrategy<String> {
    prop::collection::vec(item, 1..4).prop_map(move |items| items.join(separator)).boxed()
}

fn site() -> BoxedStrategy<String> {
    (one_of(&["http", "https", "HTTP"]), host(), one_of(&["", ":8443"]), prop_oneof![Just(String::new()), path()])
        .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"))
        .boxed()
}

/// A value that the author of the label might well have intended.
fn good(label: &str) -> BoxedStrategy<String> {
    match label {
        "hosts" => listed(host(), ", "),
        "port" => one_of(&["80", "8080", "65535"]),
        "network" => one_of(&["net", "qz1zq_net"]),
        "service_cluster" => one_of(&["", " "]),
        "context_root" => path(),
        "websocket_endpoints" => listed(path(), ","),
        "redirects" => listed((site(), site()).prop_map(|(from, to)| format!("{from},{to}")).boxed(), ";"),
        "backend_mode" => one_of(&["task", "vip", "VIP"]),
        "backend_protocol" => one_of(&["http", "https", "h2c", "grpc", "grpcs"]),
        "ssl_cert" | "ssl_key" => one_of(&["qz1zq.pem", "qz1zq.both", "qz1zq-missing"]),
        "ssl_backend_tls_verify" => one_of(&["none", "required", "qz1zq.ca", "qz1zq-missing"]),
        "sticky_session_cookie" => prop_oneof![one_of(&["qz1zq", "qz1zq.s-id_2"]), "qz1zq[a-zA-Z0-9_.-]{0,120}"].boxed(),
        "max_fails" => one_of(&["0", "3", "1000000"]),
        "fail_timeout" => one_of(&["0", "10", "10s", "1500ms", "24h"]),
        "weight" => one_of(&["0", "10", "100"]),
        // All other labels are switches.
        _ => one_of(&["true", "false", "1", "TRUE"]),
    }
}

/// A valid value with something hostile in it.
fn spoilt(label: &str) -> impl Strategy<Value = String> + use<> {
    let parts = (good(label), hostile(), any::<prop::sample::Index>());
    parts.prop_map(|(good, bad, at)| {
        let borders: Vec<usize> = good.char_indices().map(|(at, _)| at).chain([good.len()]).collect();
        let (before, after) = good.split_at(borders[at.index(borders.len())]);
        format!("{before}{bad}{after}")
    })
}

fn value(label: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![6 => good(label), 1 => spoilt(label), 1 => hostile(), 1 => Just(String::new())]
}

/// The labels that decide in which servers and tables a host appears. Drawn together, because independent draws would hardly
/// ever combine them.
fn kind() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let given = |labels: &[(&'static str, &str)]| Just(labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>());
    prop_oneof![
        6 => given(&[]),
        2 => given(&[("ssl_passthrough", "true")]),
        2 => given(&[("default_backend", "true")]),
        1 => given(&[("ssl_cert", "qz1zq.both"), ("default_backend", "true")]),
        1 => given(&[("ssl_cert", "qz1zq.both")]),
        1 => given(&[("ssl_cert", "qz1zq.both"), ("ssl_only", "true")]),
    ]
}

/// The labels of one service, by full key: hosts and port nearly always, some of the others, and sometimes an unknown key.
pub fn labels(names: &[&'static str]) -> impl Strategy<Value = BTreeMap<String, String>> + use<> {
    let others: Vec<&'static str> = names.iter().copied().filter(|name| !["hosts", "port", "service_cluster"].contains(name)).collect();
    let drawn = prop::collection::vec(prop::sample::select(others).prop_flat_map(|name| (Just(name), value(name))), 0..7);
    let cluster = prop::option::weighted(0.05, value("service_cluster"));
    let strange = prop::option::weighted(0.1, (hostile(), hostile()));
    let stack = prop::option::weighted(0.3, one_of(&["qz1zq-shop", "qz1zq-promo"]));
    let usual = (prop::option::weighted(0.95, value("hosts")), prop::option::weighted(0.95, value("port")), kind());
    (usual, drawn, cluster, strange, stack).prop_map(|((hosts, port, kind), drawn, cluster, strange, stack)| {
        let given = [("hosts", hosts), ("port", port), ("service_cluster", cluster)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(kind).chain(drawn);
        let labels = given.map(|(name, value)| (format!("com.docker.lb.{name}"), value));
        let labels = labels.chain(strange.map(|(key, value)| (format!("com.docker.lb.{key}"), value)));
        labels.chain(stack.map(|stack| ("com.docker.stack.namespace".to_owned(), stack))).collect()
    })
}

/// Up to eight services: their labels, how many tasks run, and whether each is as old as the previous one.
pub fn services(names: &[&'static str]) -> impl Strategy<Value = Vec<(BTreeMap<String, String>, u8, bool)>> + use<> {
    prop::collection::vec((labels(names), 0_u8..4, any::<bool>()), 0..8)
}

#[test]
fn generated_hosts_have_exactly_the_requested_length() {
    for length in 9..=253 {
        let host = host_of_length(length, 3);
        assert!(host.len() == length && host.split('.').all(|label| (1..=63).contains(&label.len())), "{length}: {host}");
    }
}
