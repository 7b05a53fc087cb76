//! Checks the folder `crd-like-specs/`: its schemas are the generated ones, its examples are valid, and its invalid documents
//! give exactly the findings stored next to them. `BLESS=1` rewrites the generated files.

#![expect(clippy::expect_used, reason = "a test that cannot read its subject has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use swarmgate::cli::schema::{names, text};
use swarmgate::cli::validate::describe;
use swarmgate::intent::documents::{SourceFile, read_documents};

fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crd-like-specs")
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(specs().join(folder)).expect("the folder exists");
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} contains no documents");
    paths
}

/// The file under its bare name, so that findings do not depend on the project's location.
fn source(path: &Path) -> SourceFile {
    let name = path.file_name().expect("a name").to_string_lossy();
    SourceFile::new(name, fs::read_to_string(path).expect("a readable document"))
}

/// Compares a generated file with the stored one, or stores it.
#[expect(clippy::disallowed_methods, reason = "the one switch of these tests, set by a person at a shell")]
fn check_generated(path: &Path, generated: &str) {
    if std::env::var("BLESS").is_ok() {
        fs::write(path, generated).expect("a writable file");
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    assert!(stored == generated, "{} is not what is generated (BLESS=1 rewrites it):\n{generated}", path.display());
}

#[test]
fn the_schemas_match_the_types() {
    for name in names() {
        let file = format!("{}.schema.json", name.to_lowercase().replace('-', ""));
        check_generated(&specs().join(file), &text(name).expect("a schema"));
    }
    let generated: BTreeSet<_> = names().map(|name| format!("{}.schema.json", name.to_lowercase().replace('-', ""))).collect();
    let names = fs::read_dir(specs()).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    let stored: BTreeSet<_> = names.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".schema.json")).collect();
    assert_eq!(stored, generated, "a schema without a type, or a type without a schema");
}

#[test]
fn every_example_is_valid_without_findings() {
    for path in files("examples") {
        let declaration = read_documents(&[source(&path)]);
        assert_eq!(declaration.findings, [], "{}", path.display());
        assert!(declaration.is_valid() && declaration.valid().count() == declaration.objects.len(), "{}", path.display());
    }
}

#[test]
fn every_illegal_document_produces_exactly_its_findings() {
    for path in files("illegal") {
        let declaration = read_documents(&[source(&path)]);
        check_generated(&path.with_extension("findings.txt"), &describe(&declaration));
        assert!(!declaration.findings.is_empty(), "{} has a finding", path.display());
    }
}

#[test]
fn every_findings_file_belongs_to_a_document() {
    let documents: BTreeSet<_> = files("illegal").into_iter().map(|path| path.with_extension("findings.txt")).collect();
    for entry in fs::read_dir(specs().join("illegal")).expect("the folder exists") {
        let path = entry.expect("an entry").path();
        assert!(path.extension().is_some_and(|kind| kind == "yaml") || documents.contains(&path), "{} is left over", path.display());
    }
}

/// The paths of all fields that a schema names, without the position of the nearest list or free-form map.
fn fields_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields_of(field, &path, found);
        found.insert(path);
    }
}

#[test]
fn everything_yaml_contains_every_field() {
    let document = fs::read_to_string(specs().join("examples/everything.yaml")).expect("a readable document");
    let schema: Value = serde_json::from_str(&text("ServiceCluster").expect("a schema")).expect("JSON");
    let mut fields = BTreeSet::new();
    fields_of(&schema, "", &mut fields);
    let there = paths_of(&document);
    let missing: Vec<_> = fields.difference(&there).collect();
    assert!(fields.len() > 60 && missing.is_empty(), "of {} fields, these are missing: {missing:?}", fields.len());
}

/// The paths of all fields of a YAML text, from saphyr's own tree, independently of the reader.
fn paths_of(text: &str) -> BTreeSet<String> {
    fn walk(node: &saphyr::Yaml<'_>, path: &str, found: &mut BTreeSet<String>) {
        for (key, value) in node.as_mapping().into_iter().flatten() {
            let path = format!("{path}.{}", key.as_str().unwrap_or_default());
            walk(value, &path, found);
            found.insert(path);
        }
    }
    let mut found = BTreeSet::new();
    let documents = <saphyr::Yaml<'_> as saphyr::LoadableYamlNode>::load_from_str(text).expect("YAML");
    walk(&documents[0], "", &mut found);
    found
}

#[test]
fn the_dev_example_is_read_as_intended() {
    let declaration = read_documents(&[source(&specs().join("examples/dev.yaml"))]);
    let cluster = declaration.valid().next().expect("a valid cluster");
    assert_eq!((cluster.name.as_str(), cluster.service_cluster.as_deref()), ("dev", Some("dev")));
    assert_eq!(cluster.proxy.workload.service_name.as_str(), "swarmgate-proxy-dev");
    assert_eq!(cluster.proxy.stop_grace_period.map(|period| period.as_secs()), Some(10));
    assert_eq!((cluster.proxy.replicas, &cluster.proxy.workload.args), (None, &None), "what is left out is not managed");
}
