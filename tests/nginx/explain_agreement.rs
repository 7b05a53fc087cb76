//! `explain` against the real engine: over generated labels, nginx does exactly what `explain` says about a request. Compares
//! the whole paths: labels → translation → configuration → nginx, and labels → explanation.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use swarmgate::explain::{Request, Sources, TraceOutcome, explain};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::render::ConfigPurpose;
use swarmgate::swarm::Snapshot;
use swarmgate::translate::translate;

use super::engine::{EngineSandbox, NginxProcess, nginx};
use super::ports::free_port;
use super::raw_client::request;
use super::{certificates, curl, golden_compact, test_application, tls_application};

const HOSTS: &[&str] = &["a.test", "b.a.test", "*.a.test", "*.b.a.test", "c.test", "_x.test", "d.test"];
const PATHS: &[&str] = &["/", "/app", "/app/deep", "/apple", "/v1.0", "/a+b", "/x=1,y", "/app/deep/er"];
const REQUESTED_HOSTS: &[&str] =
    &["a.test", "b.a.test", "A.Test", "z.a.test", "z.b.a.test", "c.test", "_x.test", "d.test", "unknown.test", "10.0.0.1", "y.z.a.test"];
const SEGMENTS: &[&str] = &[
    "",
    "app",
    "apple",
    "APP",
    "deep",
    "er",
    "%61pp",
    "%2e%2e",
    ".",
    "..",
    "v1.0",
    "v1x0",
    "a+b",
    "x=1,y",
    "a%20b",
    "%C3%A4",
    "a%2Fb",
    "%25",
    "a%3Fb",
    "b;c",
    "%zz",
    "%00",
    "{b}",
    "a|b",
    "a%0Ab",
    "..;",
    ".;x",
    "..%5c",
    "%5c",
    "%252e%252e",
    "%2e%2e%3b",
    "..%252f",
    "%c0%ae.",
    "%e0%80%ae.",
    "%c0%2e%f0%80%80%ae",
    "..%e0%80%81%9c",
    "..%25c1%251c",
    "..%20",
    ".%0a.",
    "%20",
    "%ef%bc%8e.",
    "..%e2%81%84",
    "%25%32%65",
    "%2525%33",
    "%C0",
    ";",
    "a;",
    "...",
    "..%2fapp",
];
const NAMES: &[&str] = &["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
/// curl's exit code for a refused handshake.
const HANDSHAKE_REFUSED: i32 = 35;
/// The number of tables; each of them gets several requests.
const TABLES: u64 = 8;
const PLAIN_REQUESTS: usize = 60;
const TLS_REQUESTS: usize = 15;

/// Everything that one table needs.
pub struct AgreementFixture {
    engine: NginxProcess,
    http: u16,
    https: u16,
    ca: PathBuf,
    cluster: Cluster,
    snapshot: Snapshot,
    _directory: tempfile::TempDir,
}

impl AgreementFixture {
    /// Starts the scene. Returns `None` if there is no engine.
    pub async fn start(services: &[Value], ports: &[u16]) -> Option<Self> {
        let (nginx, sandbox, https) = (nginx()?, EngineSandbox::new(), free_port());
        let http = sandbox.http;
        let (cluster, snapshot) = (cluster(http, https), snapshot(services, ports));
        let table = translate(&cluster, &snapshot).table;
        let engine = NginxProcess::start(&nginx, sandbox, &table, ConfigPurpose::Live).await;
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, certificates::ca()).unwrap();
        Some(Self { engine, http, https, ca, cluster, snapshot, _directory: directory })
    }

    /// The answer of `explain`.
    fn explain(&self, request: &Request) -> (TraceOutcome, String) {
        let clusters = std::slice::from_ref(&self.cluster);
        let explanation = explain(
            &Sources { clusters, inactive: &InactiveClusters::default(), snapshot: &self.snapshot, held: &[], status: None },
            request,
            None,
        )
        .unwrap();
        (explanation.clusters[0].outcome.clone(), explanation.to_string())
    }

    /// Checks that nginx does what `explain` says; returns the outcome in one word.
    async fn check_plain(&self, host: &str, target: &str) -> String {
        let sent = Request::parse(&format!("http://{host}{target}")).unwrap();
        word("http", &self.check_sent(host, &sent).await)
    }

    /// What nginx did with exactly this request.
    pub async fn check_sent(&self, host: &str, sent: &Request) -> TraceOutcome {
        let (outcome, text) = self.explain(sent);
        let answer = request(self.engine.http(), "GET", host, &sent.target, &[]).await;
        let fits = match &outcome {
            TraceOutcome::Application { services, target } => {
                let same_target = target.as_deref() == Some(answer.echoed("target"));
                answer.status == 200 && services.iter().any(|service| service == answer.echoed("app")) && same_target
            }
            TraceOutcome::Redirect { status, location, .. } => answer.status == *status && answer.header("location") == location,
            TraceOutcome::Nobody { status, .. } => Some(answer.status) == *status,
        };
        if let TraceOutcome::Redirect { location, refused, .. } = &outcome
            && location.starts_with(&format!("https://{}", sent.host))
        {
            self.check_target(sent, refused.is_some()).await;
        }
        assert!(fits, "nginx answered {answer:?}\nto {host}{}\nexplain predicts\n{text}\n{}", sent.target, self.engine.error_log());
        outcome
    }

    /// Checks the HTTPS request to which a request is redirected: whether its handshake is refused, and that nginx refuses it.
    async fn check_target(&self, sent: &Request, refused: bool) {
        let url = format!("https://{}:{}{}", sent.host, self.https, sent.target);
        let (outcome, text) = self.explain(&Request::parse(&url).unwrap());
        let is_refused = |reason: &str| reason.starts_with("the TLS handshake is refused");
        let known = matches!(&outcome, TraceOutcome::Nobody { status: None, reason, .. } if is_refused(reason));
        assert_eq!(refused, known, "{url}\n{text}");
        if refused {
            let seen = curl::ask(SocketAddr::from((Ipv4Addr::LOCALHOST, self.https)), &url, &self.ca, &["--insecure"]).await;
            assert_eq!(seen.exit, HANDSHAKE_REFUSED, "curl saw {seen:?}\nof {url}\nexplain predicts\n{text}");
        }
    }

    /// Like [`Self::check_plain`], over TLS.
    async fn check_tls(&self, host: &str, target: &str) -> String {
        let sent = Request::parse(&format!("https://{host}:{}{target}", self.https)).unwrap();
        let (outcome, text) = self.explain(&sent);
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.https));
        let url = format!("https://{host}:{}{}", self.https, sent.target);
        // The tests of TLS check which certificate is shown; some of these names are below wildcards written in capitals.
        let seen = curl::ask(at, &url, &self.ca, &["--insecure"]).await;
        let echoed = |name: &str| seen.body.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned();
        let fits = match &outcome {
            TraceOutcome::Application { target: None, .. } => seen.exit == 0 && echoed("app") == "peer",
            TraceOutcome::Application { services, target } => {
                let app = echoed("app");
                seen.status == 200 && services.contains(&app) && *target == Some(echoed("target"))
            }
            TraceOutcome::Redirect { status, .. } | TraceOutcome::Nobody { status: Some(status), .. } => seen.status == *status,
            TraceOutcome::Nobody { status: None, .. } => seen.exit != 0,
        };
        assert!(fits, "curl saw {seen:?}\nof {url}\nexplain predicts\n{text}\n{}", self.engine.error_log());
        word("https", &outcome)
    }
}

