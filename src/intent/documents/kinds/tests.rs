//! A second kind, known to these tests only: a row and a file are all that the document reader needs for it.
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::intent::documents::conflicts::MESH_PORT;
use crate::intent::documents::document_error::Mistakes;
use crate::intent::documents::fields::Fields;
use crate::intent::documents::{SourceFile, read_kinds};
use crate::report::{FindingCode, Severity};

/// A site declares no cluster: the test sees what was recorded in `documents`, which nothing else changes afterwards.
static SITE: Kind = Kind { name: "Site", name_claim: SITE_NAME, schema, checks: &[closed_sites], claims, declare };
const BOTH: &[&Kind] = &[FALLBACK, &SITE];
const SITE_NAME: ClaimType =
    ClaimType { severity: Severity::Error, verbs: ("opens", "open"), object: "the site {}, too", remedy: "Rename one of them." };

fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let fields = json!({ "port": { "type": "integer" }, "tag": { "type": ["string", "number"] }, "open": { "type": "boolean" } });
        let spec = json!({ "type": "object", "properties": fields, "additionalProperties": false, "required": ["port"] });
        Schema::new(json!({ "type": "object", "properties": { "kind": {}, "metadata": {}, "spec": spec }, "additionalProperties": false }))
    });
    &SCHEMA
}

fn closed_sites(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    if fields.any("/spec/open") == Some(&Value::Bool(false)) {
        mistakes.impossible("/spec/open", "a closed site has no port", "Open it.");
    }
}

fn claims(value: &Value) -> Vec<(Claim, String)> {
    let port = value.pointer("/spec/port").and_then(Value::as_u64);
    port.map(|port| (Claim::port(MESH_PORT, port, ""), "/spec/port".to_owned())).into_iter().collect()
}

/// Adds 100 for each valid site, and 1000 for each broken one.
fn declare(document: &Parsed<'_>, declaration: &mut Declaration) -> Result<(), String> {
    declaration.documents += if document.valid { 100 } else { 1000 };
    if document.valid && document.value["spec"]["tag"] == "1.10" { Err("the tag 1.10 cannot be converted".to_owned()) } else { Ok(()) }
}

fn site(name: &str, spec: &str) -> String {
    format!("kind: Site\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn cluster(kind: &str) -> String {
    format!(
        "apiVersion: swarmgate/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  engine: nginx\n  extension: {{image: e:1}}\n  proxy: {{image: p:1}}\n"
    )
}

/// How many documents the kinds recorded, whether each cluster is valid, and the code, field and message of each finding.
fn read(kinds: &[&'static Kind], texts: &[String]) -> (usize, Vec<bool>, Vec<(FindingCode, String, String)>) {
    let files: Vec<_> = texts.iter().enumerate().map(|(at, text)| SourceFile::new(format!("{at}.yaml"), text)).collect();
    let read = read_kinds(kinds, &files);
    let findings = read.findings.iter().map(|one| (one.code, one.field.clone().unwrap_or_default(), one.message.clone()));
    let valid = read.clusters.iter().map(|one| matches!(one, crate::intent::documents::DeclaredCluster::Valid(_))).collect();
    (read.documents, valid, findings.collect())
}

fn finding(code: FindingCode, field: &str, message: &str) -> (FindingCode, String, String) {
    (code, field.to_owned(), message.to_owned())
}

#[test]
fn documents_of_two_kinds_are_read_side_by_side() {
    // The same name in two kinds is no conflict.
    assert_eq!(read(BOTH, &[cluster("ServiceCluster"), site("a", "{port: 81}")]), (102, vec![true], vec![]));
}

#[test]
fn each_kind_has_its_own_schema_checks_and_conversion() {
    let unknown = finding(FindingCode::UnknownField, "spec.engine", "there is no such field here");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, engine: nginx}")]), (1001, vec![], vec![unknown]));
    let closed = finding(FindingCode::ImpossibleCombination, "spec.open", "a closed site has no port");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, open: false}")]), (1001, vec![], vec![closed]));
    let refused = finding(FindingCode::InvalidValue, "", "the tag 1.10 cannot be converted");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, tag: 1.10}")]), (101, vec![], vec![refused]));
}

#[test]
fn documents_of_different_kinds_can_conflict() {
    let on_cluster =
        finding(FindingCode::DuplicateDeclaration, "spec.proxy.publish", "1.yaml:3 publishes port 80 of the routing mesh, too");
    let on_site = finding(FindingCode::DuplicateDeclaration, "spec.port", "0.yaml:7 publishes port 80 of the routing mesh, too");
    assert_eq!(read(BOTH, &[cluster("ServiceCluster"), site("a", "{port: 80}")]), (1002, vec![false], vec![on_cluster, on_site]));
    let names =
        [1, 0].map(|other| finding(FindingCode::DuplicateDeclaration, "metadata.name", &format!("{other}.yaml:2 opens the site a, too")));
    assert_eq!(read(BOTH, &[site("a", "{port: 81}"), site("a", "{port: 82}")]), (2002, vec![], names.to_vec()));
}

#[test]
fn an_unknown_kind_is_rejected_with_the_known_kinds() {
    let refused = |kinds: &str| vec![finding(FindingCode::InvalidValue, "kind", &format!("the value must be {kinds}"))];
    assert_eq!(read(BOTH, &[cluster("Cluster")]), (1, vec![false], refused("ServiceCluster or Site")));
    assert_eq!(read(KINDS, &[site("a", "{port: 81}")]), (1, vec![false], refused("ServiceCluster")));
}
