//! Who has access: requests by attackers and by legitimate users.

use std::sync::Arc;

use axum::body::Body;
use http::Request;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BASIC_RIGHT: &str = "Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const FAR: &str = "192.0.2.7:5000";
const NEAR: &str = "127.0.0.1:5000";

fn guard() -> Guard {
    let hosts = ["status.example.org".to_owned()].into();
    Guard::new(Access { token: Some(Digest::of_bytes(TOKEN.as_bytes())), hosts, ..Access::default() })
}

fn peer(address: &str) -> Peer {
    Peer { address: Some(address.parse().unwrap()), transport: Transport::Tcp, certificates: Arc::new([]) }
}

fn head(method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let builder = headers.iter().fold(Request::builder().method(method).uri(uri), |builder, (name, value)| builder.header(*name, *value));
    builder.body(Body::empty()).unwrap().into_parts().0
}

/// The result of a GET from an address, with a host and further headers.
fn check(guard: &Guard, from: &str, host: &str, path: &str, more: &[(&str, &str)]) -> Result<(), AuthError> {
    let head = head(Method::GET, path, &[&[("host", host)], more].concat());
    guard.authorize(&head, Some(&peer(from)))
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

#[test]
fn monitoring_is_open_and_everything_else_needs_the_token() {
    let guard = guard();
    for path in PATHS.into_iter().chain(["/nothing", "/status/", "//healthz", "/healthz/", "/%73tatus"]) {
        let open = OPEN_BY_DEFAULT.contains(&path);
        assert_eq!(check(&guard, FAR, "192.0.2.1:8080", path, &[]).is_ok(), open, "{path}");
        assert_eq!(check(&guard, FAR, "192.0.2.1:8080", path, &[("authorization", &bearer())]), Ok(()), "{path}");
        assert_eq!(check(&guard, FAR, "192.0.2.1:8080", path, &[("authorization", BASIC_RIGHT)]), Ok(()), "{path}");
    }
    assert_eq!(
        guard.authorize(&head(Method::GET, "/status", &[("host", "127.0.0.1")]), None),
        Err(AuthError::NoToken),
        "the client is unknown"
    );
}

#[test]
fn open_paths_are_configurable() {
    let token = Some(Digest::of_bytes(TOKEN.as_bytes()));
    let guard = Guard::new(Access { token, open: ["/status".to_owned()].into(), ..Access::default() });
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/status", &[]), Ok(()));
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/metrics", &[]), Err(AuthError::NoToken));
}

#[test]
fn a_wrong_token_is_rejected_in_every_form() {
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer 0",
        "Bearer 0123456789abcdef0123456789abcdeF",
        "Token 0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "Basic 0123456789abcdef0123456789abcdef",
        "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "Basic !",
    ] {
        assert_eq!(check(&guard(), FAR, "192.0.2.1", "/status", &[("authorization", wrong)]), Err(AuthError::WrongToken), "{wrong}");
    }
    let twice = [("authorization", "Bearer x"), ("authorization", &bearer())];
    assert_eq!(check(&guard(), FAR, "192.0.2.1", "/status", &twice), Err(AuthError::WrongToken));
}