fn word(scheme: &str, outcome: &TraceOutcome) -> String {
    let end = match outcome {
        TraceOutcome::Application { target: Some(_), .. } => "application".to_owned(),
        TraceOutcome::Application { target: None, .. } => "passed through".to_owned(),
        TraceOutcome::Redirect { refused: Some(_), .. } => "redirect to a refused handshake".to_owned(),
        TraceOutcome::Redirect { status, .. } => status.to_string(),
        TraceOutcome::Nobody { status, .. } => status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
    };
    format!("{scheme} {end}")
}

fn cluster(http: u16, https: u16) -> Cluster {
    let text = format!(
        "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: default}}\nspec:\n  engine: nginx\n  extension: {{image: i}}\n  \
         proxy: {{image: i, publish: {{mode: host, http: {{published: {http}, target: {http}}}, https: {{published: {https}, target: {https}}}}}}}\n"
    );
    let declaration = read_documents(&[SourceFile::new("spec.yaml", text)]);
    declaration.valid().next().cloned().unwrap_or_else(|| panic!("{:?}", declaration.findings))
}

/// A Swarm with some services in the short form, whose tasks listen on loopback.
fn snapshot(services: &[Value], ports: &[u16]) -> Snapshot {
    let mut services = services.to_vec();
    for (service, port) in services.iter_mut().zip(ports) {
        service["labels"]["port"] = json!(port);
    }
    let compact = json!({"nodes": ["n1"], "networks": ["web"], "secrets": ["good"], "services": services});
    let mut raw = golden_compact::expand(&compact);
    for task in raw["tasks"].as_array_mut().unwrap() {
        task["NetworksAttachments"][0]["Addresses"] = json!(["127.0.0.1/8"]);
    }
    Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap()
}

