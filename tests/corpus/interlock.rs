//! Interlock's configuration file: `docs/interlock-file.md` or `docs/settings.md` has a row for every key in the corpus that
//! says what became of it. There is no importer yet; this test ensures that one could be complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The tables in which keys are looked up: those of the file, of an extension, and of its `Config`.
const EXTENSION_TABLES: [&str; 4] = ["Labels", "ContainerLabels", "ProxyLabels", "ProxyContainerLabels"];

/// Keys of a file that no documented table contains.
pub fn unknown_keys(name: &str, text: &str) -> Vec<String> {
    let file: toml::Table = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    let (own, config) = (documented("interlock-file.md"), documented("settings.md"));
    let mut unknown_keys = unknown(name, "", file.keys().filter(|key| *key != "Extensions"), &own);
    let extensions = file.get("Extensions").and_then(toml::Value::as_table).expect("a file has extensions");
    for (extension, table) in extensions {
        let table = table.as_table().expect("an extension is a table");
        let section = format!("Extensions.{extension}.");
        let keys = table.keys().filter(|key| *key != "Config" && !EXTENSION_TABLES.contains(&key.as_str()));
        unknown_keys.extend(unknown(name, &section, keys, &own));
        let settings = table.get("Config").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        unknown_keys.extend(unknown(name, &format!("{section}Config."), settings, &config));
    }
    unknown_keys
}

/// Keys that are not documented. Interlock itself accepts any capitalization.
fn unknown<'a>(name: &str, section: &str, keys: impl Iterator<Item = &'a String>, known: &BTreeSet<String>) -> Vec<String> {
    let strange = keys.filter(|key| !known.contains(&key.to_ascii_lowercase()));
    strange.map(|key| format!("{name}: {section}{key} is not accounted for")).collect()
}

/// The keys in the first column of a page's tables, in lower case.
fn documented(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).expect("the page exists");
    let first_columns = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let keys =
        first_columns.flat_map(|column| column.split('`')).map(str::trim).filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()));
    keys.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

#[test]
fn every_path_named_on_the_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = fs::read_to_string(root.join("crd-like-specs/servicecluster.schema.json")).expect("the schema exists");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("the schema is JSON");
    let page = fs::read_to_string(root.join("docs/interlock-file.md")).expect("the page exists");
    let counterparts: Vec<&str> =
        page.split('`').filter(|word| word.starts_with("spec.")).map(|word| word.split(':').next().unwrap_or(word)).collect();
    assert!(counterparts.len() >= 25, "the page names only {} places", counterparts.len());
    let missing: Vec<_> = counterparts.iter().filter(|counterpart| find(&schema, &schema, counterpart.split('.')).is_none()).collect();
    assert!(missing.is_empty(), "no such fields: {missing:?}");
}

/// The schema of a field, resolved through references and alternatives.
fn find<'a>(root: &'a Value, schema: &'a Value, mut path: std::str::Split<'_, char>) -> Option<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return find(root, root.pointer(reference.strip_prefix('#')?)?, path);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().find_map(|choice| find(root, choice, path.clone()));
    }
    match path.next() {
        Some(field) => find(root, schema["properties"].get(field)?, path),
        None => Some(schema),
    }
}