#[test]
fn without_a_token_only_loopback_has_access() {
    let guard = Guard::new(Access::default());
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/status", &[]), Err(AuthError::NoTokenSet));
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/status", &[("authorization", "Bearer ")]), Err(AuthError::NoTokenSet));
    assert_eq!(check(&guard, NEAR, "127.0.0.1:8080", "/status", &[]), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn guessing_is_limited_even_for_a_correct_guess() {
    let guard = guard();
    let guess = |from: &str, token: &str| check(&guard, from, "192.0.2.1", "/status", &[("authorization", token)]);
    for _ in 0..FAILURES_AT_ONCE {
        assert_eq!(guess(FAR, "Bearer wrong"), Err(AuthError::WrongToken));
    }
    assert!(matches!(guess(FAR, "Bearer wrong"), Err(AuthError::TooOften(_))));
    assert!(matches!(guess(FAR, &bearer()), Err(AuthError::TooOften(_))), "otherwise a flood of guesses would find the token");
    assert_eq!(guess("198.51.100.1:1", &bearer()), Ok(()), "other addresses are not affected");
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/healthz", &[]), Ok(()), "neither is monitoring");
    tokio::time::advance(FAILURE_COSTS).await;
    assert_eq!(guess(FAR, &bearer()), Ok(()));
    assert_eq!(guess(FAR, "Bearer wrong"), Err(AuthError::WrongToken));
    assert!(matches!(guess(FAR, "Bearer wrong"), Err(AuthError::TooOften(_))));
}

#[tokio::test(start_paused = true)]
async fn guesses_from_many_addresses_use_bounded_memory() {
    let guard = guard();
    for number in 0..5_000_u32 {
        let from = format!("{}:1", std::net::Ipv4Addr::from(0x0a00_0000 + number));
        let _ = check(&guard, &from, "192.0.2.1", "/status", &[("authorization", "Bearer wrong")]);
    }
    assert!(guard.guesses.lock().unwrap().0.len() <= ORIGINS_MAX + 1);
    assert!(matches!(check(&guard, FAR, "192.0.2.1", "/status", &[("authorization", "Bearer wrong")]), Err(AuthError::TooOften(_))));
    tokio::time::advance(Duration::from_secs(3600 * 24)).await;
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/status", &[("authorization", "Bearer wrong")]), Err(AuthError::WrongToken));
}

#[test]
fn only_known_hosts_are_served() {
    let guard = guard();
    for host in ["192.0.2.1", "192.0.2.1:8080", "[2001:db8::1]:8080", "localhost:8080", "STATUS.example.org.", "status.example.org:1"] {
        assert_eq!(check(&guard, FAR, host, "/healthz", &[]), Ok(()), "{host}");
    }
    for host in [
        "evil.example.com",
        "localhost.evil.example.com",
        "status.example.org.evil.com",
        "a@192.0.2.1",
        "",
        "192.0.2.1.nip.io",
        "0x7f000001",
    ] {
        assert_eq!(check(&guard, FAR, host, "/healthz", &[]), Err(AuthError::WrongHost), "{host}");
        assert_eq!(check(&guard, NEAR, host, "/status", &[("authorization", &bearer())]), Err(AuthError::WrongHost), "{host}");
    }
    assert_eq!(check(&guard, FAR, "192.0.2.1", "/healthz", &[("host", "192.0.2.1")]), Err(AuthError::NoHost));
    assert_eq!(guard.authorize(&head(Method::GET, "/healthz", &[]), Some(&peer(FAR))), Err(AuthError::NoHost));
    assert_eq!(check(&guard, FAR, "192.0.2.1", "http://evil.example.com/healthz", &[]), Err(AuthError::WrongHost));
    assert_eq!(check(&guard, FAR, "192.0.2.1", "http://192.0.2.1/healthz", &[]), Ok(()));
}

#[test]
fn loopback_is_trusted_unless_the_request_was_forwarded() {
    let guard = guard();
    for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.9.9.9"] {
        assert_eq!(check(&guard, NEAR, host, "/status", &[]), Ok(()), "{host}");
    }
    assert_eq!(check(&guard, "[::1]:5", "localhost", "/status", &[]), Ok(()));
    assert_eq!(check(&guard, FAR, "localhost", "/status", &[]), Err(AuthError::NoToken), "a host name proves nothing");
    for host in ["192.0.2.1", "status.example.org"] {
        assert_eq!(check(&guard, NEAR, host, "/status", &[]), Err(AuthError::NoToken), "a proxy passes {host} on");
    }
    for name in FORWARDED {
        assert_eq!(check(&guard, NEAR, "127.0.0.1", "/status", &[(name, "1.2.3.4")]), Err(AuthError::NoToken), "{name}");
    }
    for (site, fine) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)] {
        assert_eq!(check(&guard, NEAR, "127.0.0.1", "/status", &[(FETCH_SITE, site)]).is_ok(), fine, "{site}");
    }
    let token = Some(Digest::of_bytes(TOKEN.as_bytes()));
    let strict = Guard::new(Access { token, trust_loopback: false, ..Access::default() });
    assert_eq!(check(&strict, NEAR, "127.0.0.1", "/status", &[]), Err(AuthError::NoToken));
}

#[test]
fn a_unix_socket_needs_neither_host_nor_token_and_is_read_only() {
    let guard = Guard::new(Access::default());
    let peer = Peer { address: None, transport: Transport::Unix, certificates: Arc::new([]) };
    assert_eq!(guard.authorize(&head(Method::GET, "/snapshot", &[]), Some(&peer)), Ok(()));
    assert_eq!(guard.authorize(&head(Method::POST, "/snapshot", &[]), Some(&peer)), Err(AuthError::Method));
}

#[test]
fn only_short_read_requests_are_accepted() {
    let guard = guard();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE, Method::CONNECT, Method::PATCH] {
        let head = head(method.clone(), "/healthz", &[("host", "192.0.2.1"), ("authorization", &bearer())]);
        assert_eq!(guard.authorize(&head, Some(&peer(FAR))), Err(AuthError::Method), "{method}");
    }
    let head = head(Method::HEAD, "/healthz", &[("host", "192.0.2.1")]);
    assert_eq!(guard.authorize(&head, Some(&peer(FAR))), Ok(()));
    let long = format!("/explain?url={}", "a".repeat(URI_MAX));
    assert_eq!(check(&guard, NEAR, "localhost", &long, &[]), Err(AuthError::TooLong));
}

#[test]
fn rejections_contain_a_challenge_and_quote_nothing() {
    let response = |refusal: AuthError| refusal.into_response();
    let challenges: Vec<_> =
        response(AuthError::NoToken).headers().get_all(WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    assert!(challenges.len() == 2 && challenges[0].starts_with("Basic") && challenges[1].starts_with("Bearer"), "{challenges:?}");
    assert_eq!(response(AuthError::Method).headers()[ALLOW], "GET, HEAD");
    assert_eq!(response(AuthError::TooOften(Duration::from_millis(5_500))).headers()[RETRY_AFTER], "6");
    assert_eq!(response(AuthError::WrongHost).status(), 421);
}
