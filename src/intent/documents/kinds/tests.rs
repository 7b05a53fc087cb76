//! A second kind, known to tests only: this file and its row are all that reading, listing and keeping its documents needs.
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::intent::documents::document_error::Mistakes;
use crate::intent::documents::exclusive_claim::MESH_PORT;
use crate::intent::documents::fields::Fields;
use crate::intent::documents::{ClaimsInForce, ClusterDocument, Declaration, SourceFile, read_kinds};
use crate::report::FindingCode;
use crate::report::cases::{DuplicateDeclaration, ImpossibleCombination};

static SITE: DocumentKind = DocumentKind {
    name: "Site",
    short_name: "site",
    name_claim: SITE_NAME,
    schema,
    checks: &[closed_sites],
    claims,
    convert: |value| Site::read(value).map(|site| Arc::new(site) as Arc<dyn DeclaredObject>),
    broken: |_| Arc::new(Site { port: None }),
};

/// The real kinds and the one of these tests.
pub(crate) const BOTH: &[&DocumentKind] = &[FALLBACK, &SITE];

/// What a document of the second kind declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// Its port, unless the document is broken.
    pub port: Option<u64>,
}

impl Site {
    fn read(value: &Value) -> Result<Self, String> {
        let spec = &value["spec"];
        if spec["tag"] == "1.10" { Err("the tag 1.10 cannot be converted".to_owned()) } else { Ok(Self { port: spec["port"].as_u64() }) }
    }
}

impl DeclaredObject for Site {
    fn is_valid(&self) -> bool {
        self.port.is_some()
    }

    fn is_equal(&self, other: &dyn DeclaredObject) -> bool {
        other.of_type() == Some(self)
    }
}

const SITE_NAME: ClaimType = ClaimType { verbs: ("opens", "open"), object: "the site {}", case: DuplicateDeclaration::Name };

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
        mistakes.add(ImpossibleCombination::SamePort, "/spec/open", "a closed site has no port");
    }
}

fn claims(value: &Value) -> Vec<(ExclusiveClaim, String)> {
    let port = value.pointer("/spec/port").and_then(Value::as_u64);
    port.map(|port| (ExclusiveClaim::port(MESH_PORT, port, ""), "/spec/port".to_owned())).into_iter().collect()
}

