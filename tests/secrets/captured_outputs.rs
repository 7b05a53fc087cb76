//! Everything that the real extension, proxy and engine output while they process objects that labels name: what they send,
//! write, show and log.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use swarmgate::api::page;
use swarmgate::channel::Received;
use swarmgate::controller::status::{StatusInput, after_pass};
use swarmgate::declaration::DeclaredCluster;
use swarmgate::explain::{Request, Sources, explain, explain_service};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::plan::Plan;
use swarmgate::protocol::boot_snapshot;
use swarmgate::protocol::messages::{Delivery, Desired, ExtensionReport};
use swarmgate::report::{OperatorStatus, StatusReport};
use swarmgate::swarm::Snapshot;
use swarmgate::translate::translate;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::damaged_objects::TestKeys;
use crate::golden_compact::expand;
use crate::stage::{Stage, eventually};

/// One output.
pub struct CapturedOutput {
    pub name: String,
    pub content: Vec<u8>,
}

impl CapturedOutput {
    pub fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), content: content.into() }
    }
}

/// A stage on which all parts run.
pub struct RunningSystem<'a> {
    stage: &'a Stage,
}

impl<'a> RunningSystem<'a> {
    /// Starts an extension and a proxy on the stage.
    pub fn start(stage: &'a Stage) -> Self {
        stage.start_extension();
        stage.start_proxy();
        Self { stage }
    }

    /// Publishes services that name these objects in every label, and collects all outputs.
    pub async fn run(&self, keys: &TestKeys, objects: &[Vec<u8>]) -> Vec<CapturedOutput> {
        let mounts = self.stage.path("extension-mounts");
        let mount = |id: String, content: &[u8]| std::fs::write(mounts.join(id), content).unwrap();
        // Swarm never reuses an id, and content never changes.
        let batch = std::fs::read_dir(&mounts).unwrap().count();
        let ids: Vec<String> = (0..objects.len()).map(|at| format!("{batch}x{at}")).collect();
        for (id, object) in ids.iter().zip(objects) {
            mount(format!("ids{id}"), object);
            mount(format!("idc{id}"), object);
        }
        mount("idsgoodcert".to_owned(), keys.certificate.as_bytes());
        mount("idsgoodkey".to_owned(), keys.key.as_bytes());
        let (cluster, snapshot) = (self.cluster(), snapshot(&ids));
        let translation = translate(&cluster, &snapshot);
        assert_eq!(translation.table.hosts.len(), 5 * ids.len() + 1, "{:?}", translation.findings);
        let desired = Desired::new(Delivery::Replace, translation.table.clone());
        self.stage.publish_desired(desired.clone());
        let report = eventually("the report", || {
            self.stage.report().filter(|report| report.accepted.as_ref().is_some_and(|accepted| accepted.desired_digest == desired.digest))
        })
        .await;
        let volume = eventually("the volume is written", || {
            let text = std::fs::read(self.stage.path("volume").join("last-good.json")).ok()?;
            let read: Value = serde_json::from_slice(&text).ok()?;
            (read["config"]["live"]["routesDigest"] == json!(desired.table.digest())).then_some(text)
        })
        .await;
        let mut outputs = of_report(&report);
        outputs.push(CapturedOutput::new("volume", volume));
        let seen = StatusInput {
            too_large: None,
            instance: "swarmgate",
            declared: &DeclaredCluster { generation: 1, in_force: None, label: None, accepted: true },
            cluster: &cluster,
            snapshot: &snapshot,
            desired: &desired,
            report: Some(&Received { report, at: jiff::Timestamp::now() }),
            plan: &nothing_to_do(),
            translation: &translation,
            networks: &swarmgate::networks::NetworkDecision::default(),
            failure: None,
            now: jiff::Timestamp::now(),
        };
        outputs.extend(of_status(&seen, &cluster, &snapshot));
        outputs
    }

    /// The files of the configuration that the proxy runs, which exist only in memory.
    pub fn memory_of_proxies(&self) -> Vec<u8> {
        let mut folders = vec![self.stage.run_dir()];
        let mut all = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let is_key = |path: &Path| path.extension().is_some_and(|extension| extension == "pem");
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path if is_key(&path) => all.extend(std::fs::read(path).unwrap()),
                    _ => {}
                }
            }
        }
        all
    }

    fn cluster(&self) -> Cluster {
        let (http, https) = (self.stage.http().port(), self.stage.https().port());
        let text = format!(
            "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: dev}}\nspec:\n  engine: nginx\n  extension: {{image: i}}\n  \
             proxy:\n    image: i\n    publish:\n      mode: ingress\n      http: {{published: 80, target: {http}}}\n      \
             https: {{published: 443, target: {https}}}\n"
        );
        let declaration = read_documents(&[SourceFile::new("spec.yaml", text)]);
        declaration.valid().next().expect("the document is good").clone()
    }
}

