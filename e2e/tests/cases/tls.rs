//! TLS from secrets named in labels: which client gets which certificate, and that none of this affects other services.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use swarmgate_e2e::command::end_within;
use swarmgate_e2e::testbed::{App, Case, Steady, Testbed, http_get, https_get};
use swarmgate_e2e::wait::eventually;

use super::SLOW;
use super::shared_swarm::{DEFAULT, GATE, STOCK};

/// Where the cluster `default` serves TLS.
pub(super) const TLS: u16 = 8444;
/// Where the cluster `stock` serves TLS.
const STOCK_TLS: u16 = 8447;
/// Fewer requests prove nothing.
const REQUESTS_MIN: usize = 20;
/// Arguments of curl: use HTTP/2 if available, and print which version was used.
const VERSION: [&str; 3] = ["--http2", "--write-out", "\n%{http_version}"];

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, GATE, check);
    vec![
        case("tls::a_terminated_host_presents_its_certificate_for_itself_only", terminated),
        case("tls::a_renewed_certificate_loses_no_request_and_replaces_no_proxy", renewed).with_traffic(),
        case("tls::a_stock_image_terminates_tls_and_follows_a_renewed_certificate", stock),
        case("tls::a_bad_secret_disables_tls_only_for_its_host_and_is_reported", bad_secrets),
        case("tls::an_application_is_verified_against_a_labelled_config", verified),
        case("tls::passthrough_and_termination_share_a_port", passthrough),
    ]
}

/// A certificate and its key.
pub(super) struct CertificatePair {
    certificate: String,
    key: String,
}

