//! What `explain --service` says about a label never contradicts the finding reported for it.

use swarmgate::explain::{LabelEffect, Sources, explain_service};
use swarmgate::intent::cluster::Cluster;
use swarmgate::report::{Finding, FindingCode, Severity};
use swarmgate::swarm::Snapshot;

/// Checks every label of every service.
pub fn check(cluster: &Cluster, snapshot: &Snapshot) {
    let sources = Sources { clusters: std::slice::from_ref(cluster), snapshot, held: &[], status: None };
    for service in snapshot.services.values() {
        let told = explain_service(&sources, &service.name).expect("the service is there");
        assert_eq!(told, explain_service(&sources, &service.name).expect("the service is there"));
        for fate in &told.labels {
            for finding in &fate.findings {
                assert!(agrees(fate, finding), "{} = {:?}\n{}\n{finding:#?}", fate.key, fate.value, fate.effect);
            }
        }
    }
}

fn agrees(fate: &LabelEffect, finding: &Finding) -> bool {
    let says = |words: &[&str]| words.iter().any(|words| fate.effect.contains(words));
    let nothing =
        ["no effect: ", "the label is ignored: ", "empty: the label is ignored"].iter().any(|words| fate.effect.starts_with(words));
    let name = fate.key.trim_start_matches("com.docker.lb.");
    match (finding.code, name) {
        (FindingCode::UnknownLabel, _) => says(&["not a Swarmgate label"]),
        (FindingCode::LabelWithoutEffect | FindingCode::RedirectLoop | FindingCode::ConflictingSetting, "redirects") => {
            nothing || says(&["; not used: "])
        }
        (FindingCode::LabelWithoutEffect, _) => nothing,
        (FindingCode::ConflictingSetting, _) => {
            nothing || says(&["overruled", "no path to remove", "TLS is passed through", "TLS is refused", "no TLS port"])
        }
        (FindingCode::SecondDefaultBackend, _) => nothing || says(&["overruled by"]),
        (FindingCode::NoVirtualIp, _) => !says(&["to the virtual IP"]),
        (FindingCode::NetworkNotFound, _) => !says(&[&format!("over {},", fate.value), &format!("over the network {}", fate.value)]),
        (FindingCode::SecretNotFound | FindingCode::RefNotPermitted, "ssl_backend_tls_verify") => {
            nothing || says(&["503", "overruled", "passed through", "are closed"])
        }
        (FindingCode::SecretNotFound | FindingCode::RefNotPermitted, _) => {
            nothing || says(&["TLS is refused", "overruled"]) || fate.effect.starts_with("no TLS")
        }
        (FindingCode::TlsNotPublished, _) => nothing || says(&["no TLS port"]),
        (FindingCode::RedirectWithoutTls, "ssl_only") => {
            nothing || says(&["gets no answer", "plain HTTP is served", "plain HTTP is not served"])
        }
        (FindingCode::InvalidLabelValue, "hosts" | "redirects" | "websocket_endpoints" | "ssl_backend_tls_verify") => true,
        (FindingCode::InvalidLabelValue, _) if finding.severity == Severity::Error => nothing,
        _ => true,
    }
}
