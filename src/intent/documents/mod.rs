//! The document reader: the text of all files becomes checked clusters, and every mistake in every file is reported at
//! once, with line, path, value and remedy. A document with a mistake produces no cluster and does not affect other
//! documents.
//!
//! It must never make a declared object look undeclared: content that cannot be read well enough to know its name is
//! reported by [`Declaration::incomplete`], and a document whose kind is missing or unknown is a broken document of every
//! kind.

mod claims_in_force;
mod client_address;
mod client_limits;
mod config_quotas;
mod conflicts;
mod conversion;
mod declared_object;
mod document_error;
mod exclusive_claim;
mod field_dependencies;
mod fields;
mod hosts;
mod kinds;
mod networks;
mod optional;
mod reference_grants;
mod schema_validation;
mod settings;

use std::sync::Arc;

use serde_json::Value;

pub use self::claims_in_force::ClaimsInForce;
pub use self::declared_object::{DeclaredObject, DeclaredObjects, ObjectKey};
use self::document_error::Mistakes;
use self::exclusive_claim::ExclusiveClaim;
use self::fields::Fields;
#[cfg(test)]
pub(crate) use self::kinds::tests::{BOTH as KINDS_WITH_ONE_MORE, Site, site};
pub use self::kinds::{ClusterDocument, DocumentKind};
use self::kinds::{FALLBACK, KINDS, ParsedDocument};
use super::yaml::{self, YamlData, YamlDocument, YamlNode};
use crate::report::{Finding, Severity, cases};
use crate::types::ClusterName;

/// Larger files are not specs; Swarm does not store larger config objects either.
const FILE_BYTES_MAX: usize = 1 << 20;

/// A spec file as it was read, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name in findings: its path, or another name that its author knows.
    pub name: String,
    /// Its text, or why there is none.
    pub content: Result<String, UnreadableFile>,
}

/// Why a file has no text, with an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreadableFile {
    /// There is no such file or folder.
    Missing(String),
    /// It is a folder without documents.
    EmptyFolder(String),
    /// It is not UTF-8 text.
    NotText(String),
    /// Any other reason.
    Other(String),
}

impl UnreadableFile {
    fn case(&self) -> cases::UnreadableDocument<'static> {
        match self {
            Self::Missing(_) => cases::UnreadableDocument::Missing,
            Self::EmptyFolder(_) => cases::UnreadableDocument::EmptyFolder,
            Self::NotText(_) => cases::UnreadableDocument::NotText,
            Self::Other(_) => cases::UnreadableDocument::Unreadable,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::EmptyFolder(why) => why.clone(),
            Self::Missing(why) | Self::NotText(why) | Self::Other(why) => format!("the file cannot be read: {why}"),
        }
    }
}

impl SourceFile {
    /// A file that was read.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), content: Ok(text.into()) }
    }

    /// A file that could not be read.
    pub fn unreadable(name: impl Into<String>, why: UnreadableFile) -> Self {
        Self { name: name.into(), content: Err(why) }
    }
}

/// What all files together declare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declaration {
    /// What every document declares whose name is known.
    pub objects: DeclaredObjects,
    /// What the valid documents claim.
    pub claims: ClaimsInForce,
    /// The number of documents, readable or not; a file that cannot be read counts as one.
    pub documents: usize,
    /// Every mistake, in the order of the files and lines.
    pub findings: Vec<Finding>,
    /// Whether something could not be read well enough to know the names in it: an object that is missing from `objects`
    /// may still be declared, so nothing may be removed because of its absence.
    pub incomplete: bool,
}

impl Declaration {
    /// What documents of one kind declare, by name.
    pub fn all<T: DeclaredObject>(&self) -> impl Iterator<Item = &T> {
        self.objects.values().filter_map(|object| object.of_type())
    }

