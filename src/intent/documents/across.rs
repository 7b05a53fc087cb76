//! What two documents may not both claim: a name, a label value, a service name, a port of the routing mesh. Neither wins:
//! which file is read first must not decide who serves, and a running operator keeps the last good version of both.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::constraint::Constraint;
use super::{Document, SourceFile};
use crate::report::{FindingCode, Severity};

/// Something that only one document may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// `metadata.name`.
    Name(String),
    /// The label value; empty for services without the label.
    Label(String),
    /// The name of a Swarm service.
    Service(String),
    /// A port of the routing mesh.
    MeshPort(u64),
    /// A port of the nodes that fit these constraints.
    HostPort(u64, Vec<String>),
}

/// Who claims something, and by which field.
#[derive(Clone)]
struct Claimant {
    document: usize,
    pointer: String,
}

/// Compares all documents with each other.
pub(super) fn check(files: &[SourceFile], documents: &mut [Document]) {
    let mut claims: BTreeMap<Claim, Vec<Claimant>> = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        let name = Claim::Name(document.value["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let name_taken = claims.contains_key(&name);
        for (claim, pointer) in claims_of(&document.value) {
            // Of two documents with one name it is enough to hear that, not what follows from the name.
            if name_taken && matches!(claim, Claim::Service(_)) && document.value.pointer(&pointer).is_none() {
                continue;
            }
            claims.entry(claim).or_default().push(Claimant { document: at, pointer });
        }
    }
    for (claim, claimants) in claims.iter().filter(|(_, claimants)| claimants.len() > 1) {
        note_double(claim, claimants, files, documents);
    }
    note_mesh_against_host(&claims, files, documents);
}

fn claims_of(value: &Value) -> Vec<(Claim, String)> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let mut claims = Vec::new();
    let name = text("/metadata/name");
    if let Some(name) = name {
        claims.push((Claim::Name(name.to_owned()), "/metadata/name".to_owned()));
    }
    if !value["spec"].is_object() {
        return claims;
    }
    match value.pointer("/spec/serviceCluster") {
        None => claims.push((Claim::Label(String::new()), "/spec/serviceCluster".to_owned())),
        Some(Value::String(label)) => claims.push((Claim::Label(label.trim().to_owned()), "/spec/serviceCluster".to_owned())),
        Some(_) => {}
    }
    for workload in ["extension", "proxy"] {
        let stated = format!("/spec/{workload}/serviceName");
        if let Some(service) = text(&stated) {
            claims.push((Claim::Service(service.to_owned()), stated));
        } else if let (Some(name), true) = (name, value["spec"][workload].is_object()) {
            claims.push((Claim::Service(format!("swarmgate-{workload}-{name}")), stated));
        }
    }
    claims.extend(port_claims(value));
    claims
}

fn port_claims(value: &Value) -> Vec<(Claim, String)> {
    let proxy = &value["spec"]["proxy"];
    let Some(publish) = proxy.get("publish") else {
        // The default of a document that states none.
        let whole = proxy.is_object().then_some([80, 443]);
        return whole.into_iter().flatten().map(|port| (Claim::MeshPort(port), "/spec/proxy/publish".to_owned())).collect();
    };
    let mut constraints: Vec<String> =
        proxy["constraints"].as_array().into_iter().flatten().filter_map(Value::as_str).map(canonical).collect();
    constraints.sort();
    let ports = ["http", "https"].iter().filter_map(|side| Some((publish[side]["published"].as_u64()?, side)));
    let claim = |port| match publish["mode"].as_str() {
        Some("ingress") => Some(Claim::MeshPort(port)),
        Some("host") => Some(Claim::HostPort(port, constraints.clone())),
        _ => None,
    };
    ports.filter_map(|(port, side)| Some((claim(port)?, format!("/spec/proxy/publish/{side}/published")))).collect()
}

fn canonical(constraint: &str) -> String {
    Constraint::parse(constraint).map_or_else(|_| constraint.to_owned(), |constraint| constraint.to_swarm())
}

fn note_double(claim: &Claim, claimants: &[Claimant], files: &[SourceFile], documents: &mut [Document]) {
    let places: Vec<String> = claimants.iter().map(|claimant| place(claimant, files, documents)).collect();
    for (at, claimant) in claimants.iter().enumerate() {
        // Within one document a port is given twice by its own fields, which is told elsewhere.
        let others: Vec<&str> = (0..claimants.len()).filter(|other| *other != at).map(|other| places[other].as_str()).collect();
        let same_document = claimants.iter().all(|other| other.document == claimant.document);
        if same_document && !matches!(claim, Claim::Service(_)) {
            continue;
        }
        let (severity, message, remedy) = words(claim, &others.join(" and "));
        documents[claimant.document].mistakes.add(severity, FindingCode::DuplicateDeclaration, &claimant.pointer, message, remedy);
    }
}

fn words(claim: &Claim, others: &str) -> (Severity, String, &'static str) {
    match claim {
        Claim::Name(name) => (Severity::Error, format!("{others} declares a cluster {name}, too"), "Give one of them another name."),
        Claim::Label(label) if label.is_empty() => (
            Severity::Error,
            format!("{others} publishes the services without a service_cluster label, too"),
            "Give one of them a serviceCluster.",
        ),
        Claim::Label(label) => (
            Severity::Error,
            format!("{others} publishes the services with the label value {label}, too"),
            "Give one of them another serviceCluster.",
        ),
        Claim::Service(name) => {
            (Severity::Error, format!("{others} has a Swarm service {name}, too"), "Give one of them another serviceName.")
        }
        Claim::MeshPort(port) => (
            Severity::Error,
            format!("{others} publishes port {port} of the routing mesh, too"),
            "Give one of them another published port, or publish.mode: host.",
        ),
        Claim::HostPort(port, _) => (
            Severity::Warning,
            format!("{others} publishes host port {port} on nodes with the same constraints, too: one node cannot have both"),
            "Constrain them to different nodes, or give one of them another port.",
        ),
    }
}

/// The routing mesh holds its ports on every node, also on those where a proxy wants the same one for itself.
fn note_mesh_against_host(claims: &BTreeMap<Claim, Vec<Claimant>>, files: &[SourceFile], documents: &mut [Document]) {
    for (claim, claimants) in claims {
        let Claim::HostPort(port, _) = claim else { continue };
        let Some(mesh) = claims.get(&Claim::MeshPort(*port)).and_then(|mesh| mesh.first()) else { continue };
        let message = format!("{} publishes port {port} of the routing mesh, which holds it on every node", place(mesh, files, documents));
        for claimant in claimants {
            let (severity, code) = (Severity::Warning, FindingCode::DuplicateDeclaration);
            let mistakes = &mut documents[claimant.document].mistakes;
            mistakes.add(severity, code, &claimant.pointer, message.clone(), "Give one of them another published port.");
        }
    }
}

fn place(claimant: &Claimant, files: &[SourceFile], documents: &[Document]) -> String {
    let document = &documents[claimant.document];
    format!("{}:{}", files[document.file].name, document.mistakes.line_of(&claimant.pointer))
}
