//! The attackers on the channel: a container on the control network, or a host on the nodes' network, that answers to our
//! names, asks for what is not its own, forges, records, or presents something old. No attacker obtains anything, and none
//! stops legitimate traffic.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use swarmgate::pki::{
    Authority, ChannelIdentity, ChannelRole, ClientAuthentication, Credentials, OPERATOR_NAME, client_config, request, role_name,
    server_config,
};
use swarmgate::protocol::messages::{Bundle, CertificateRequest, ExtensionReport, WIRE_VERSION};
use swarmgate::types::{ClusterName, Digest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::eventually_healthy;
use crate::route_tables::routes;
use crate::stage::{Stage, cluster, eventually, on_stage};
use crate::tasks::Extension;
use crate::test_application::TestApplication;

const HOST: &str = "app.example.org";

/// A client with a certificate for this role, cluster and task, or without a certificate, that trusts any peer that answers as
/// `server`.
fn client(stage: &Stage, server: &str, certificate: Option<(ChannelRole, &ClusterName, &str)>) -> AttackerClient {
    let credentials = Credentials::new(stage.authority().root().clone());
    if let Some((role, cluster, task)) = certificate {
        credentials.replace(ChannelIdentity::issued_by(stage.authority(), role, cluster, task, Timestamp::now()).unwrap());
    }
    let tls = client_config(&credentials, server, certificate.is_some()).unwrap();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector)
}

type AttackerClient = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The answer, or the reason why the server did not speak to the client.
async fn send(client: &AttackerClient, request: Request<Full<Bytes>>) -> Result<(StatusCode, String), String> {
    let answer = client.request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

async fn get(client: &AttackerClient, url: &str) -> Result<(StatusCode, String), String> {
    send(client, Request::get(url).body(Full::default()).unwrap()).await
}

async fn answer(client: &AttackerClient, url: String) -> (StatusCode, String) {
    get(client, &url).await.unwrap()
}

fn json_post(url: &str) -> http::request::Builder {
    Request::post(url).header("content-type", "application/json")
}

async fn post(client: &AttackerClient, url: String, body: &Value) -> StatusCode {
    send(client, json_post(&url).body(Full::from(body.to_string())).unwrap()).await.unwrap().0
}

fn other_cluster() -> ClusterName {
    ClusterName::parse("prod").unwrap()
}

/// Starts an extension, and waits until it has accepted a table.
async fn start_extension(stage: &Stage, app: &TestApplication) -> Extension {
    let extension = stage.start_extension();
    stage.publish(routes(stage, &[(HOST, &[app])]));
    eventually("the first report arrives", || stage.report()?.accepted).await;
    extension
}

/// A server with a certificate of its own authority, which records what clients send it after the handshake.
struct Impostor {
    address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Impostor {
    async fn start() -> Self {
        let now = Timestamp::now();
        let authority = Authority::create(now).unwrap();
        let credentials = Credentials::new(authority.root().clone());
        credentials.replace(authority.own(now).unwrap());
        let tls = tokio_rustls::TlsAcceptor::from(server_config(&credentials, ClientAuthentication::Optional).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let (notes, counter) = (received.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counter.lock().unwrap() += 1;
                let (tls, notes) = (tls.clone(), notes.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    let mut text = vec![0; 4096];
                    if let Ok(length) = stream.read(&mut text).await
                        && length > 0
                    {
                        notes.lock().unwrap().push(String::from_utf8_lossy(&text[..length]).into_owned());
                    }
                });
            }
        });
        Self { address, received, connections }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn assert_contacted_without_receiving_anything(&self) {
        assert!(*self.connections.lock().unwrap() > 0, "no client connected to the impostor, so this test proves nothing");
        assert_eq!(*self.received.lock().unwrap(), [""; 0]);
    }
}

/// A server that accepts connections and sends nothing.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    url
}

