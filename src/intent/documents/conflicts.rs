//! What two documents may not both claim: a name, a label value, a service name, a port of the routing mesh. Neither wins:
//! the order in which files are read must not decide which one is served, and a running operator keeps the last good
//! version of both. Only a document whose version in force already has the claim keeps it, so that it can still be changed.

use std::collections::{BTreeMap, BTreeSet};

use super::claims_in_force::ClaimsInForce;
use super::exclusive_claim::{ExclusiveClaim, HOST_PORT, MESH_PORT, SWARM_SERVICE, and};
use super::{Document, SourceFile};
use crate::report::cases::DuplicateDeclaration;

/// The document that claims something, and the field that does.
struct ClaimLocation {
    document: usize,
    pointer: String,
}

/// All claims, each with the documents that make it.
type ClaimTable = BTreeMap<ExclusiveClaim, Vec<ClaimLocation>>;

/// Compares all documents with one another. The one whose version in force already makes a claim keeps it.
pub(super) fn check(files: &[SourceFile], documents: &mut [Document], in_force: &ClaimsInForce) {
    let claims = collected(documents);
    for (note, ports) in notes(&claims, files, documents, in_force) {
        let message = message(&note.claim, &ports, &note.others);
        documents[note.document].mistakes.add(note.claim.what.case, &note.pointer, message);
    }
    note_mesh_against_host(&claims, files, documents);
}

fn collected(documents: &[Document]) -> ClaimTable {
    let mut claims = ClaimTable::new();
    // What a document claims depends on its kind. One without a known kind is broken anyway, and must not break others.
    for (at, document) in documents.iter().enumerate().filter(|(_, document)| document.kind_is_known) {
        let stated = document.value.pointer("/metadata/name").and_then(serde_json::Value::as_str);
        let name = ExclusiveClaim::new(document.kind.name_claim, stated.unwrap_or_default());
        let name_taken = claims.contains_key(&name);
        let named = stated.map(|_| (name, "/metadata/name".to_owned()));
        for (claim, pointer) in named.into_iter().chain(document.claims.iter().cloned()) {
            // For two documents with one name that finding is enough; conflicts that follow from the name are omitted.
            if name_taken && claim.what == SWARM_SERVICE && document.value.pointer(&pointer).is_none() {
                continue;
            }
            claims.entry(claim).or_default().push(ClaimLocation { document: at, pointer });
        }
    }
    claims
}

/// The other claims to what a field claims, whatever the port.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    document: usize,
    pointer: String,
    claim: ExclusiveClaim,
    others: Others,
}

/// Duplicate claims, for each claimant; several ports of one field are one mistake.
fn notes(claims: &ClaimTable, files: &[SourceFile], documents: &[Document], in_force: &ClaimsInForce) -> BTreeMap<Note, Vec<u64>> {
    let mut notes: BTreeMap<Note, Vec<u64>> = BTreeMap::new();
    for (claim, claimants) in claims.iter().filter(|(_, claimants)| claimants.len() > 1) {
        let holder = holder(claim, claimants, documents, in_force);
        let positions: Vec<String> = claimants.iter().map(|claimant| position(claimant, files, documents)).collect();
        for (at, claimant) in claimants.iter().enumerate() {
            // A port that two fields of one document claim is reported elsewhere.
            let same_document = claimants.iter().all(|other| other.document == claimant.document);
            if (same_document && claim.what != SWARM_SERVICE) || holder == Some(claimant.document) {
                continue;
            }
            let others = Others::of(&positions, at);
            let (claim, port) = claim.split();
            let note = Note { document: claimant.document, pointer: claimant.pointer.clone(), claim, others };
            notes.entry(note).or_default().extend(port);
        }
    }
    notes
}

/// The only document without a mistake of its own whose version in force makes the claim already. A newcomer must not prevent its
/// changes. Two documents of one name are both refused, so that neither is the holder.
fn holder(claim: &ExclusiveClaim, claimants: &[ClaimLocation], documents: &[Document], in_force: &ClaimsInForce) -> Option<usize> {
    let holds = |document: &Document| document.key().is_some_and(|key| in_force.holds(&key, claim)) && !document.mistakes.has_errors();
    let holders: BTreeSet<usize> = claimants.iter().map(|claimant| claimant.document).filter(|at| holds(&documents[*at])).collect();
    holders.first().copied().filter(|_| holders.len() == 1)
}

/// How many are named: with many documents of one kind each finding would have thousands of characters.
const OTHERS_MAX: usize = 3;

/// The other positions with the same claim: the first few, and the number of the others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Others {
    named: Vec<String>,
    more: usize,
}

impl Others {
    /// All of these except one.
    fn of(positions: &[String], but: usize) -> Self {
        let others = positions.iter().enumerate().filter(|(at, _)| *at != but);
        let named: Vec<String> = others.take(OTHERS_MAX).map(|(_, position)| position.clone()).collect();
        Self { more: positions.len() - 1 - named.len(), named }
    }

    /// The claim in the present tense: "a.yaml:3 and b.yaml:3 also declare".
    fn do_the_same(&self, once: &str, several: &str) -> String {
        let names = if self.more == 0 { and(&self.named) } else { format!("{} and {} more", self.named.join(", "), self.more) };
        format!("{names} also {}", if self.named.len() == 1 { once } else { several })
    }
}

/// What is wrong, for one of the claimants.
fn message(claim: &ExclusiveClaim, ports: &[u64], others: &Others) -> String {
    let (once, several) = claim.what.verbs;
    format!("{} {}", others.do_the_same(once, several), claim.object(ports))
}

/// The routing mesh occupies its ports on every node, including those where a proxy publishes the same port itself.
fn note_mesh_against_host(claims: &ClaimTable, files: &[SourceFile], documents: &mut [Document]) {
    for (claim, claimants) in claims {
        let (HOST_PORT, Some(port)) = (claim.what, claim.port) else { continue };
        let Some(mesh) = claims.get(&ExclusiveClaim::port(MESH_PORT, port, "")).and_then(|mesh| mesh.first()) else { continue };
        let message =
            format!("{} publishes port {port} of the routing mesh, which uses it on every node", position(mesh, files, documents));
        for claimant in claimants {
            let mistakes = &mut documents[claimant.document].mistakes;
            mistakes.add(DuplicateDeclaration::HostPortInMesh, &claimant.pointer, message.clone());
        }
    }
}

fn position(claimant: &ClaimLocation, files: &[SourceFile], documents: &[Document]) -> String {
    let document = &documents[claimant.document];
    format!("{}:{}", files[document.file].name, document.mistakes.line_of(&claimant.pointer))
}
