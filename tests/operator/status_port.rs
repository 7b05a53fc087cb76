//! The status port of a running operator: who has access, what it shows, and its cost to the Swarm.

use std::path::Path;
use std::process::Output;

use futures::future::join_all;
use rcgen::{CertificateParams, KeyPair};
use swarmgate::controller::options::TlsFiles;
use swarmgate::report::Finding;
use swarmgate::simulator::SwarmCall;
use swarmgate::types::Digest;
use tokio::process::Command;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Tests connect over loopback, so they count as strangers only if loopback is not trusted.
fn for_remote_clients(settings: &mut OperatorOptions) {
    settings.status.access.token = Some(Digest::of_bytes(TOKEN.as_bytes()));
    settings.status.access.trust_loopback = false;
}

impl RunningOperator {
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        set: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> reqwest::Response {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        set(client.request(method, format!("http://{}{path}", self.status))).send().await.unwrap()
    }

    async fn code(&self, path: &str, set: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> u16 {
        self.ask(reqwest::Method::GET, path, set).await.status().as_u16()
    }

    async fn until_ready(&self) {
        let ready = async {
            while self.get("/readyz").await.is_none_or(|(code, _)| code != 200) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
    }
}

/// Runs the program like a user who has none of its variables in the environment.
async fn swarmgate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
    command.args(args).env_remove("SWARMGATE_STATUS_TOKEN_FILE").env_remove("SWARMGATE_SERVER");
    command.output().await.unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn people_need_the_token_but_monitoring_does_not() {
    with_operator_as(DOCUMENT, for_remote_clients, async |scene| {
        scene.until_ready().await;
        for path in ["/healthz", "/readyz"] {
            assert_eq!(scene.code(path, |request| request).await, 200, "{path}");
        }
        for path in ["/", "/status", "/plan", "/explain?service=x", "/render", "/snapshot", "/nothing"] {
            let refused = scene.ask(reqwest::Method::GET, path, |request| request).await;
            assert_eq!(refused.status(), 401, "{path}");
            assert_eq!(refused.headers().get_all("www-authenticate").iter().count(), 2);
            assert!(refused.text().await.unwrap().contains("swarmgate token"));
            assert_eq!(scene.code(path, |request| request.bearer_auth("wrong-wrong-wrong")).await, 401, "{path}");
        }
        for path in ["/", "/status", "/plan", "/snapshot"] {
            assert_eq!(scene.code(path, |request| request.bearer_auth(TOKEN)).await, 200, "{path}");
            assert_eq!(scene.code(path, |request| request.basic_auth("anybody", Some(TOKEN))).await, 200, "{path}");
        }
        assert_eq!(scene.code("/nothing", |request| request.bearer_auth(TOKEN)).await, 404);
        assert_eq!(scene.code("/metrics", |request| request).await, 404, "this operator has no metrics recorder");
    });
}

#[test]
fn responses_carry_browser_security_headers_and_never_echo_input() {
    with_operator(async |scene| {
        scene.until_ready().await;
        let mark = "m4rk";
        for (method, path, host, expected) in [
            ("GET", "/", "localhost", 200),
            ("HEAD", "/status", "localhost", 200),
            ("GET", "/nothing/m4rk", "localhost", 404),
            ("GET", "/plan?output=m4rk", "localhost", 400),
            ("POST", "/status", "localhost", 405),
            ("GET", "/healthz", "m4rk.example.org", 421),
            ("GET", "/status", "127.0.0.1.m4rk.example.org", 421),
        ] {
            let method = method.parse().unwrap();
            let answer =
                scene.ask(method, path, |request| request.header("host", host).header("authorization", mark).header("x-any", mark)).await;
            assert_eq!(answer.status(), expected, "{path} at {host}");
            let headers = answer.headers().clone();
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["cache-control"], "no-store");
            assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
            assert!(!format!("{headers:?} {}", answer.text().await.unwrap()).contains(mark));
        }
        let page = scene.ask(reqwest::Method::GET, "/", |request| request).await;
        assert!(
            page.headers()["content-security-policy"].to_str().unwrap().contains("style-src"),
            "the policy must allow the style of the page"
        );
        let long = format!("/explain?service={}", "a".repeat(9_000));
        assert_eq!(scene.code(&long, |request| request).await, 414);
        assert_eq!(
            scene.code("/status", |request| request.header("x-forwarded-for", "192.0.2.1")).await,
            401,
            "a reverse proxy forwards requests of others"
        );
    });
}

#[test]
fn forty_clients_cause_one_snapshot_per_interval() {
    let interval = Duration::from_millis(400);
    with_operator_as(
        DOCUMENT,
        |settings| settings.query_interval = interval,
        async |scene| {
            application(&scene.swarm);
            scene.until("a route", has_route).await;
            let began = tokio::time::Instant::now();
            let paths = ["/snapshot", "/plan", "/explain?service=web", "/render"];
            let client = |number: usize| async move {
                for round in 0..3 {
                    let (code, text) = scene.get(paths[(number + round) % paths.len()]).await.unwrap();
                    assert_eq!(code, 200, "{text}");
                }
            };
            join_all((0..40).map(client)).await;
            let allowed = began.elapsed().as_millis().div_ceil(interval.as_millis()) + 1;
            let snapshots = scene.swarm.calls(SwarmCall::StoppingTasks);
            assert!(snapshots >= 3 && snapshots as u128 <= allowed, "{snapshots} snapshots, but only {allowed} are allowed");
        },
    );
}

#[test]
fn the_status_never_names_unpublished_objects() {
    with_operator(async |scene| {
        application(&scene.swarm);
        let swarm = &scene.swarm;
        let others = std::collections::BTreeMap::from([("com.docker.stack.namespace".to_owned(), "others".to_owned())]);
        let network = swarm.user_creates_network(&json!({"Name": "foreign-network", "Driver": "overlay"})).unwrap();
        swarm.user_creates_secret("foreign-secret", &others, b"s3cret").unwrap();
        swarm.user_creates_secret("web.cert", &others, b"s3cret").unwrap();
        swarm.user_creates_config("foreign-config", &others, b"s3cret").unwrap();
        // The name resembles one that is requested.
        let foreign = json!({
            "Name": "foreign-service",
            "Labels": {"org.example.owner": "foreign-label"},
            "TaskTemplate": {"ContainerSpec": {"Image": "foreign-image"}, "Networks": [{"Target": network.0}]},
        });
        swarm.user_creates_service(&foreign).unwrap();
        let spec = json!({
            "Name": "secured",
            "Labels": {
                "com.docker.lb.hosts": "secured.example.org", "com.docker.lb.port": "80", "com.docker.lb.network": "foreign-netwerk",
                "com.docker.lb.ssl_cert": "foreign_secret", "com.docker.lb.ssl_key": "foreign_secret",
                "com.docker.lb.ssl_backend": "true", "com.docker.lb.ssl_backend_tls_verify": "foreign_config",
            },
            "TaskTemplate": {"ContainerSpec": {"Image": "app"}},
        });
        swarm.user_creates_service(&spec).unwrap();
        let wrong = |status: &StatusReport| {
            let about = |finding: &&Finding| finding.subject == Subject::Service("secured".to_owned());
            status.clusters["default"].findings.iter().filter(about).count() >= 2
        };
        scene.until("the findings", |status| has_route(status) && wrong(status)).await;
        for path in [
            "/",
            "/status",
            "/snapshot",
            "/plan",
            "/plan?output=json",
            "/render",
            "/explain?service=foreign-servic",
            "/explain?service=secured",
        ] {
            let (_, text) = scene.get(path).await.unwrap();
            for name in
                ["foreign-network", "foreign-secret", "foreign-config", "foreign-service", "foreign-label", "foreign-image", "web.cert"]
            {
                assert!(!text.contains(name), "{path} names {name}:\n{text}");
            }
        }
        let (_, snapshot) = scene.get("/snapshot").await.unwrap();
        assert!(snapshot.contains("secured") && snapshot.contains("\"web\"") && snapshot.contains("\"apps\""), "{snapshot}");
    });
}

#[test]
fn the_command_line_sends_the_token() {
    with_operator_as(DOCUMENT, for_remote_clients, async |scene| {
        scene.until_ready().await;
        let server = format!("http://{}", scene.status);
        let refused = swarmgate(&["status", "--server", &server]).await;
        assert!(!refused.status.success() && errors(&refused).contains("docker exec CONTAINER swarmgate token"), "{}", errors(&refused));
        let file = scene.folder.path().join("token");
        let give = |content: &str| std::fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        give("another-another-another");
        let refused = swarmgate(&["plan", "--server", &server, "--token-file", file]).await;
        assert!(errors(&refused).contains("rejects this token") && !errors(&refused).contains("another"), "{}", errors(&refused));
        give(&format!("{TOKEN}\n"));
        for args in [&["plan"][..], &["status", "--snapshot"], &["render"], &["explain", "http://x.example.org/"]] {
            let output = swarmgate(&[args, &["--server", &server, "--token-file", file]].concat()).await;
            assert!(!output.stdout.is_empty(), "{args:?}: {}", errors(&output));
            assert!(!errors(&output).contains("warning"), "a token over loopback needs no warning");
        }
    });
}

#[test]
fn the_socket_needs_no_token_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    for _ in 0..2 {
        let options = |settings: &mut OperatorOptions| {
            for_remote_clients(settings);
            settings.status.socket = Some(path.clone());
        };
        with_operator_as(DOCUMENT, options, async |scene| {
            scene.until_ready().await;
            let plan = swarmgate(&["plan", "--server", &format!("unix://{}", path.display())]).await;
            assert!(plan.status.success() && String::from_utf8_lossy(&plan.stdout).contains("cluster default"), "{}", errors(&plan));
        });
    }
}