#[test]
fn silent_impostors_do_not_delay_proxies() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let mut addresses = Vec::new();
        for _ in 0..20 {
            addresses.push(silent().await);
        }
        let all = addresses.join(",");
        stage.start_proxy_that_knows(&format!("{all},{}", stage.extension_url()), &format!("{all},{}", stage.operator_url()));
        // Tried one after another, they would take minutes; the stage gives up after twenty seconds.
        stage.until_answer(HOST, "one").await;
    });
}

#[test]
fn a_proxy_reports_only_for_itself() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let name = role_name(ChannelRole::Extension, &cluster());
        let proxy = client(stage, &name, Some((ChannelRole::Proxy, &cluster(), "t1")));
        let report = |task: &str| json!({"version": WIRE_VERSION, "task": task, "node": "n", "reloads": 0});
        for (task, expected) in [("proxy-task", StatusCode::UNAUTHORIZED), ("t1", StatusCode::NO_CONTENT)] {
            let url = format!("{}/v1/proxies/{task}", stage.extension_url());
            assert_eq!(post(&proxy, url, &report(task)).await, expected, "{task}");
        }
    });
}

#[test]
fn an_impostor_receives_nothing_and_is_skipped() {
    on_stage(async |stage| {
        let (app, impostor) = (TestApplication::start("one").await, Impostor::start().await);
        // A service with the operator's alias, or one on the operator's port on another manager, that answers first.
        let everywhere = format!("{},{}", impostor.url(), stage.operator_url());
        start_extension(stage, &app).await;
        stage.start_proxy_that_knows(&format!("{},{}", impostor.url(), stage.extension_url()), &everywhere);
        stage.until_answer(HOST, "one").await;
        impostor.assert_contacted_without_receiving_anything();
    });
}

#[test]
fn a_client_without_a_certificate_obtains_nothing() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let anonymous = client(stage, OPERATOR_NAME, None);
        for path in ["desired", "peers"] {
            let (status, body) = answer(&anonymous, format!("{}/v1/clusters/dev/{path}", stage.operator_url())).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(!body.contains("example"), "{body}");
        }
        let report = serde_json::to_value(stage.report().unwrap()).unwrap();
        assert_eq!(post(&anonymous, format!("{}/v1/clusters/dev/report", stage.operator_url()), &report).await, StatusCode::UNAUTHORIZED);
        let extension_name = role_name(ChannelRole::Extension, &cluster());
        let refused = get(&client(stage, &extension_name, None), &format!("{}/v1/bundle", stage.extension_url())).await;
        assert!(refused.is_err(), "the extension answered a client without a certificate: {refused:?}");
        let plain =
            crate::traffic::get(stage.operator_url().trim_start_matches("https://").parse().unwrap(), "x", "/v1/clusters/dev/desired")
                .await;
        assert!(plain.is_err(), "the operator answered over plain HTTP: {plain:?}");
    });
}

#[test]
fn a_certificate_is_valid_only_for_its_role_cluster_and_task() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let (dev, prod) = (cluster(), other_cluster());
        let desired = format!("{}/v1/clusters/dev/desired", stage.operator_url());
        for (role, of, expected) in [
            (ChannelRole::Extension, &dev, StatusCode::OK),
            (ChannelRole::Extension, &prod, StatusCode::UNAUTHORIZED),
            (ChannelRole::Proxy, &dev, StatusCode::UNAUTHORIZED),
        ] {
            let (status, body) = answer(&client(stage, OPERATOR_NAME, Some((role, of, "t1"))), desired.clone()).await;
            assert_eq!(status, expected, "{role} of {of}");
            assert_eq!(body.contains(HOST), expected == StatusCode::OK, "{role} of {of}");
        }
        let bundle = format!("{}/v1/bundle", stage.extension_url());
        let name = role_name(ChannelRole::Extension, &dev);
        for (role, of, expected) in [
            (ChannelRole::Proxy, &dev, StatusCode::OK),
            (ChannelRole::Proxy, &prod, StatusCode::UNAUTHORIZED),
            (ChannelRole::Extension, &dev, StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(answer(&client(stage, &name, Some((role, of, "t1"))), bundle.clone()).await.0, expected, "{role} of {of}");
        }
        let elsewhere = client(stage, &role_name(ChannelRole::Extension, &prod), Some((ChannelRole::Proxy, &prod, "t1")));
        assert!(get(&elsewhere, &bundle).await.is_err(), "a proxy of prod followed the extension of dev");
    });
}