    /// Whether no finding keeps a document from being used.
    pub fn is_valid(&self) -> bool {
        !self.incomplete && self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// Reads all documents of all files, with no version in force. Total and deterministic; the order of the files affects only the
/// order of the findings.
pub fn read_documents(files: &[SourceFile]) -> Declaration {
    read_kinds(KINDS, files, &ClaimsInForce::default())
}

/// Every kind of document.
pub fn document_kinds() -> &'static [&'static DocumentKind] {
    KINDS
}

/// Reads documents of these kinds, beside versions that are in force.
pub(crate) fn read_kinds(kinds: &[&'static DocumentKind], files: &[SourceFile], in_force: &ClaimsInForce) -> Declaration {
    let mut declaration = Declaration::default();
    let mut documents = Vec::new();
    for (at, file) in files.iter().enumerate() {
        match read_file(file, kinds) {
            Ok(parts) => documents.extend(parts.into_iter().map(|part| Document::read(at, part, kinds))),
            Err(mistakes) => documents.push(Document::unreadable(at, *mistakes)),
        }
    }
    conflicts::check(files, &mut documents, in_force);
    documents.iter_mut().for_each(Document::convert);
    claims_in_force::refuse_claimants(in_force, &mut documents);
    declaration.documents = documents.len();
    documents.iter().filter(|document| document.kind_is_known).for_each(|document| document.declare(&mut declaration));
    // After the others, because a document that may be of any kind must not replace one whose kind is known.
    documents.iter().filter(|document| !document.kind_is_known).for_each(|document| document.declare_for_each(kinds, &mut declaration));
    for document in documents {
        let file = &files[document.file].name;
        declaration.incomplete |= document.hides_names();
        declaration.findings.extend(document.mistakes.into_findings(file));
    }
    declaration
}

/// The YAML documents of a file; at least one.
fn read_file(file: &SourceFile, kinds: &[&DocumentKind]) -> Result<Vec<YamlDocument>, Box<Mistakes>> {
    let unreadable = |case: cases::UnreadableDocument<'_>, message: &str| {
        let mut mistakes = Mistakes::default();
        mistakes.add_to_file(case, message);
        Box::new(mistakes)
    };
    let text = match &file.content {
        Ok(text) if text.len() <= FILE_BYTES_MAX => text,
        Ok(_) => return Err(unreadable(cases::UnreadableDocument::TooLarge, "the file is larger than 1 MiB")),
        Err(why) => return Err(unreadable(why.case(), &why.message())),
    };
    let documents = yaml::read(text);
    if documents.is_empty() {
        // An empty file is more often one that is being written than a wish to remove everything.
        let case = cases::UnreadableDocument::Empty { kind: &names(kinds).join(" or ") };
        return Err(unreadable(case, "the file contains no document; clusters are not removed because of this"));
    }
    Ok(documents)
}

fn names(kinds: &[&DocumentKind]) -> Vec<String> {
    kinds.iter().map(|kind| kind.name.to_owned()).collect()
}

/// One document on its way from text to what it declares.
struct Document {
    /// The index of its file.
    file: usize,
    /// The kind whose schema the fields follow.
    kind: &'static DocumentKind,
    /// Whether it states this kind. Otherwise, it may be of any kind.
    kind_is_known: bool,
    /// Whether it states a kind that does not exist.
    foreign: bool,
    /// As plain values, with numbers already as text where the field is a text; `null` if there is nothing.
    value: Value,
    /// Whether the YAML was read completely.
    whole: bool,
    /// What no other document may have, each with the field that claims it. Without a known kind it claims nothing.
    claims: Vec<(ExclusiveClaim, String)>,
    /// What it declares, unless it has mistakes.
    object: Option<Arc<dyn DeclaredObject>>,
    mistakes: Mistakes,
}

impl Document {
    fn read(file: usize, part: YamlDocument, kinds: &[&'static DocumentKind]) -> Self {
        let whole = part.complete && part.mistakes.is_empty();
        let stated = part.root.as_ref().and_then(stated_kind);
        let known = kinds.iter().copied().find(|kind| stated.as_deref() == Some(kind.name));
        let kind = known.unwrap_or(FALLBACK);
        let mut mistakes = Mistakes::new(part.root, kind.name);
        for slip in part.mistakes {
            mistakes.add_yaml(slip);
        }
        let value = mistakes.tree().map(|tree| (kind.schema)().plain(tree)).unwrap_or_default();
        mistakes.value = value.clone();
        let unknown = stated.filter(|_| known.is_none());
        let (kind_is_known, foreign) = (known.is_some(), unknown.is_some());
        let claims = if kind_is_known { (kind.claims)(&value) } else { Vec::new() };
        let mut document = Self { file, kind, kind_is_known, foreign, value, whole, claims, object: None, mistakes };
        // After a syntax error most fields are missing, which is not reported as a separate mistake.
        if part.complete {
            document.check(unknown.as_deref(), kinds);
        }
        document
    }

    fn unreadable(file: usize, mistakes: Mistakes) -> Self {
        let (value, claims) = (Value::Null, Vec::new());
        Self { file, kind: FALLBACK, kind_is_known: false, foreign: false, value, whole: true, claims, object: None, mistakes }
    }

    /// Checks the document by itself.
    fn check(&mut self, unknown_kind: Option<&str>, kinds: &[&DocumentKind]) {
        match unknown_kind {
            Some(unknown) => schema_validation::note_unknown_kind(unknown, &names(kinds), &mut self.mistakes),
            None => (self.kind.schema)().check(&self.value, &mut self.mistakes),
        }
        schema_validation::note_nul(&self.value, "", &mut self.mistakes);
        for check in self.kind.checks {
            check(&Fields(&self.value), &mut self.mistakes);
        }
    }

    /// The name, if it is valid for a cluster.
    fn name(&self) -> Option<ClusterName> {
        self.value.pointer("/metadata/name").and_then(Value::as_str).and_then(|name| ClusterName::parse(name).ok())
    }

    /// The name of its kind, if it states one that exists.
    fn known_kind(&self) -> Option<&'static str> {
        self.kind_is_known.then_some(self.kind.name)
    }

