//! Reads golden cases. Shared by the tests of their outputs and by those with a real engine, which use only part of it.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::report::Finding;
use swarmgate::swarm::Snapshot;

use crate::golden_compact::{expand, yaml};

/// The input files of a case; all others are outputs. A case about a change also has the `before` files: the documents and the
/// Swarm for which the fleet was created.
pub const INPUTS: [&str; 5] = [SPEC, SWARM, SPEC_BEFORE, SWARM_BEFORE, REQUESTS];
/// Which requests reach which service, checked against the real engine.
pub const REQUESTS: &str = "requests.txt";
const SPEC: &str = "spec.yaml";
const SWARM: &str = "swarm.yaml";
const SPEC_BEFORE: &str = "spec-before.yaml";
const SWARM_BEFORE: &str = "swarm-before.yaml";
/// The case that shows what all others have in common.
pub const COMMON: &str = "no-services";
/// The spec for cases without their own.
const DEFAULT_SPEC: &str = "default-spec.yaml";

/// One case: a folder below `tests/golden`.
pub struct GoldenCase {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
}

/// All cases, sorted by name.
pub fn all_cases() -> Vec<GoldenCase> {
    let entries = fs::read_dir(golden_folder()).expect("tests/golden exists").map(|entry| entry.expect("an entry can be read").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    let name = |folder: &Path| folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
    folders.into_iter().map(|folder| GoldenCase { name: name(&folder), folder }).collect()
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

impl GoldenCase {
    /// The case with this name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), folder: golden_folder().join(name) }
    }

    /// The clusters of the case's spec, and the reader's findings.
    pub fn clusters(&self) -> (Vec<Cluster>, Vec<Finding>) {
        self.clusters_of(SPEC)
    }

    /// The previous clusters and Swarm, if the case is about a change. Files that did not change exist only once.
    pub fn before(&self) -> Option<(Vec<Cluster>, Value)> {
        let changed = |name: &str| self.folder.join(name).exists();
        let (spec, swarm) = (changed(SPEC_BEFORE), changed(SWARM_BEFORE));
        let clusters = || self.clusters_of(if spec { SPEC_BEFORE } else { SPEC }).0;
        (spec || swarm).then(|| (clusters(), self.swarm(if swarm { SWARM_BEFORE } else { SWARM })))
    }

    /// The case's Swarm.
    pub fn snapshot(&self) -> Snapshot {
        read_snapshot(&self.raw())
    }

    /// The case's Swarm in the API's format.
    pub fn raw(&self) -> Value {
        self.swarm(SWARM)
    }

    fn clusters_of(&self, name: &str) -> (Vec<Cluster>, Vec<Finding>) {
        let own = self.folder.join(name);
        let path = if own.exists() { own } else { golden_folder().join(DEFAULT_SPEC) };
        let text = fs::read_to_string(path).expect("a spec can be read");
        let declaration = read_documents(&[SourceFile::new(SPEC, text)]);
        (declaration.valid().cloned().collect(), declaration.findings)
    }

    /// A Swarm, either in the short form or as `swarmgate` itself would save it.
    fn swarm(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.folder.join(name)).expect("a case has a swarm.yaml");
        let value = yaml(&text);
        if value["takenAt"].is_string() { value } else { expand(&value) }
    }
}

/// Reads a Swarm in the API's format.
pub fn read_snapshot(raw: &Value) -> Snapshot {
    Snapshot::from_raw(&serde_json::from_value(raw.clone()).expect("the case is a snapshot")).expect("the snapshot can be read")
}