#[test]
fn a_token_obtains_only_certificates_of_its_role() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let anonymous = client(stage, OPERATOR_NAME, None);
        let ask = |token: &'static str, role: ChannelRole, task: &'static str| {
            let (anonymous, url) = (anonymous.clone(), format!("{}/v1/clusters/dev/certificate", stage.operator_url()));
            let (_, pem) = request().unwrap();
            let body = json!(CertificateRequest { version: WIRE_VERSION, role, task: task.to_owned(), request: pem }).to_string();
            let request = json_post(&url).header(AUTHORIZATION, format!("Bearer {token}")).body(Full::from(body)).unwrap();
            async move { send(&anonymous, request).await.unwrap().0 }
        };
        let own = "a-token-for-each-proxy";
        assert_eq!(ask(own, ChannelRole::Proxy, "t1").await, StatusCode::OK);
        assert_eq!(
            ask(own, ChannelRole::Extension, "t1").await,
            StatusCode::UNAUTHORIZED,
            "a proxy token obtained an extension certificate"
        );
        assert_eq!(ask("forged", ChannelRole::Proxy, "t1").await, StatusCode::UNAUTHORIZED);
        for task in ["nobody", "t1.extension.dev"] {
            assert_eq!(ask(own, ChannelRole::Proxy, task).await, StatusCode::SERVICE_UNAVAILABLE, "the Swarm has no task {task}");
        }
        let (status, _) = answer(&anonymous, format!("{}/v1/clusters/dev/desired", stage.operator_url())).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "a token alone must not read anything");
    });
}

#[test]
fn a_forged_report_is_rejected() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let genuine = stage.report().unwrap();
        let url = format!("{}/v1/clusters/dev/report", stage.operator_url());
        let (dev, prod) = (cluster(), other_cluster());
        let evil = |report: &ExtensionReport| json!(ExtensionReport { engine_version: "evil".to_owned(), ..report.clone() });
        for (role, of, task, expected) in [
            (ChannelRole::Proxy, &dev, genuine.task.as_str(), StatusCode::UNAUTHORIZED),
            (ChannelRole::Extension, &prod, genuine.task.as_str(), StatusCode::UNAUTHORIZED),
            (ChannelRole::Extension, &dev, "another-task", StatusCode::UNAUTHORIZED),
        ] {
            let client = client(stage, OPERATOR_NAME, Some((role, of, task)));
            assert_eq!(post(&client, url.clone(), &evil(&genuine)).await, expected, "{role} of {of}, {task}");
        }
        let own = client(stage, OPERATOR_NAME, Some((ChannelRole::Extension, &dev, genuine.task.as_str())));
        let boot = genuine.boot.clone().unwrap();
        let spoilt = Bundle { generation: boot.generation + 1, ..boot };
        assert_eq!(
            post(&own, url.clone(), &evil(&ExtensionReport { boot: Some(spoilt), ..genuine.clone() })).await,
            StatusCode::BAD_REQUEST
        );
        assert_ne!(stage.report().unwrap().engine_version, "evil");
        assert_eq!(post(&own, url, &evil(&genuine)).await, StatusCode::NO_CONTENT, "the genuine sender was rejected");
    });
}

