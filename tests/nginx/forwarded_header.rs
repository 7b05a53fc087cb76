//! `Forwarded` (RFC 7239) from a trusted peer in front, as the engine reads it, and from a stranger.

use swarmgate::route::ClientAddressSource;

use super::trusted_peers::{CLIENT, FRONT, UNTRUSTED, ask, check, engine};

/// The header that was sent; the client, scheme and host that the engine believes; and what it passes on before our own
/// element.
pub type ForwardedCase<'a> = (&'a str, &'a [&'a str], &'a str, &'a str, &'a str, &'a str);
pub const FORWARDED: &[ForwardedCase<'static>] = &[
    ("nothing", &[], "127.0.0.7", "http", "h", ""),
    (
        "one",
        &["Forwarded: for=203.0.113.9;proto=https;host=www.test"],
        CLIENT,
        "https",
        "www.test",
        "for=203.0.113.9;proto=https;host=www.test",
    ),
    (
        "any order and case",
        &["Forwarded: Proto=HTTPS; By=_x ;FOR=\"203.0.113.9:47\""],
        CLIENT,
        "https",
        "h",
        "Proto=HTTPS; By=_x ;FOR=\"203.0.113.9:47\"",
    ),
    (
        "six",
        &["Forwarded: for=\"[2001:db8::9]:47\";host=\"www.test:8\""],
        "2001:db8::9",
        "http",
        "www.test:8",
        "for=\"[2001:db8::9]:47\";host=\"www.test:8\"",
    ),
    ("a stranger before", &["Forwarded: for=6.6.6.6;proto=https, for=203.0.113.9"], CLIENT, "http", "h", "for=203.0.113.9"),
    (
        "hops",
        &["Forwarded: for=6.6.6.6, for=203.0.113.9;proto=https", "Forwarded: for=198.51.100.3;proto=http,for=127.0.0.8"],
        CLIENT,
        "https",
        "h",
        "for=203.0.113.9;proto=https, for=198.51.100.3;proto=http,for=127.0.0.8",
    ),
    ("an open quote before", &["Forwarded: for=6.6.6.6;x=\"", "Forwarded: for=203.0.113.9"], CLIENT, "http", "h", "for=203.0.113.9"),
    (
        "an open quote before quotes",
        &["Forwarded: for=6.6.6.6;x=\", for=203.0.113.9;host=\"www.test\""],
        CLIENT,
        "http",
        "www.test",
        "for=203.0.113.9;host=\"www.test\"",
    ),
    (
        "a backslash before",
        &["Forwarded: for=6.6.6.6;x=\"\\, for=203.0.113.9;host=\"www.test\""],
        CLIENT,
        "http",
        "www.test",
        "for=203.0.113.9;host=\"www.test\"",
    ),
    (
        "a comma in quotes",
        &["Forwarded: for=203.0.113.9;host=\"a,for=6.6.6.6\""],
        CLIENT,
        "http",
        "h",
        "for=203.0.113.9;host=\"a,for=6.6.6.6\"",
    ),
    (
        "elements in quotes",
        &["Forwarded: for=203.0.113.9;host=\"a,x=1;for=6.6.6.6;x=\""],
        CLIENT,
        "http",
        "h",
        "for=203.0.113.9;host=\"a,x=1;for=6.6.6.6;x=\"",
    ),
    (
        "a semicolon in quotes",
        &["Forwarded: host=\"a;for=6.6.6.6;proto=https\";for=203.0.113.9"],
        CLIENT,
        "http",
        "h",
        "host=\"a;for=6.6.6.6;proto=https\";for=203.0.113.9",
    ),
    (
        "hidden",
        &["Forwarded: for=6.6.6.6, for=_hidden;proto=https;host=www.test"],
        "127.0.0.7",
        "https",
        "www.test",
        "for=_hidden;proto=https;host=www.test",
    ),
    (
        "a hidden port",
        &["Forwarded: for=6.6.6.6, for=\"203.0.113.9:_p-1\";proto=https"],
        CLIENT,
        "https",
        "h",
        "for=\"203.0.113.9:_p-1\";proto=https",
    ),
    (
        "hidden behind a hop",
        &["Forwarded: for=6.6.6.6, for=unknown, for=198.51.100.3;proto=https"],
        "198.51.100.3",
        "https",
        "h",
        "for=unknown, for=198.51.100.3;proto=https",
    ),
    (
        "hidden behind a hop, with its scheme",
        &["Forwarded: for=6.6.6.6, for=_x;proto=http, for=198.51.100.3;proto=https;host=www.test"],
        "198.51.100.3",
        "http",
        "www.test",
        "for=_x;proto=http, for=198.51.100.3;proto=https;host=www.test",
    ),
    (
        "believed hops alone",
        &["Forwarded: for=127.0.0.8;proto=https, for=198.51.100.3;proto=http"],
        "127.0.0.8",
        "https",
        "h",
        "for=127.0.0.8;proto=https, for=198.51.100.3;proto=http",
    ),
    ("no address", &["Forwarded: for=6.6.6.6, for=999.1.1.1"], "127.0.0.7", "http", "h", "for=999.1.1.1"),
    ("nothing about the client", &["Forwarded: for=6.6.6.6, proto=https"], "127.0.0.7", "https", "h", "proto=https"),
    ("no port", &["Forwarded: for=203.0.113.9;host=\"www.test:65536\""], CLIENT, "http", "h", "for=203.0.113.9;host=\"www.test:65536\""),
];

#[tokio::test]
async fn forwarded_of_a_trusted_peer_is_read_from_its_end() {
    let Some(engine) = engine(Some(ClientAddressSource::Forwarded), |_| ()).await else { return };
    let here = "for=127.0.0.7;proto=http;host=\"h\"";
    for &(about, headers, real, proto, host, passed) in FORWARDED {
        let answer = ask(&engine, FRONT, "/", headers).await;
        check(about, &answer, &[("x-real-ip", real), ("x-forwarded-proto", proto), ("x-forwarded-host", host)]);
        let whole = if passed.is_empty() { here.to_owned() } else { format!("{passed}, {here}") };
        check(about, &answer, &[("forwarded", &whole)]);
    }
    let answer =
        ask(&engine, FRONT, "/", &["Forwarded: for=203.0.113.9, for=198.51.100.3", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"])
            .await;
    check("both", &answer, &[("x-forwarded-for", "203.0.113.9, 198.51.100.3, 127.0.0.7"), ("x-forwarded-proto", "http")]);
    // A client's own header costs the engine no noticeable time, in whatever form: the engine logs a match that it gives up.
    for blanks in ["; ", ";\t", " ; "] {
        let long = format!("Forwarded: {}", format!("a=b{blanks}").repeat(200));
        for behind in ["", ", for=198.51.100.3;proto=https", ", for=_x;proto=https", ", for=\"6.6.6.6:x\""] {
            assert_eq!(ask(&engine, FRONT, "/", &[&format!("{long}{behind}")]).await.status, 200, "{behind}");
        }
    }
    assert!(!engine.error_log().contains("pcre"), "{}", engine.error_log());
    let answer = ask(&engine, UNTRUSTED, "/", &["Forwarded: for=6.6.6.6"]).await;
    check("a stranger", &answer, &[("forwarded", "for=127.0.0.9;proto=http;host=\"h\""), ("x-forwarded-for", "127.0.0.9")]);
}