/// Labels as people might write them, drawn from one generator.
fn labels(random: &mut StdRng) -> Value {
    let hosts: Vec<&str> = (0..random.random_range(1..3)).map(|_| *HOSTS.choose(random).unwrap()).collect();
    let mut labels = json!({"hosts": hosts.join(",")});
    if random.random_bool(0.6) {
        labels["context_root"] = json!(PATHS.choose(random).unwrap());
        labels["context_root_rewrite"] = json!(random.random_bool(0.5));
    }
    if random.random_bool(0.5) {
        labels["ssl_cert"] = json!(if random.random_bool(0.7) { "good" } else { "missing" });
        labels["ssl_only"] = json!(random.random_bool(0.5));
    }
    if random.random_bool(0.4) {
        labels["redirects"] = json!(redirect(random, &hosts));
    }
    if random.random_bool(0.2) {
        labels["websocket_endpoints"] = json!("/app/ws,/app/deep,/apple");
    }
    labels
}

fn redirect(random: &mut StdRng, hosts: &[&str]) -> String {
    let scheme = if random.random_bool(0.7) { "http" } else { "https" };
    let path = PATHS[..3].choose(random).unwrap();
    format!("{scheme}://{}{path},https://elsewhere.test/new", hosts[0])
}

fn target(random: &mut StdRng) -> String {
    let count = random.random_range(1..5);
    let path: String = (0..count).flat_map(|_| ["/", SEGMENTS.choose(random).unwrap()]).collect();
    let query = if random.random_bool(0.3) { "?q=/app&r=%20" } else { "" };
    format!("{path}{query}")
}

/// The services of one table. The last but one is sometimes passed through, and the last is the default backend.
fn services(random: &mut StdRng) -> Vec<Value> {
    let mut services: Vec<Value> =
        NAMES.iter().map(|name| json!({"name": name, "networks": ["web"], "tasks": 1, "labels": labels(random)})).collect();
    let last = services.len() - 1;
    if random.random_bool(0.6) {
        services[last - 1]["labels"] =
            json!({"hosts": HOSTS.choose(random).unwrap(), "ssl_passthrough": true, "ssl_only": random.random_bool(0.5)});
    }
    if random.random_bool(0.6) {
        services[last]["labels"] = json!({"default_backend": true});
        if random.random_bool(0.5) {
            services[last]["labels"]["ssl_cert"] = json!("good");
        }
    }
    for service in &mut services {
        if random.random_bool(0.1) {
            service["tasks"] = json!(0);
        }
    }
    services
}

#[tokio::test]
async fn nginx_behaves_as_explain_predicts() {
    let mut applications = Vec::new();
    for name in NAMES {
        applications.push(test_application::start(name).await.port());
    }
    let passed = tls_application::start("passed.test").await.port();
    let mut seen = BTreeMap::<String, usize>::new();
    for seed in 0..TABLES {
        let random = &mut StdRng::seed_from_u64(seed);
        let services = services(random);
        let port = |(service, own): (&Value, &u16)| if service["labels"]["ssl_passthrough"] == true { passed } else { *own };
        let ports: Vec<u16> = services.iter().zip(&applications).map(port).collect();
        let Some(scene) = AgreementFixture::start(&services, &ports).await else { return };
        for _ in 0..PLAIN_REQUESTS {
            let host = REQUESTED_HOSTS.choose(random).unwrap();
            let port = if random.random_bool(0.2) { format!(":{}", scene.http) } else { String::new() };
            *seen.entry(scene.check_plain(&format!("{host}{port}"), &target(random)).await).or_default() += 1;
        }
        for _ in 0..TLS_REQUESTS {
            *seen.entry(scene.check_tls(REQUESTED_HOSTS.choose(random).unwrap(), &target(random)).await).or_default() += 1;
        }
    }
    // Every outcome must have occurred; otherwise the generator is too tame.
    for end in ["application", "301", "302", "400", "404", "503", "redirect to a refused handshake"] {
        assert!(seen.contains_key(&format!("http {end}")), "{end}: {seen:?}");
    }
    for end in ["application", "passed through", "no answer", "404"] {
        assert!(seen.contains_key(&format!("https {end}")), "{end}: {seen:?}");
    }
}
