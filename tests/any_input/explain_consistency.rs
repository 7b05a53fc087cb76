//! What `explain --service` says about a label never contradicts the finding reported for it.

use swarmgate::explain::{LabelEffect, Sources, explain_service};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::report::{Finding, FindingCode, Severity};
use swarmgate::swarm::Snapshot;

/// Checks every label of every service.
pub fn check(cluster: &Cluster, snapshot: &Snapshot) {
    let sources =
        Sources { clusters: std::slice::from_ref(cluster), inactive: &InactiveClusters::default(), snapshot, held: &[], status: None };
    for service in snapshot.services.values() {
        let explanation = explain_service(&sources, &service.name).expect("the service is there");
        assert_eq!(explanation, explain_service(&sources, &service.name).expect("the service is there"));
        for label in &explanation.labels {
            for finding in &label.findings {
                assert!(agrees(label, finding), "{} = {:?}\n{}\n{finding:#?}", label.key, label.value, label.effect);
            }
        }
    }
}

fn agrees(label: &LabelEffect, finding: &Finding) -> bool {
    let has = |texts: &[&str]| texts.iter().any(|text| label.effect.contains(text));
    let nothing =
        ["no effect: ", "the label is ignored: ", "empty: the label is ignored"].iter().any(|text| label.effect.starts_with(text));
    let name = label.key.trim_start_matches("com.docker.lb.");
    match (&finding.code, name) {
        (FindingCode::UnknownLabel, _) => has(&["not a Swarmgate label"]),
        (FindingCode::LabelWithoutEffect | FindingCode::RedirectLoop | FindingCode::ConflictingSetting, "redirects") => {
            nothing || has(&["; not used: "])
        }
        (FindingCode::LabelWithoutEffect, _) => nothing,
        (FindingCode::ConflictingSetting, _) => {
            nothing || has(&["overruled", "no path to remove", "TLS is passed through", "TLS is refused", "no TLS port"])
        }
        (FindingCode::SecondDefaultBackend, _) => nothing || has(&["overruled by"]),
        (FindingCode::NoVirtualIp, _) => !has(&["to the virtual IP"]),
        (FindingCode::NetworkNotFound, _) => !has(&[&format!("over {},", label.value), &format!("over the network {}", label.value)]),
        (FindingCode::SecretNotFound | FindingCode::RefNotPermitted, "ssl_backend_tls_verify") => {
            nothing || has(&["503", "overruled", "passed through", "are closed"])
        }
        (FindingCode::SecretNotFound | FindingCode::RefNotPermitted, _) => {
            nothing || has(&["TLS is refused", "overruled"]) || label.effect.starts_with("no TLS")
        }
        (FindingCode::TlsNotPublished, _) => nothing || has(&["no TLS port"]),
        (FindingCode::RedirectWithoutTls, "ssl_only") => {
            nothing || has(&["gets no answer", "plain HTTP is served", "plain HTTP is not served"])
        }
        (FindingCode::InvalidLabelValue, "hosts" | "redirects" | "websocket_endpoints" | "ssl_backend_tls_verify") => true,
        (FindingCode::InvalidLabelValue, _) if finding.severity == Severity::Error => nothing,
        _ => true,
    }
}
