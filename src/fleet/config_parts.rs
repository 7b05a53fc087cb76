//! A configuration that does not fit into a single config object: how its parts are named, mounted and found again. Must
//! never treat a set as complete if a part is missing: the proxies would read half a configuration.

use std::collections::BTreeMap;

use super::object_names;
use super::spec_field::Role;
use crate::protocol::boot_snapshot;
use crate::protocol::container_contract::{LABEL_PART_OF, LABEL_PARTS};
use crate::swarm::{Config, Snapshot};
use crate::types::{ClusterName, Digest};

/// Swarm's limit for the content of a config object, in bytes.
pub const OBJECT_BYTES_MAX: usize = 1_023_999;
/// More parts would burden the managers, which keep every config in memory and send all of them with every list.
pub(super) const PARTS_MAX: usize = 4;

/// One of the objects that together hold a configuration; most configurations have only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConfigPart {
    /// Its position, from 0.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl ConfigPart {
    /// All of them.
    pub(super) fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self { index, count })
    }

    /// The object's name, derived from the name of the first object, which covers the whole content.
    pub(super) fn name(self, first: &str, role: Role, cluster: &ClusterName) -> String {
        match self.index {
            0 => first.to_owned(),
            index => object_names::config_object(role, cluster, &Digest::of_bytes(format!("{first} {index}").as_bytes())),
        }
    }

    /// The mount path, derived from that of the first object.
    pub(super) fn target(self, first: &str) -> String {
        boot_snapshot::part_file(first, self.index)
    }

    /// The labels it has in addition to those of all our objects.
    pub(super) fn labels(self, first: &str) -> BTreeMap<String, String> {
        let label = |key: &str, value: String| Some((key.to_owned(), value));
        let label = match self {
            Self { count: 1, .. } => None,
            Self { index: 0, count } => label(LABEL_PARTS, count.to_string()),
            _ => label(LABEL_PART_OF, first.to_owned()),
        };
        label.into_iter().collect()
    }

    /// Its share of the content.
    pub(super) fn share(self, content: &[u8]) -> Vec<u8> {
        content.chunks(OBJECT_BYTES_MAX).nth(self.index).unwrap_or_default().to_vec()
    }
}

/// The number of objects that hold the content, given the labels of the first one.
pub(super) fn count(labels: &BTreeMap<String, String>) -> usize {
    labels.get(LABEL_PARTS).and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Whether this object is the first of a configuration whose parts all exist.
pub(super) fn is_whole(config: &Config, role: Role, cluster: &ClusterName, snapshot: &Snapshot) -> bool {
    let is_there = |name: String| snapshot.configs.values().any(|config| config.name == name);
    let begins = !config.labels.contains_key(LABEL_PART_OF);
    begins && ConfigPart::all(count(&config.labels)).skip(1).all(|part| is_there(part.name(&config.name, role, cluster)))
}

/// The name of the first object of the configuration to which this object belongs: the parts of a configuration are kept
/// together.
pub fn whole_of(config: &Config) -> &str {
    config.labels.get(LABEL_PART_OF).unwrap_or(&config.name)
}