pub(super) fn pair(host: &str, year: i32) -> Result<CertificatePair> {
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate()?;
    Ok(CertificatePair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// Stores a secret; first removes an unused one with that name.
fn store(testbed: &Testbed, name: &str, content: &str) -> Result<()> {
    let file = std::env::temp_dir().join(format!("swarmgate-e2e-{}-{name}", std::process::id()));
    fs::write(&file, content)?;
    let path = file.to_string_lossy().into_owned();
    let _ = testbed.docker(&["secret", "rm", name]);
    let stored = testbed.docker(&["secret", "create", name, &path]).map(drop);
    fs::remove_file(&file)?;
    stored
}

pub(super) fn store_pair(testbed: &Testbed, name: &str, pair: &CertificatePair) -> Result<()> {
    store(testbed, &format!("{name}-cert"), &pair.certificate)?;
    store(testbed, &format!("{name}-key"), &pair.key)
}

/// An application whose host is published with TLS and the key pair with this name.
pub(super) fn secured(name: &str, pair: &str) -> App {
    App::new(name).label("ssl_cert", &format!("{pair}-cert")).label("ssl_key", &format!("{pair}-key"))
}

pub(super) fn await_tls(testbed: &Testbed, k: usize, host: &str, version: &str) -> Result<serde_json::Value> {
    await_tls_at(&testbed.at(k, TLS), host, version)
}

fn await_tls_at(address: &str, host: &str, version: &str) -> Result<serde_json::Value> {
    eventually(SLOW, &format!("{version} answers https://{host} at {address}"), || {
        let answer = https_get(address, host, "/", &[])?;
        ensure!(answer.status == 200, "status {}", answer.status);
        let about = answer.json()?;
        ensure!(about["version"] == version, "answered by {}", about["version"]);
        Ok(about)
    })
}

/// The certificate presented to a client that names this host (or none), or `None` when the handshake is refused.
pub(super) fn shown(address: &str, host: Option<&str>) -> Result<Option<String>> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", address]);
    match host {
        Some(host) => command.args(["-servername", host]),
        None => command.arg("-noservername"),
    };
    let text = end_within(&mut command, Duration::from_secs(10))?.output;
    let begins = text.find("-----BEGIN CERTIFICATE-----");
    let ends = text.find("-----END CERTIFICATE-----");
    Ok(begins.zip(ends).map(|(begins, ends)| text[begins..ends].split_whitespace().collect()))
}

/// A certificate in the form that [`shown`] returns.
fn as_shown(pem: &str) -> String {
    let end = pem.find("-----END").unwrap_or(pem.len());
    pem[..end].split_whitespace().collect()
}

fn await_shown(address: &str, host: &str, pair: &CertificatePair) -> Result<()> {
    eventually(SLOW, &format!("the certificate for {host} is presented"), || {
        ensure!(shown(address, Some(host))? == Some(as_shown(&pair.certificate)), "another one is");
        Ok(())
    })
}

/// The same with an image that contains nothing of Swarmgate: certificates are mounted, and a renewed one replaces the tasks.
fn stock(testbed: &Testbed) -> Result<()> {
    let [old, new] = [pair("mounted.test", 2098)?, pair("mounted.test", 2099)?];
    store_pair(testbed, "mounted", &old)?;
    store_pair(testbed, "mounted2", &new)?;
    secured("mounted", "mounted").cluster("stock").create(testbed)?;
    let address = testbed.at(1, STOCK_TLS);
    let about = await_tls_at(&address, "mounted.test", "mounted")?;
    ensure!(about["headers"]["x-forwarded-proto"] == "https", "{about}");
    await_shown(&address, "mounted.test", &old)?;
    ensure!(shown(&address, None)?.is_none(), "a client without SNI received a certificate");
    testbed.await_answer(&testbed.at(1, STOCK), "mounted.test", "/", "mounted")?;
    testbed.await_converged("stock")?;
    let label = |key: &str, secret: &str| format!("com.docker.lb.{key}={secret}");
    testbed.update("mounted", &["--label-add", &label("ssl_cert", "mounted2-cert"), "--label-add", &label("ssl_key", "mounted2-key")])?;
    await_shown(&address, "mounted.test", &new)?;
    testbed.await_converged("stock").map(drop)
}

fn terminated(testbed: &Testbed) -> Result<()> {
    let good = pair("safe.test", 2099)?;
    store_pair(testbed, "safe", &good)?;
    secured("safe", "safe").create(testbed)?;
    App::new("plain").create(testbed)?;
    let about = await_tls(testbed, 1, "safe.test", "safe")?;
    ensure!(about["headers"]["x-forwarded-proto"] == "https", "{about}");
    let address = testbed.at(1, TLS);
    // One of the engine's two workers may lag briefly behind the other.
    await_shown(&address, "safe.test", &good)?;
    ensure!(shown(&address, None)?.is_none(), "a client without SNI received a certificate");
    ensure!(shown(&address, Some("unknown.test"))?.is_none(), "so is one that names an unknown host");
    ensure!(shown(&address, Some("plain.test"))?.is_none(), "so is one that names a host without TLS");
    let body = https_get(&address, "safe.test", "/", &VERSION)?.body;
    ensure!(body.trim_end().ends_with("\n2"), "no HTTP/2: {body}");
    testbed.await_answer(&testbed.at(1, DEFAULT), "plain.test", "/", "plain")?;
    let answer = https_get(&address, "safe.test", "/", &["--header", "Host: plain.test"])?;
    ensure!(answer.status == 421, "a host without TLS over another's connection: {}", answer.status);
    let route = testbed.cluster("default")?["routes"].as_array().into_iter().flatten().find(|route| route["host"] == "safe.test").cloned();
    let route = route.context("the route")?;
    ensure!(route["tls"]["state"] == "good" && route["tls"]["notAfter"].as_str().is_some_and(|time| time.starts_with("2099")), "{route}");
    testbed.await_converged("default").map(drop)
}

/// Sends requests over TLS, one after the other, each on its own connection, until told to stop and enough have been sent to be
/// conclusive. Returns how many, and what failed.
fn load(address: String, host: &'static str, stop: Arc<AtomicBool>) -> thread::JoinHandle<(usize, Vec<String>)> {
    thread::spawn(move || {
        let (mut count, mut failed) = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) || count < REQUESTS_MIN {
            count += 1;
            match https_get(&address, host, "/", &[]) {
                Ok(answer) if answer.status == 200 => {}
                other => failed.push(format!("{:?}", other.map(|answer| answer.status))),
            }
        }
        (count, failed)
    })
}

