//! The label that remembers which fields the last applied declaration managed. With it, a field that leaves the document is
//! reset once, and a manual change can be distinguished from a change of the document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::Digest;

/// How many digits of a value's digest are remembered: enough to detect a change, few enough to read.
const DIGITS: usize = 8;

/// The managed fields by their short names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ManagedFields(BTreeMap<String, Remembered>);

/// A field's value, or its entries' values, as short digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Remembered {
    WholeField(String),
    Entries(BTreeMap<String, String>),
}

impl ManagedFields {
    /// Reads the label. A missing or unreadable label means that nothing is remembered.
    pub(super) fn read(label: Option<&str>) -> Self {
        label.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The label's value.
    pub(super) fn write(&self) -> String {
        // Serialising a map of strings cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the field was managed as a whole.
    pub(super) fn is_managed(&self, field: &str) -> bool {
        matches!(self.0.get(field), Some(Remembered::WholeField(_)))
    }

    /// Whether the field was managed with exactly this value.
    pub(super) fn was(&self, field: &str, value: &Value) -> bool {
        matches!(self.0.get(field), Some(Remembered::WholeField(digest)) if *digest == digits(value))
    }

    /// Whether the previous declaration stated the same for the field: this value, or nothing.
    pub(super) fn declared_same(&self, field: &str, value: Option<&Value>) -> bool {
        value.map_or_else(|| !self.is_managed(field), |value| self.was(field, value))
    }

    /// The keys of the entries that were managed.
    pub(super) fn keys(&self, field: &str) -> Vec<&str> {
        match self.0.get(field) {
            Some(Remembered::Entries(entries)) => entries.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the entry was managed with exactly this value.
    pub(super) fn had_entry(&self, field: &str, key: &str, value: &Value) -> bool {
        matches!(self.0.get(field), Some(Remembered::Entries(entries)) if entries.get(key).is_some_and(|digest| *digest == digits(value)))
    }

    /// Remembers a field.
    pub(super) fn record(&mut self, field: &str, value: &Value) {
        self.0.insert(field.to_owned(), Remembered::WholeField(digits(value)));
    }

    /// Remembers an entry.
    pub(super) fn record_entry(&mut self, field: &str, key: &str, value: &Value) {
        let slot = self.0.entry(field.to_owned()).or_insert_with(|| Remembered::Entries(BTreeMap::new()));
        if let Remembered::Entries(entries) = slot {
            entries.insert(key.to_owned(), digits(value));
        }
    }
}

fn digits(value: &Value) -> String {
    Digest::of_json(value).as_str()[..DIGITS].to_owned()
}