/// Forwards connections and records what the client sent.
async fn recorder(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, tape) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::<Vec<u8>>::new())));
    let tapes = tape.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(to).await.unwrap();
            let number = {
                let mut tapes = tapes.lock().unwrap();
                tapes.push(Vec::new());
                tapes.len() - 1
            };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let tapes = tapes.clone();
            tokio::spawn(async move {
                let mut chunk = vec![0; 16 * 1024];
                while let Ok(length @ 1..) = from_client.read(&mut chunk).await {
                    tapes.lock().unwrap()[number].extend_from_slice(&chunk[..length]);
                    if to_server.write_all(&chunk[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, tape)
}

#[test]
fn recorded_traffic_reveals_nothing_and_cannot_be_replayed() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        start_extension(stage, &app).await;
        let report = stage.report().unwrap();
        let operator: SocketAddr = stage.operator_url().trim_start_matches("https://").parse().unwrap();
        let (relay, tape) = recorder(operator).await;
        let own = client(stage, OPERATOR_NAME, Some((ChannelRole::Extension, &cluster(), "replayed")));
        let message = json!(ExtensionReport { task: "replayed".to_owned(), engine_version: "recorded".to_owned(), ..report.clone() });
        assert_eq!(post(&own, format!("https://{relay}/v1/clusters/dev/report"), &message).await, StatusCode::NO_CONTENT);
        let tapes = tape.lock().unwrap().clone();
        let received = tapes.iter().any(|tape| tape.len() > 1000);
        assert!(received, "the recorder captured no message");
        let contains = |tape: &Vec<u8>, text: &str| tape.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!tapes.iter().any(|tape| contains(tape, "recorded") || contains(tape, HOST)), "the recorded traffic contains plain text");

        let before = stage.reports_taken();
        for tape in &tapes {
            let mut stream = TcpStream::connect(operator).await.unwrap();
            let _ = stream.write_all(tape).await;
            let mut answer = Vec::new();
            // The operator closes a connection that it cannot decrypt.
            let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "the operator kept the connection open");
            assert!(!contains(&answer, "204"), "the operator answered the replay");
        }
        assert!(stage.task_reported_since("replayed", before).is_none(), "the replay was accepted as a report");
    });
}

#[test]
fn a_proxy_rejects_old_bundles_and_bundles_its_extension_did_not_sign() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let extension = start_extension(stage, &app).await;
        let old = eventually("the boot snapshot arrives", || stage.report()?.boot).await;
        let proxy = stage.start_proxy();
        stage.until_answer(HOST, "one").await;
        let desired = stage.publish(routes(stage, &[(HOST, &[&app]), ("new.example.org", &[&app])]));
        stage.until_running(&desired).await;
        eventually("the volume is written", || stage.saved_state()).await;
        extension.stop().await;
        proxy.drain().await;

        // A genuine snapshot older than what this node has run, and forged ones that claim to be newer.
        let other = Authority::create(Timestamp::now()).unwrap();
        let by = |authority: &Authority, role, of: &ClusterName| {
            let key = ChannelIdentity::issued_by(authority, role, of, "t1", Timestamp::now()).unwrap();
            old.clone().signed(u64::MAX, &key.signer(), Timestamp::now())
        };
        let forged = [
            old.clone(),
            Bundle { generation: u64::MAX, ..old.clone() },
            Bundle { signature: None, generation: u64::MAX, ..old.clone() },
            by(&other, ChannelRole::Extension, &cluster()),
            by(stage.authority(), ChannelRole::Proxy, &cluster()),
            by(stage.authority(), ChannelRole::Extension, &other_cluster()),
        ];
        for bundle in forged {
            stage.write_boot_file(&bundle);
            let proxy = stage.start_proxy();
            eventually_healthy(stage, "volume").await;
            assert_ne!(stage.running_config().await, old.digest.short(), "{:?}", bundle.signature);
            proxy.drain().await;
        }
    });
}

#[test]
fn an_extension_with_lower_generations_catches_up_and_is_followed() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        let extension = start_extension(stage, &app).await;
        let ahead = eventually("the boot snapshot arrives", || stage.report()?.boot).await;
        // Signed by an extension on a node whose clock was an hour ahead.
        let generation = ahead.generation + 3_600_000_000;
        let files = ahead.files.clone().into_iter().chain([("note.conf".to_owned(), "# ahead".to_owned())]).collect();
        stage.write_boot_file(&stage.signed(Bundle::new(cluster(), Digest::of_bytes(b""), files), generation));
        extension.stop().await;
        stage.start_proxy();
        eventually_healthy(stage, "boot").await;
        stage.start_extension();
        stage.until_answer(HOST, "one").await;
        eventually_healthy(stage, "live").await;
    });
}
