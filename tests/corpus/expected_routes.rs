//! What the author of some labels wanted, derived by separate rules, and whether the translation provides it. Does not use the
//! project's label reader, which would only agree with itself.

use std::collections::BTreeSet;

use serde_json::Value;
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::report::{Finding, Severity, Subject};
use swarmgate::route::{Affinity, Backend, RouteTable};
use swarmgate::swarm::{Service, Snapshot};
use swarmgate::translate::{translate, unclaimed};
use swarmgate::types::{ContextPath, HostPattern};

use crate::compact_swarm::expand;

/// The result for one Swarm.
pub struct CorpusResult {
    /// The number of wanted routes that are served.
    pub served: usize,
    /// The number of findings that say why something is not as written.
    pub reported: usize,
    /// Routes that are neither served nor explained by a finding, and routes that were not asked for.
    pub complaints: Vec<String>,
}

/// Compares a Swarm in the short form.
pub fn compare(swarm: &Value) -> CorpusResult {
    let snapshot = Snapshot::from_raw(&serde_json::from_value(expand(swarm)).unwrap()).unwrap();
    let clusters = clusters(&snapshot);
    let mut outcome = CorpusResult { served: 0, reported: 0, complaints: Vec::new() };
    for cluster in &clusters {
        let translation = translate(cluster, &snapshot);
        let findings = [translation.findings, unclaimed(&clusters, &InactiveClusters::default(), &snapshot)].concat();
        let ours = snapshot.services.values().filter(|service| value(service, "service_cluster") == cluster.service_cluster.as_deref());
        let wants: Vec<Wanted<'_>> = ours.filter_map(Wanted::of).collect();
        for wanted in &wants {
            wanted.compare(&translation.table, &findings, &mut outcome);
        }
        outcome.complaints.extend(unasked(&translation.table, &wants));
        outcome.reported += findings.iter().filter(|finding| finding.severity != Severity::Info).count();
    }
    outcome
}

/// The cluster for services without a cluster label, and one cluster for each value of that label.
fn clusters(snapshot: &Snapshot) -> Vec<Cluster> {
    let named: BTreeSet<&str> = snapshot.services.values().filter_map(|service| value(service, "service_cluster")).collect();
    let document = |name: &str, label: &str, port: usize| {
        format!(
            "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {{name: {name}}}\nspec:\n  {label}\n  engine: nginx\n  \
             extension: {{image: x}}\n  proxy:\n    image: x\n    publish: {{mode: ingress, http: {{published: {port}, target: 80}}, https: \
             {{published: {}, target: 443}}}}\n",
            port + 1000
        )
    };
    let others = named.iter().enumerate().map(|(at, name)| document(name, &format!("serviceCluster: {name}"), 8081 + at));
    let text: Vec<String> = std::iter::once(document("default", "", 8080)).chain(others).collect();
    let declaration = read_documents(&[SourceFile::new("spec.yaml", text.join("---\n"))]);
    assert_eq!(declaration.findings, []);
    declaration.valid().cloned().collect()
}

fn value<'a>(service: &'a Service, label: &str) -> Option<&'a str> {
    service.labels.get(&format!("com.docker.lb.{label}")).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn is_true(service: &Service, label: &str) -> bool {
    value(service, label) == Some("true")
}

/// The routes that the labels of one service ask for.
struct Wanted<'a> {
    service: &'a Service,
    hosts: BTreeSet<String>,
    path: String,
}

impl<'a> Wanted<'a> {
    fn of(service: &'a Service) -> Option<Self> {
        let hosts = value(service, "hosts").unwrap_or_default().split(',').map(|host| host.trim().to_ascii_lowercase());
        let hosts: BTreeSet<String> = hosts.filter(|host| !host.is_empty()).collect();
        let path = value(service, "context_root").unwrap_or("/").trim_end_matches('/').to_owned();
        let path = if path.is_empty() { "/".to_owned() } else { path };
        (!hosts.is_empty() || is_true(service, "default_backend")).then_some(Self { service, hosts, path })
    }

