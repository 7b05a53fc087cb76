//! The kinds of documents, one row each. Everything else in this folder reads documents of any kind and must know none of
//! them: a new kind is a file here and a row in [`KINDS`]. A kind that declares something other than a cluster also has a list
//! of its own in [`Declaration`].

mod service_cluster;

use serde_json::Value;

use super::Declaration;
use super::conflicts::{Claim, ClaimType};
use super::fields::Check;
use super::schema_validation::Schema;
use crate::types::ClusterName;

/// All kinds that are read.
pub(super) const KINDS: &[&Kind] = &[FALLBACK];

/// How documents are read whose kind is missing or unknown: what they name must not look undeclared.
pub(super) const FALLBACK: &Kind = &service_cluster::ROW;

/// One kind of document.
pub(super) struct Kind {
    /// The value of the field `kind`.
    pub name: &'static str,
    /// What a document claims by its `metadata.name`.
    pub name_claim: ClaimType,
    /// The fields, and what each may hold.
    pub schema: fn() -> &'static Schema,
    /// What the schema cannot express.
    pub checks: &'static [Check],
    /// What no other document may have, beside the name, with the field that claims it.
    pub claims: fn(&Value) -> Vec<(Claim, String)>,
    /// Converts a valid document and records what it declares; records a document with mistakes as broken. The first of several
    /// documents with one name is recorded: they are all broken. Explains why a valid document cannot be converted.
    pub declare: fn(&Parsed<'_>, &mut Declaration) -> Result<(), String>,
}

/// A document after all checks.
pub(super) struct Parsed<'a> {
    /// `metadata.name`.
    pub name: &'a ClusterName,
    /// All fields, as plain values.
    pub value: &'a Value,
    /// Whether the YAML was read completely.
    pub whole: bool,
    /// Whether no mistake keeps it from being used.
    pub valid: bool,
}

#[cfg(test)]
mod tests;
