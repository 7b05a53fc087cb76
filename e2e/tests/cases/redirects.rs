//! Redirects as browsers see them: cases also follow them to their targets.

use anyhow::{Result, ensure};
use serde_json::Value;
use swarmgate_e2e::testbed::{App, Case, HttpCall, Response, Testbed, http_get, https_get};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE};

/// Where the cluster `default` publishes TLS.
const SECURE: u16 = 8444;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("redirects::an_old_host_redirects_to_the_new_one_with_path_and_query", old_host),
        case("redirects::ssl_only_redirects_to_https_where_the_application_answers", ssl_only),
        case("redirects::a_passthrough_host_redirects_plain_requests", passthrough),
        case("redirects::ssl_only_without_a_certificate_produces_a_finding", without_tls),
    ]
}

fn leads_to(answer: &Response, status: u16, location: &str) -> Result<()> {
    ensure!(answer.status == status && answer.header("location") == Some(location), "{status} to {location} is expected: {answer:?}");
    Ok(())
}

/// An application that terminates TLS itself.
fn sealed(name: &str) -> App {
    App::new(name).label("ssl_passthrough", "true").args(&["--env", "TLS=self-signed"])
}

/// Waits until an application that terminates its own TLS answers by HTTPS; a redirect to it exists before its task does.
fn await_secure(testbed: &Testbed, host: &str, path: &str) -> Result<Value> {
    eventually(SLOW, &format!("https://{host}{path} is answered"), || {
        let answer = https_get(&testbed.at(1, SECURE), host, path, &[])?;
        ensure!(answer.status == 200, "{answer:?}");
        let about = answer.json()?;
        ensure!(about["server_name"] == host && about["path"] == path, "{about}");
        Ok(about)
    })
}

fn old_host(testbed: &Testbed) -> Result<()> {
    let redirects = "http://old.test,http://moved.test;http://moved.test/legacy,http://moved.test:8081/new";
    App::new("moved").label("hosts", "moved.test,old.test").label("redirects", redirects).create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    testbed.await_answer(&address, "moved.test", "/", "moved")?;
    leads_to(&testbed.await_code(&address, "old.test", "/a%20b?c=d&e", 302)?, 302, "http://moved.test/a%20b?c=d&e")?;
    leads_to(&HttpCall::post(&address, "old.test", "/", "x").send()?, 302, "http://moved.test/")?;
    for (path, location) in [("/legacy", "/new/legacy"), ("/legacy/x?y", "/new/legacy/x?y")] {
        leads_to(&http_get(&address, "moved.test", path)?, 302, &format!("http://moved.test:8081{location}"))?;
    }
    testbed.await_answer(&address, "moved.test", "/legacys", "moved").map(drop)
}

fn ssl_only(testbed: &Testbed) -> Result<()> {
    sealed("strict").label("ssl_only", "true").create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    leads_to(&testbed.await_code(&address, "strict.test", "/a%20b?c=d", 301)?, 301, "https://strict.test/a%20b?c=d")?;
    for body in ["", "x"] {
        leads_to(&HttpCall::post(&address, "strict.test", "/form", body).send()?, 308, "https://strict.test/form")?;
    }
    // A client that named the published port is redirected to the other port.
    leads_to(&http_get(&address, "strict.test:8081", "/x")?, 301, "https://strict.test:8444/x")?;
    await_secure(testbed, "strict.test", "/form").map(drop)
}

/// With the same host on both sides, the redirect leads to TLS, and not back.
fn passthrough(testbed: &Testbed) -> Result<()> {
    let redirects = "http://through.test,https://through.test;http://former.test,https://through.test";
    sealed("through").label("hosts", "through.test,former.test").label("redirects", redirects).create(testbed)?;
    let address = testbed.at(1, DEFAULT);
    for host in ["through.test", "former.test"] {
        leads_to(&testbed.await_code(&address, host, "/x?y", 302)?, 302, "https://through.test/x?y")?;
    }
    let about = await_secure(testbed, "through.test", "/x")?;
    ensure!(about["headers"]["x-request-id"].is_null(), "no proxy has looked into the request: {about}");
    Ok(())
}

fn without_tls(testbed: &Testbed) -> Result<()> {
    App::new("lonely").label("ssl_only", "true").create(testbed)?;
    leads_to(&testbed.await_code(&testbed.at(1, DEFAULT), "lonely.test", "/", 301)?, 301, "https://lonely.test/")?;
    testbed.await_finding("default", "RedirectWithoutTls", "lonely").map(drop)
}