    fn compare(&self, table: &RouteTable, findings: &[Finding], outcome: &mut CorpusResult) {
        let reported = findings
            .iter()
            .any(|finding| finding.severity != Severity::Info && finding.subject == Subject::Service(self.service.name.clone()));
        let mut note = |what: Result<(), String>| match what {
            Ok(()) => outcome.served += 1,
            Err(_) if reported => {}
            Err(why) => outcome.complaints.push(format!("{}: {why}", self.service.name)),
        };
        for host in &self.hosts {
            note(self.compare_host(host, table));
        }
        if is_true(self.service, "default_backend") {
            let default = table.default_backend.as_ref().ok_or("is no default backend".to_owned());
            note(default.and_then(|default| self.compare_backend("(default)", &default.backend)));
        }
    }

    fn compare_host(&self, host: &str, table: &RouteTable) -> Result<(), String> {
        let key = HostPattern::parse(host).map_err(|rule| format!("{host}: {}", rule.0))?;
        if is_true(self.service, "ssl_passthrough") {
            let backend = table.passthrough.get(&key).ok_or(format!("{host} is not passed through"))?;
            return self.compare_backend(host, backend);
        }
        let found = table.hosts.get(&key).ok_or(format!("{host} is not published"))?;
        let path = ContextPath::parse(&self.path).map_err(|rule| rule.0)?;
        let route = found.paths.get(&path).ok_or(format!("{host}{path} is no route"))?;
        let sockets = value(self.service, "websocket_endpoints").map_or(0, |list| list.split(',').count());
        let redirects = value(self.service, "redirects").map_or(0, |list| list.split(';').filter(|pair| !pair.trim().is_empty()).count());
        let certificate = found.tls.as_ref().filter(|tls| tls.certificate.id.is_some());
        for (right, what) in [
            (route.rewrite == is_true(self.service, "context_root_rewrite"), "is not rewritten as labelled"),
            (route.websockets.len() >= sockets, "lacks websockets"),
            (found.redirects.len() >= redirects, "does not redirect"),
            (value(self.service, "ssl_cert").is_none() || certificate.is_some(), "has no certificate"),
        ] {
            right.then_some(()).ok_or(format!("{host}{path} {what}"))?;
        }
        self.compare_backend(host, &route.backend)
    }

    fn compare_backend(&self, host: &str, backend: &Backend) -> Result<(), String> {
        let own = backend.services.iter().find(|service| service.name.as_str() == self.service.name);
        let own = own.ok_or(format!("{host} does not reach it"))?;
        let cookie = value(self.service, "sticky_session_cookie");
        let sticky = match &backend.affinity {
            Affinity::Cookie(name) => cookie == Some(name.as_str()),
            Affinity::ClientAddress => is_true(self.service, "ip_hash"),
            Affinity::None => cookie.is_none() && !is_true(self.service, "ip_hash"),
        };
        let port = value(self.service, "port").and_then(|port| port.parse::<u16>().ok());
        for (right, what) in [
            (!own.endpoints.is_empty() || self.service.replicas == Some(0), "has no endpoint"),
            (own.vip == (value(self.service, "backend_mode") == Some("vip")), "is not reached as labelled"),
            (Some(own.port.get()) == port, "is reached at another port"),
            (sticky, "is not sticky as labelled"),
        ] {
            right.then_some(()).ok_or(format!("{host} {what}"))?;
        }
        Ok(())
    }
}

/// Hosts that no service asked for.
fn unasked(table: &RouteTable, wants: &[Wanted<'_>]) -> Vec<String> {
    let requested: BTreeSet<&str> = wants.iter().flat_map(|wanted| &wanted.hosts).map(String::as_str).collect();
    let given = table.hosts.keys().chain(table.passthrough.keys());
    given.filter(|host| !requested.contains(host.as_str())).map(|host| format!("no label publishes {host}")).collect()
}
