//! The protocols that proxies speak to applications: HTTP/2 in plain text, gRPC, TLS.

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Testbed, h2c_get, http_get};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("backend_protocols::applications_receive_plain_text_http2_when_labelled", h2c),
        case("backend_protocols::applications_receive_unverified_tls_when_labelled", tls),
    ]
}

/// Waits until this condition holds for the application's report about a request.
fn await_echoed(address: &str, host: &str, key: &str, value: &Value) -> Result<Value> {
    eventually(SLOW, &format!("{host} reports {key} {value}"), || {
        let answer = http_get(address, host, "/a/b?c=d")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        let about = answer.json()?;
        ensure!(about[key] == *value, "the answer is {}", about[key]);
        Ok(about)
    })
}

fn h2c(testbed: &Testbed) -> Result<()> {
    App::new("streams").label("backend_protocol", "h2c").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    let about = await_echoed(&address, "streams.test", "protocol", &"HTTP/2.0".into())?;
    ensure!(about["host"] == "streams.test" && about["path"] == "/a/b" && about["query"] == "c=d", "{about}");
    testbed.await_converged("default")?;
    let posted = HttpCall::post(&address, "streams.test", "/", &"x".repeat(300_000)).send()?.json()?;
    ensure!(posted["body_bytes"] == 300_000 && posted["protocol"] == "HTTP/2.0", "{posted}");
    // A client that starts with HTTP/2 itself, and the trailers of a gRPC response.
    let version = ["--write-out", "\nversion %{http_version}"];
    let seen = h2c_get(&address, "streams.test", "/", &version)?;
    ensure!(seen.status == 200 && seen.body.ends_with("version 2"), "{seen:?}");
    let called = h2c_get(&address, "streams.test", "/call", &["--header", "te: trailers", "--output", "-"])?;
    ensure!(called.header("content-type") == Some("application/grpc"), "{called:?}");
    ensure!(called.body.contains("grpc-status: 0"), "trailers arrive: {called:?}");
    testbed.update("streams", &["--label-rm", "com.docker.lb.backend_protocol"])?;
    await_echoed(&address, "streams.test", "protocol", &"HTTP/1.1".into()).map(drop)
}

/// The application generated its own certificate, so only a proxy with `none` can trust it.
fn tls(testbed: &Testbed) -> Result<()> {
    let app = App::new("sealed").label("ssl_backend", "true").label("ssl_backend_tls_verify", "none");
    app.args(&["--env", "TLS=self-signed"]).create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    let about = await_echoed(&address, "sealed.test", "server_name", &"sealed.test".into())?;
    ensure!(about["protocol"] == "HTTP/1.1" && about["version"] == "sealed", "{about}");
    ensure!(about["headers"]["x-forwarded-proto"] == "http", "the client must appear without TLS: {about}");
    testbed.update("sealed", &["--label-add", "com.docker.lb.backend_protocol=grpcs"])?;
    await_echoed(&address, "sealed.test", "protocol", &"HTTP/2.0".into())?;
    testbed.await_answer(&address, "sealed.test", "/", "sealed").map(drop)
}
