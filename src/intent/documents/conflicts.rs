//! What two documents may not both claim: a name, a label value, a service name, a port of the routing mesh. Neither wins:
//! the order in which files are read must not decide which one is served, and a running operator keeps the last good
//! version of both.

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

/// The document that claims something, and the field that does.
struct Claimant {
    document: usize,
    pointer: String,
}

/// Compares all documents with one another.
pub(super) fn check(files: &[SourceFile], documents: &mut [Document]) {
    let mut claims: BTreeMap<Claim, Vec<Claimant>> = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        let name = Claim::Name(document.value["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let name_taken = claims.contains_key(&name);
        for (claim, pointer) in claims_of(&document.value) {
            // For two documents with one name that finding is enough; conflicts that follow from the name are omitted.
            if name_taken && matches!(claim, Claim::Service(_)) && document.value.pointer(&pointer).is_none() {
                continue;
            }
            claims.entry(claim).or_default().push(Claimant { document: at, pointer });
        }
    }
    for (note, ports) in notes(&claims, files, documents) {
        let (severity, message, remedy) = words(&note.claim, &ports, &note.others);
        documents[note.document].mistakes.add_as(severity, FindingCode::DuplicateDeclaration, &note.pointer, message, remedy);
    }
    note_mesh_against_host(&claims, files, documents);
}

/// The other claims to what a field claims, whatever the port.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    document: usize,
    pointer: String,
    claim: Claim,
    others: Others,
}

/// Duplicate claims, for each claimant; several ports of one field are one mistake.
fn notes(claims: &BTreeMap<Claim, Vec<Claimant>>, files: &[SourceFile], documents: &[Document]) -> BTreeMap<Note, Vec<u64>> {
    let mut notes: BTreeMap<Note, Vec<u64>> = BTreeMap::new();
    for (claim, claimants) in claims.iter().filter(|(_, claimants)| claimants.len() > 1) {
        let places: Vec<String> = claimants.iter().map(|claimant| place(claimant, files, documents)).collect();
        for (at, claimant) in claimants.iter().enumerate() {
            // A port that two fields of one document claim is reported elsewhere.
            let same_document = claimants.iter().all(|other| other.document == claimant.document);
            if same_document && !matches!(claim, Claim::Service(_)) {
                continue;
            }
            let others = Others::of(&places, at);
            let (claim, port) = claim.split();
            let note = Note { document: claimant.document, pointer: claimant.pointer.clone(), claim, others };
            notes.entry(note).or_default().extend(port);
        }
    }
    notes
}

impl Claim {
    /// The claim without its port, and the port.
    fn split(&self) -> (Self, Option<u64>) {
        match self {
            Self::MeshPort(port) => (Self::MeshPort(0), Some(*port)),
            Self::HostPort(port, constraints) => (Self::HostPort(0, constraints.clone()), Some(*port)),
            Self::Name(_) | Self::Label(_) | Self::Service(_) => (self.clone(), None),
        }
    }
}

/// How many are named: with many documents of one kind each finding would have thousands of characters.
const OTHERS_MAX: usize = 3;

/// The other places with the same claim: the first few, and the number of the others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Others {
    named: Vec<String>,
    more: usize,
}

impl Others {
    /// All of these except one.
    fn of(places: &[String], but: usize) -> Self {
        let others = places.iter().enumerate().filter(|(at, _)| *at != but);
        let named: Vec<String> = others.take(OTHERS_MAX).map(|(_, place)| place.clone()).collect();
        Self { more: places.len() - 1 - named.len(), named }
    }

    /// The claim in the present tense: "a.yaml:3 and b.yaml:3 declare".
    fn do_the_same(&self, once: &str, several: &str) -> String {
        let names = if self.more == 0 { and(&self.named) } else { format!("{} and {} more", self.named.join(", "), self.more) };
        format!("{names} {}", if self.named.len() == 1 { once } else { several })
    }
}

/// "a", "a and b", "a, b and c".
fn and<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match &items[..] {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
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
        // The default for a document that states none.
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

fn words(claim: &Claim, ports: &[u64], others: &Others) -> (Severity, String, &'static str) {
    let publish = others.do_the_same("publishes", "publish");
    match claim {
        Claim::Name(name) => (
            Severity::Error,
            format!("{} a cluster {name}, too", others.do_the_same("declares", "declare")),
            "Give one of them another name.",
        ),
        Claim::Label(label) if label.is_empty() => {
            (Severity::Error, format!("{publish} the services without a service_cluster label, too"), "Give one of them a serviceCluster.")
        }
        Claim::Label(label) => (
            Severity::Error,
            format!("{publish} the services with the label value {label}, too"),
            "Give one of them another serviceCluster.",
        ),
        Claim::Service(name) => (
            Severity::Error,
            format!("{} a Swarm service {name}, too", others.do_the_same("has", "have")),
            "Give one of them another serviceName.",
        ),
        Claim::MeshPort(_) => (
            Severity::Error,
            format!("{publish} {} of the routing mesh, too", ports_words("port", ports)),
            "Give one of them another published port, or publish.mode: host.",
        ),
        Claim::HostPort(..) => (
            Severity::Warning,
            format!("{publish} {} on nodes with the same constraints, too: one node cannot have both", ports_words("host port", ports)),
            "Constrain them to different nodes, or give one of them another port.",
        ),
    }
}

fn ports_words(what: &str, ports: &[u64]) -> String {
    format!("{what}{} {}", if ports.len() == 1 { "" } else { "s" }, and(ports))
}

/// The routing mesh occupies its ports on every node, including those where a proxy publishes the same port itself.
fn note_mesh_against_host(claims: &BTreeMap<Claim, Vec<Claimant>>, files: &[SourceFile], documents: &mut [Document]) {
    for (claim, claimants) in claims {
        let Claim::HostPort(port, _) = claim else { continue };
        let Some(mesh) = claims.get(&Claim::MeshPort(*port)).and_then(|mesh| mesh.first()) else { continue };
        let message = format!("{} publishes port {port} of the routing mesh, which holds it on every node", place(mesh, files, documents));
        for claimant in claimants {
            let (severity, code) = (Severity::Warning, FindingCode::DuplicateDeclaration);
            let mistakes = &mut documents[claimant.document].mistakes;
            mistakes.add_as(severity, code, &claimant.pointer, message.clone(), "Give one of them another published port.");
        }
    }
}

fn place(claimant: &Claimant, files: &[SourceFile], documents: &[Document]) -> String {
    let document = &documents[claimant.document];
    format!("{}:{}", files[document.file].name, document.mistakes.line_of(&claimant.pointer))
}
