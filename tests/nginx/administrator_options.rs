//! The engine does what the administrator chose.

use serde_json::{Value, json};
use swarmgate::route::{AccessLogFormat, BackendHttpVersion, EngineSettings};
use swarmgate::types::{EngineLine, LogFormat};

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::raw_client::{get, raw, request};
use super::route_tables::{Path, empty, route};
use super::serving::serving;
use super::test_application;

/// An engine with one application for the host `h`; the first line of the log belongs to the connection test.
async fn engine(change: impl FnOnce(&mut EngineSettings)) -> Option<NginxProcess> {
    serving(async |table| {
        route(table, "h", "/", Path::Kept, &[test_application::start("app").await]);
        change(&mut table.settings);
    })
    .await
}

fn lines(lines: &[&str]) -> Vec<EngineLine> {
    lines.iter().map(|line| EngineLine::parse(line).unwrap()).collect()
}

/// The last log line about a request, as JSON.
async fn logged(engine: &NginxProcess, count: usize) -> Value {
    let line = engine.log(count).await.pop().unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn the_json_log_has_one_valid_object_per_request() {
    let Some(engine) = engine(|settings| settings.access_log_format = AccessLogFormat::Json).await else { return };
    let odd = ["User-Agent: say \"x\\y\"\té", "X-Request-ID: id-of-the-client"];
    request(engine.http(), "GET", "h", "/a?b=%22c", &odd).await;
    let good = logged(&engine, 1).await;
    for (field, value) in
        [("status", json!(200)), ("method", json!("GET")), ("host", json!("h")), ("request_id", json!("id-of-the-client"))]
    {
        assert_eq!(good[field], value, "{field} of {good}");
    }
    assert_eq!((good["uri"].as_str(), good["user_agent"].as_str()), (Some("/a?b=%22c"), Some("say \"x\\y\"\té")), "{good}");
    assert!(good["bytes"].is_u64() && good["seconds"].is_f64() && good["upstream"].as_str().unwrap().starts_with("127.0.0.1:"), "{good}");
    raw(engine.http(), "\u{7}nonsense\r\n\r\n").await;
    let bad = logged(&engine, 2).await;
    assert_eq!((&bad["status"], &bad["upstream"]), (&json!(400), &json!("")), "{bad}");
}

#[tokio::test]
async fn a_stored_interlock_log_format_works_unchanged() {
    let stored = "'$remote_addr \"$request\" '\n\t\t    '$status $reqid [$http_x_team]';";
    let Some(engine) = engine(|settings| settings.nginx.main_log_format = LogFormat::parse(stored).ok()).await else { return };
    request(engine.http(), "GET", "h", "/", &["X-Request-ID: id-of-the-client", "X-Team: \"edge\""]).await;
    assert_eq!(engine.log(1).await, ["127.0.0.1 \"GET / HTTP/1.1\" 200 id-of-the-client [\\x22edge\\x22]"]);
}

#[tokio::test]
async fn the_trace_format_logs_the_time_of_each_step() {
    let Some(engine) = engine(|settings| settings.access_log_format = AccessLogFormat::Trace).await else { return };
    get(engine.http(), "h", "/").await;
    let line = engine.log(1).await.pop().unwrap();
    assert!(line.contains(" connect_seconds=\"0.") && line.contains(" msec=1"), "{line}");
}

#[tokio::test]
async fn raw_lines_replace_generated_directives_and_add_headers() {
    let added = ["client_max_body_size 10;", "add_header x-team edge;", "proxy_set_header X-Zone a;"];
    let Some(engine) = engine(|settings| settings.nginx.http_options = lines(&added)).await else { return };
    let answer = get(engine.http(), "h", "/").await;
    assert_eq!((answer.header("x-team"), answer.echoed("x-zone"), answer.echoed("host")), ("edge", "a", "h"), "{answer:?}");
    assert_eq!(answer.header("x-request-id").len(), 32, "{answer:?}");
    let post = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(raw(engine.http(), post).await.status, 413);
}

#[tokio::test]
async fn applications_are_reached_with_the_configured_http_version() {
    for (version, expected) in [(BackendHttpVersion::Http10, "HTTP/1.0"), (BackendHttpVersion::Http11, "HTTP/1.1")] {
        let Some(engine) = engine(|settings| settings.backend_http_version = version).await else { return };
        assert_eq!(get(engine.http(), "h", "/").await.echoed("version"), expected);
    }
}

#[test]
fn the_line_parser_rejects_exactly_what_the_engine_rejects() {
    let Some(nginx) = nginx() else { return };
    let sandbox = EngineSandbox::new();
    for (line, works) in [
        ("gzip on;", true),
        ("gzip on; # }", true),
        ("map $status $x { default \"}\"; '~^4{1}' 'y'; }", true),
        ("add_header x-a \"a\\\"b;\"; add_header x-b 'c\\'d';", true),
        ("add_header x-a a\\;b;", true),
        ("add_header x-a ${status}b{;", false),
        ("gzip_types \"a/b\"c/d;", false),
        ("gzip on", false),
        ("server { listen 127.0.0.1:1443; }", true),
        ("server { listen 127.0.0.1:1443 }", false),
        ("server { listen 127.0.0.1:1443; } }", false),
        ("server { listen 127.0.0.1:1443; # }", false),
        ("add_header x-a 'b;", false),
        ("; gzip on;", false),
    ] {
        let result = sandbox.test_with_line(&nginx, &empty(sandbox.http), line);
        assert_eq!(result.is_ok(), works, "{line}: {result:?}");
        assert_eq!(EngineLine::parse(line).is_ok(), works, "{line}");
    }
}