fn renewed(testbed: &Testbed) -> Result<()> {
    let [old, new] = [pair("again.test", 2098)?, pair("again.test", 2099)?];
    store_pair(testbed, "again", &old)?;
    store_pair(testbed, "again2", &new)?;
    secured("again", "again").create(testbed)?;
    let addresses = [testbed.at(1, TLS), testbed.at(2, TLS)];
    await_tls(testbed, 1, "again.test", "again")?;
    await_tls(testbed, 2, "again.test", "again")?;
    testbed.await_converged("default")?;
    let proxies = testbed.task_ids("swarmgate-proxy-default")?;
    let traffic = Steady::start([&testbed.at(1, DEFAULT), &testbed.at(2, DEFAULT)], "again.test")?;
    let stop = Arc::new(AtomicBool::new(false));
    let loads = addresses.clone().map(|address| load(address, "again.test", Arc::clone(&stop)));
    testbed.update("again", &["--label-add", "com.docker.lb.ssl_cert=again2-cert", "--label-add", "com.docker.lb.ssl_key=again2-key"])?;
    let arrived = addresses.iter().try_for_each(|address| await_shown(address, "again.test", &new));
    let settled = arrived.and_then(|()| testbed.await_converged("default").map(drop));
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        let (count, failed) = load.join().map_err(|_| anyhow::anyhow!("the load broke"))?;
        ensure!(failed.is_empty(), "{} of {count} requests failed: {failed:?}", failed.len());
    }
    settled?;
    traffic.stop_without_loss()?;
    ensure!(testbed.task_ids("swarmgate-proxy-default")? == proxies, "a proxy task was replaced");
    Ok(())
}

fn bad_secrets(testbed: &Testbed) -> Result<()> {
    store_pair(testbed, "sound", &pair("sound.test", 2099)?)?;
    store(testbed, "nonsense-cert", "nonsense")?;
    store(testbed, "nonsense-key", &pair("nonsense.test", 2099)?.key)?;
    store(testbed, "keyless-cert", &pair("keyless.test", 2099)?.certificate)?;
    store(testbed, "keyless-key", "nonsense")?;
    store(testbed, "mixed-cert", &pair("mixed.test", 2099)?.certificate)?;
    store(testbed, "mixed-key", &pair("mixed.test", 2099)?.key)?;
    store_pair(testbed, "stale", &pair("stale.test", 2001)?)?;
    store_pair(testbed, "alien", &pair("elsewhere.test", 2099)?)?;
    let expected = [
        ("nonsense", "NotACertificate"),
        ("keyless", "NotAPrivateKey"),
        ("mixed", "KeyMismatch"),
        ("stale", "CertificateExpired"),
        ("absent", "SecretNotFound"),
        ("alien", "CertificateNameMismatch"),
    ];
    secured("sound", "sound").create(testbed)?;
    for (name, _) in expected {
        secured(name, name).create(testbed)?;
    }
    await_tls(testbed, 1, "sound.test", "sound")?;
    await_tls(testbed, 1, "alien.test", "alien")?;
    for (name, code) in expected {
        let finding = testbed.await_finding("default", code, name)?;
        ensure!(finding["remedy"].as_str().is_some_and(|remedy| remedy.len() > 10), "the finding has no remedy: {finding}");
        let host = format!("{name}.test");
        let is_shown = shown(&testbed.at(1, TLS), Some(&host))?.is_some();
        ensure!(is_shown == (name == "alien"), "{name} is presented a certificate: {is_shown}");
        testbed.await_answer(&testbed.at(1, DEFAULT), &host, "/", name)?;
    }
    testbed.await_converged("default").map(drop)
}