    /// Its kind and name, if both are known.
    fn key(&self) -> Option<ObjectKey> {
        Some((self.known_kind()?, self.name()?))
    }

    /// Whether it may contain names that could not be read.
    fn hides_names(&self) -> bool {
        !self.whole || (self.name().is_none() && !self.foreign)
    }

    /// Whether it is valid, after its conversion.
    fn is_valid(&self) -> bool {
        self.object.is_some() && !self.mistakes.has_errors()
    }

    /// Converts it to what it declares, if it has no mistakes so far.
    fn convert(&mut self) {
        if self.key().is_none() || self.mistakes.has_errors() {
            return;
        }
        match (self.kind.convert)(&self.value) {
            Ok(object) => self.object = Some(object),
            Err(why) => self.mistakes.add(self.mistakes.only_in_schema(), "", why),
        }
    }

    /// Records what it declares, or that it is broken. The first of several documents of one name is recorded: they are all broken.
    fn declare(&self, declaration: &mut Declaration) {
        let Some((kind, name)) = self.key() else { return };
        let valid = self.object.clone().filter(|_| self.is_valid());
        if valid.is_some() {
            declaration.claims.record((kind, name.clone()), &self.claims);
        }
        let object = valid.unwrap_or_else(|| self.broken(self.kind, &name));
        declaration.objects.entry((kind, name)).or_insert(object);
    }

    /// Records that the document is broken, for each kind: with a typo in its `kind`, no object may look undeclared.
    fn declare_for_each(&self, kinds: &[&'static DocumentKind], declaration: &mut Declaration) {
        let Some(name) = self.name() else { return };
        for kind in kinds {
            declaration.objects.entry((kind.name, name.clone())).or_insert_with(|| self.broken(kind, &name));
        }
    }

    /// What it declares as a document of this kind, with mistakes.
    fn broken(&self, kind: &DocumentKind, name: &ClusterName) -> Arc<dyn DeclaredObject> {
        (kind.broken)(&ParsedDocument { name, value: &self.value, whole: self.whole })
    }
}

/// The text of the field `kind`, before it is known which schema the fields follow.
fn stated_kind(tree: &YamlNode) -> Option<String> {
    let YamlData::Mapping(entries) = &tree.data else { return None };
    match &entries.get("kind")?.node.data {
        YamlData::Scalar { value, .. } => value.as_str().map(str::to_owned),
        YamlData::Sequence(_) | YamlData::Mapping(_) => None,
    }
}

#[cfg(test)]
mod tests;