/// A document of the second kind.
pub(crate) fn site(name: &str, spec: &str) -> String {
    format!("kind: Site\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn cluster(kind: &str) -> String {
    format!(
        "apiVersion: swarmgate/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  engine: nginx\n  extension: {{image: e:1}}\n  proxy: {{image: p:1}}\n"
    )
}

/// The documents alone, with no version in force.
pub(crate) fn read_without_versions(kinds: &[&'static DocumentKind], files: &[SourceFile]) -> Declaration {
    read_kinds(kinds, files, &ClaimsInForce::default())
}

/// The code, field and message of a finding.
type Reported = (FindingCode, String, String);

/// The ports of the sites, whether each cluster is valid, and the findings.
fn read(kinds: &[&'static DocumentKind], texts: &[String]) -> (Vec<Option<u64>>, Vec<bool>, Vec<Reported>) {
    let files: Vec<_> = texts.iter().enumerate().map(|(at, text)| SourceFile::new(format!("{at}.yaml"), text)).collect();
    let read = read_without_versions(kinds, &files);
    assert_eq!(read, read_without_versions(kinds, &files), "the same again");
    assert_eq!(read.documents, texts.len());
    let findings = read.findings.iter().map(|one| (one.code.clone(), one.field.clone().unwrap_or_default(), one.message.clone()));
    let valid = read.all().map(ClusterDocument::is_valid).collect();
    (read.all().map(|site: &Site| site.port).collect(), valid, findings.collect())
}

fn finding(code: FindingCode, field: &str, message: &str) -> Reported {
    (code, field.to_owned(), message.to_owned())
}

#[test]
fn documents_of_two_kinds_are_read_side_by_side() {
    // The same name in two kinds is no conflict.
    assert_eq!(read(BOTH, &[cluster("ServiceCluster"), site("a", "{port: 81}")]), (vec![Some(81)], vec![true], vec![]));
}

#[test]
fn each_kind_has_its_own_schema_checks_and_conversion() {
    let unknown = finding(FindingCode::UnknownField, "spec.engine", "there is no such field here");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, engine: nginx}")]), (vec![None], vec![], vec![unknown]));
    let closed = finding(FindingCode::ImpossibleCombination, "spec.open", "a closed site has no port");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, open: false}")]), (vec![None], vec![], vec![closed]));
    let refused = finding(FindingCode::InvalidValue, "", "the tag 1.10 cannot be converted");
    assert_eq!(read(BOTH, &[site("a", "{port: 81, tag: 1.10}")]), (vec![None], vec![], vec![refused]));
}

#[test]
fn the_remedy_of_a_failed_conversion_names_the_schema_of_the_kind() {
    let declaration = read_without_versions(BOTH, &[SourceFile::new("0.yaml", site("a", "{port: 81, tag: 1.10}"))]);
    let remedies: Vec<_> = declaration.findings.iter().map(|finding| finding.remedy.as_str()).collect();
    assert_eq!(remedies, ["Compare the document with `swarmgate schema Site`."]);
}

#[test]
fn documents_of_different_kinds_can_conflict() {
    let on_cluster =
        finding(FindingCode::DuplicateDeclaration, "spec.proxy.publish", "1.yaml:3 also publishes port 80 of the routing mesh");
    let on_site = finding(FindingCode::DuplicateDeclaration, "spec.port", "0.yaml:7 also publishes port 80 of the routing mesh");
    assert_eq!(read(BOTH, &[cluster("ServiceCluster"), site("a", "{port: 80}")]), (vec![None], vec![false], vec![on_cluster, on_site]));
    let names =
        [1, 0].map(|other| finding(FindingCode::DuplicateDeclaration, "metadata.name", &format!("{other}.yaml:2 also opens the site a")));
    assert_eq!(read(BOTH, &[site("a", "{port: 81}"), site("a", "{port: 82}")]), (vec![None], vec![], names.to_vec()));
}

#[test]
fn an_unknown_kind_is_rejected_with_the_known_kinds() {
    let refused = || vec![finding(FindingCode::InvalidValue, "kind", "unknown value")];
    for (kinds, text, ports, remedy) in [
        (BOTH, cluster("Deployment"), vec![None], "Use ServiceCluster or Site."),
        (KINDS, site("a", "{port: 81}"), vec![], "Use ServiceCluster."),
    ] {
        let remedies: Vec<String> = read_without_versions(kinds, &[SourceFile::new("0.yaml", &text)])
            .findings
            .iter()
            .map(|finding| finding.remedy.clone())
            .collect();
        assert_eq!(remedies, [remedy]);
        assert_eq!(read(kinds, &[text]), (ports, vec![false], refused()));
    }
}

#[test]
fn a_document_without_a_known_kind_breaks_no_other_document() {
    let (a_cluster, a_site) = (cluster("ServiceCluster"), site("a", "{port: 81}"));
    let no_kind = |text: &str| text.lines().filter(|line| !line.starts_with("kind:")).collect::<Vec<_>>().join("\n");
    for broken in [cluster("Cluster"), a_site.replace("Site", "Sitte"), no_kind(&a_cluster), no_kind(&a_site)] {
        for texts in [[&broken, &a_cluster, &a_site], [&a_cluster, &a_site, &broken]] {
            let (ports, valid, findings) = read(BOTH, &texts.map(String::clone));
            assert_eq!((ports, valid), (vec![Some(81)], vec![true]), "{broken}");
            assert!(!findings.is_empty() && findings.iter().all(|(code, ..)| *code != FindingCode::DuplicateDeclaration), "{findings:?}");
        }
        let (ports, valid, _) = read(BOTH, &[broken]);
        assert_eq!((ports, valid), (vec![None], vec![false]), "a broken document of every kind");
    }
}