#[test]
fn the_status_port_serves_tls_with_the_given_files() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    };
    let files = TlsFiles { certificate: write("cert.pem", &certificate.pem()), key: write("key.pem", &key.serialize_pem()) };
    let (ca, token) = (files.certificate.clone(), write("token", TOKEN));
    with_operator_as(
        DOCUMENT,
        |settings| {
            for_remote_clients(settings);
            settings.status.tls = Some(files);
        },
        async |scene| {
            let server = format!("https://{}", scene.status);
            let text = |path: &Path| path.to_str().unwrap().to_owned();
            let requests = ["plan", "--server", &server, "--token-file", &text(&token), "--ca-file", &text(&ca)];
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let output = swarmgate(&requests).await;
                if output.status.success() {
                    break;
                }
                assert!(tokio::time::Instant::now() < deadline, "{}", errors(&output));
            }
            assert!(scene.get("/healthz").await.is_none(), "the port answers over plain HTTP");
            let plain = swarmgate(&["plan", "--server", &format!("http://{}", scene.status)]).await;
            assert!(!plain.status.success() && errors(&plain).contains("--server https://"), "{}", errors(&plain));
            let other = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
            let other = text(&write("other.pem", &other.pem()));
            let refused = swarmgate(&["plan", "--server", &server, "--token-file", &text(&token), "--ca-file", &other]).await;
            assert!(!refused.status.success() && errors(&refused).contains("certificate"), "{}", errors(&refused));
        },
    );
}