/// Five services for each object, one for each label that may name it, and a valid one.
fn snapshot(ids: &[String]) -> Snapshot {
    let service = |name: String, labels: Value| {
        let mut labels = labels;
        labels["hosts"] = json!(format!("{name}.example.org"));
        labels["port"] = json!("80");
        json!({"name": name, "labels": labels, "networks": ["net"], "tasks": 1})
    };
    let services: Vec<Value> = ids
        .iter()
        .flat_map(|id| {
            [
                service(format!("both{id}"), json!({"ssl_cert": format!("s{id}")})),
                service(format!("cert{id}"), json!({"ssl_cert": format!("s{id}"), "ssl_key": "sgoodkey"})),
                service(format!("key{id}"), json!({"ssl_cert": "sgoodcert", "ssl_key": format!("s{id}")})),
                service(format!("verify{id}"), json!({"ssl_backend": "true", "ssl_backend_tls_verify": format!("s{id}")})),
                service(format!("config{id}"), json!({"ssl_backend": "true", "ssl_backend_tls_verify": format!("c{id}")})),
            ]
        })
        .chain([service("good".to_owned(), json!({"ssl_cert": "sgoodcert", "ssl_key": "sgoodkey"}))])
        .collect();
    let mut raw = expand(&json!({"nodes": ["n1"], "networks": ["net"], "services": services}));
    let object = |name: String| json!({"ID": format!("id{name}"), "Version": {"Index": 1}, "Spec": {"Name": name, "Labels": {}}});
    let good = ["sgoodcert".to_owned(), "sgoodkey".to_owned()];
    raw["secrets"] = ids.iter().map(|id| format!("s{id}")).chain(good).map(object).collect();
    raw["configs"] = ids.iter().map(|id| object(format!("c{id}"))).collect();
    Snapshot::from_raw(&serde_json::from_value(raw).unwrap()).unwrap()
}

fn nothing_to_do() -> Plan {
    let (instance, cluster) = ("swarmgate".to_owned(), "dev".to_owned());
    Plan { instance, cluster, steps: Vec::new(), waiting: Vec::new(), findings: Vec::new(), rollouts: Vec::new() }
}

/// What the extension sends to the operator, and the config objects made from it.
fn of_report(report: &ExtensionReport) -> Vec<CapturedOutput> {
    let (boot_bundle, stock) = (report.boot.as_ref().expect("a boot snapshot"), report.live.as_ref().expect("a bundle to mount"));
    let states: Vec<_> = report.material.iter().map(|material| material.state).collect();
    assert!(states.len() > 20, "the objects were looked at: {states:?}");
    vec![
        CapturedOutput::new("report", json(report)),
        CapturedOutput::new("report, as Debug", format!("{report:?}")),
        CapturedOutput::new("boot", json(boot_bundle)),
        CapturedOutput::new("stock", json(stock)),
        // Large ones are compressed; their uncompressed content is searched as "boot".
        CapturedOutput::new("config object", boot_snapshot::encode(boot_bundle).unwrap()),
        CapturedOutput::new(
            "config object, read again",
            format!("{:#?}", boot_snapshot::decode(&boot_snapshot::encode(boot_bundle).unwrap()).unwrap()),
        ),
    ]
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap()
}

/// The outputs that users see.
fn of_status(seen: &StatusInput<'_>, cluster: &Cluster, snapshot: &Snapshot) -> Vec<CapturedOutput> {
    let status = StatusReport {
        api_version: "swarmgate/v1".to_owned(),
        generated_at: seen.now,
        operator: OperatorStatus {
            version: "test".to_owned(),
            instance: "swarmgate".to_owned(),
            last_snapshot_at: Some(seen.now),
            snapshot_error: None,
            events_alive: true,
            writes_total: 0,
        },
        clusters: [("dev".to_owned(), after_pass(seen, None))].into(),
        findings: Vec::new(),
    };
    let findings = &status.clusters["dev"].findings;
    assert!(findings.len() > 20, "the mistake must be reported: {findings:?}");
    let clusters = [cluster.clone()];
    let sources = Sources { clusters: &clusters, inactive: &InactiveClusters::default(), snapshot, held: &[], status: Some(&status) };
    let mut explained = String::new();
    for service in snapshot.services.values() {
        let url = Request::parse(&format!("https://{}.example.org/", service.name)).unwrap();
        explained += &explain(&sources, &url, None).unwrap().to_string();
        explained += &explain_service(&sources, &service.name).unwrap().to_string();
    }
    let lines: Vec<String> = findings.iter().map(|finding| format!("{finding}\n{finding:#}\n")).collect();
    vec![
        CapturedOutput::new("status", serde_json::to_vec_pretty(&status).unwrap()),
        CapturedOutput::new("findings in logs and terminals", lines.concat()),
        CapturedOutput::new("page", page::render(&status)),
        CapturedOutput::new("explain", explained),
    ]
}

/// A text without the blocks that contain only a certificate, whether its line breaks are real or `\n`.
pub fn without_certificates(content: &[u8]) -> Vec<u8> {
    const FIRST: &str = "-----BEGIN CERTIFICATE-----";
    const LAST: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(content);
    let mut kept = String::new();
    let mut rest = text.as_ref();
    while let Some(start) = rest.find(FIRST) {
        let body = &rest[start + FIRST.len()..];
        let end = body.find(LAST).filter(|end| is_certificate(&body[..*end]));
        kept += &rest[..start];
        rest = if let Some(end) = end {
            &body[end + LAST.len()..]
        } else {
            kept += FIRST;
            body
        };
    }
    (kept + rest).into_bytes()
}

fn is_certificate(body: &str) -> bool {
    use base64::Engine as _;
    let body: String = body.replace("\\n", "").split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body);
    der.is_ok_and(|der| X509Certificate::from_der(&der).is_ok_and(|(rest, _)| rest.is_empty()))
}

/// Everything that this process logs, at every level.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub fn start() -> Self {
        let logs = Self::default();
        let writer = logs.clone();
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(move || writer.clone());
        subscriber.init();
        logs
    }

    /// The log since the previous call.
    pub fn take(&self) -> CapturedOutput {
        CapturedOutput::new("logs", std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Write for Logs {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