/// An application that terminates TLS itself: a stock nginx that answers with its identity.
fn create_tls_application(testbed: &Testbed, name: &str, labels: &[&str]) -> Result<CertificatePair> {
    let own = pair(&format!("{name}.test"), 2099)?;
    store_pair(testbed, name, &own)?;
    let answer = format!("return 200 '{{\"version\": \"{name}\"}}';");
    let server = format!(
        "server {{ listen 8443 ssl; ssl_certificate /run/secrets/{name}-cert; ssl_certificate_key /run/secrets/{name}-key; {answer} }}"
    );
    store_config(testbed, name, &format!("events {{}} http {{ {server} }}"))?;
    let (cert, key) = (format!("{name}-cert"), format!("{name}-key"));
    let config = format!("source={name},target=/etc/nginx/nginx.conf");
    let hosts = format!("com.docker.lb.hosts={name}.test");
    let args = [
        &["--network", "apps", "--label", &hosts, "--label", "com.docker.lb.port=8443"][..],
        labels,
        &["--secret", &cert, "--secret", &key, "--config", &config, "stock-nginx:dev"],
    ];
    testbed.create(name, &args.concat())?;
    Ok(own)
}

/// Stores a config; first removes an unused one with that name.
fn store_config(testbed: &Testbed, name: &str, content: &str) -> Result<()> {
    let file = std::env::temp_dir().join(format!("swarmgate-e2e-{}-{name}", std::process::id()));
    fs::write(&file, content)?;
    let _ = testbed.docker(&["config", "rm", name]);
    let stored = testbed.docker(&["config", "create", name, &file.to_string_lossy()]).map(drop);
    fs::remove_file(&file)?;
    stored
}

fn verified(testbed: &Testbed) -> Result<()> {
    let labels = ["--label", "com.docker.lb.backend_protocol=https", "--label", "com.docker.lb.ssl_backend_tls_verify=right-ca"];
    let wrong = pair("verified.test", 2099)?.certificate;
    store_config(testbed, "wrong-ca", &wrong)?;
    // The application's certificate does not exist yet: until the CA exists, nothing can be verified.
    let own = create_tls_application(testbed, "verified", &labels)?;
    testbed.await_finding("default", "SecretNotFound", "verified")?;
    store_config(testbed, "right-ca", &own.certificate)?;
    let address = testbed.at(1, DEFAULT);
    eventually(SLOW, "the application is verified", || {
        let answer = http_get(&address, "verified.test", "/")?;
        ensure!(answer.status == 200 && answer.body.contains("verified"), "status {}", answer.status);
        Ok(())
    })?;
    testbed.update("verified", &["--label-add", "com.docker.lb.ssl_backend_tls_verify=wrong-ca"])?;
    testbed.await_code(&address, "verified.test", "/", 502)?;
    testbed.await_converged("default").map(drop)
}

fn passthrough(testbed: &Testbed) -> Result<()> {
    store_pair(testbed, "ends", &pair("ends.test", 2099)?)?;
    secured("ends", "ends").create(testbed)?;
    let direct = await_tls(testbed, 1, "ends.test", "ends")?;
    let own = create_tls_application(testbed, "through", &["--label", "com.docker.lb.ssl_passthrough=true"])?;
    await_tls(testbed, 1, "through.test", "through")?;
    let address = testbed.at(1, TLS);
    // The application's own certificate; one of the engine's two workers may lag briefly behind the other.
    await_shown(&address, "through.test", &own)?;
    ensure!(shown(&address, Some("unknown.test"))?.is_none(), "an unknown host is refused");
    let beside = await_tls(testbed, 1, "ends.test", "ends")?;
    for header in ["x-real-ip", "x-forwarded-for"] {
        let [alone, beside] = [&direct, &beside].map(|about| about["headers"][header].clone());
        ensure!(
            alone == beside && alone.as_str().is_some_and(|ip| ip.contains('.')),
            "{header} is {beside} with passthrough and {alone} without"
        );
    }
    let plain = http_get(&testbed.at(1, DEFAULT), "ends.test", "/")?.json()?;
    ensure!(plain["headers"]["x-real-ip"] == beside["headers"]["x-real-ip"], "the client's own address: {plain}");
    testbed.await_converged("default").map(drop)
}