/// By default `openssl req -x509` creates a CA certificate, which TLS refuses as a server certificate.
#[test]
fn a_ca_certificate_for_the_status_port_is_reported_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let ca = files.certificate.to_str().unwrap().to_owned();
    with_operator_as(
        DOCUMENT,
        |settings| settings.status.tls = Some(files),
        async |scene| {
            let server = format!("https://{}", scene.status);
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let output = swarmgate(&["plan", "--server", &server, "--ca-file", &ca]).await;
                assert!(!output.status.success());
                if errors(&output).contains("CA:FALSE") {
                    break;
                }
                assert!(tokio::time::Instant::now() < deadline, "{}", errors(&output));
            }
        },
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_key_prevents_startup_and_is_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    let pasted = key.serialize_pem().replace('\n', "\\n");
    std::fs::write(&files.key, &pasted).unwrap();
    let scene = RunningOperator::start(DOCUMENT, |settings| settings.status.tls = Some(files));
    let error = tokio::time::timeout(PATIENCE, scene.operator).await.unwrap().unwrap().unwrap_err();
    let output = format!("{error:?}");
    assert!(
        matches!(error, RunError::Tls { .. })
            && !pasted.as_bytes().windows(16).any(|run| output.contains(std::str::from_utf8(run).unwrap()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_not_sent_to_redirect_targets() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let thief = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}/status", thief.local_addr().unwrap());
    let count = move || async move { counted.fetch_add(1, Ordering::Relaxed).to_string() };
    tokio::spawn(async move { axum::serve(thief, axum::Router::new().fallback(count)).await });
    let moved = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", moved.local_addr().unwrap());
    let answer = move || async move { axum::response::Redirect::temporary(&elsewhere) };
    tokio::spawn(async move { axum::serve(moved, axum::Router::new().fallback(answer)).await });
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), TOKEN).unwrap();
    let output = swarmgate(&["status", "--server", &server, "--token-file", token.path().to_str().unwrap()]).await;
    assert!(!output.status.success() && errors(&output).contains("answered 307"), "{}", errors(&output));
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}
