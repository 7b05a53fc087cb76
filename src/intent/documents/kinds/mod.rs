//! The kinds of documents, one row each. Everything else in this folder reads documents of any kind and must know none of
//! them: a new kind is a file here and a row in [`KINDS`].

mod service_cluster;

use std::sync::Arc;

use serde_json::Value;

use super::declared_object::DeclaredObject;
use super::exclusive_claim::{ClaimType, ExclusiveClaim};
use super::fields::DocumentCheck;
use super::schema_validation::Schema;
use crate::types::ClusterName;

pub use service_cluster::ClusterDocument;

/// All kinds that are read. The first is the one that `swarmgate schema` prints if none is named.
pub(super) const KINDS: &[&DocumentKind] = &[FALLBACK];

/// The kind whose schema the fields of a document follow if its own kind is missing or unknown.
pub(super) const FALLBACK: &DocumentKind = &service_cluster::ROW;

/// One kind of document.
pub struct DocumentKind {
    /// The value of the field `kind`.
    pub(super) name: &'static str,
    /// A shorter name for the command line.
    pub(super) short_name: &'static str,
    /// What a document claims by its `metadata.name`.
    pub(super) name_claim: ClaimType,
    /// The fields, and what each may hold.
    pub(super) schema: fn() -> &'static Schema,
    /// What the schema cannot express.
    pub(super) checks: &'static [DocumentCheck],
    /// What no other document may have, beside the name, with the field that claims it.
    pub(super) claims: fn(&Value) -> Vec<(ExclusiveClaim, String)>,
    /// Converts a valid document into what it declares. Explains why that is impossible.
    pub(super) convert: fn(&Value) -> Result<Arc<dyn DeclaredObject>, String>,
    /// What a document with mistakes declares, as far as it can be read. Its kind may be missing or unknown.
    pub(super) broken: fn(&ParsedDocument<'_>) -> Arc<dyn DeclaredObject>,
}

impl DocumentKind {
    /// The value of the field `kind`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A shorter name for the command line.
    pub fn short_name(&self) -> &'static str {
        self.short_name
    }

    /// The JSON Schema of its documents.
    pub fn json_schema(&self) -> &'static Value {
        (self.schema)().root()
    }
}

/// A document after all checks.
pub(super) struct ParsedDocument<'a> {
    /// `metadata.name`.
    pub name: &'a ClusterName,
    /// All fields, as plain values.
    pub value: &'a Value,
    /// Whether the YAML was read completely.
    pub whole: bool,
}

#[cfg(test)]
pub(super) mod tests;
