//! Reads golden cases. Shared by the tests of their outputs and those with a real engine.

use std::fs;
use std::path::{Path, PathBuf};

use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::documents::{SourceFile, read_documents};
use swarmgate::report::Finding;
use swarmgate::swarm::Snapshot;

use crate::golden_compact::{expand, yaml};

/// The input files of a case; all others are outputs.
pub const INPUTS: [&str; 2] = ["spec.yaml", "swarm.yaml"];
/// The spec of a case that has none of its own.
const DEFAULT_SPEC: &str = "default-spec.yaml";

/// One case: a folder below `tests/golden`.
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
}

/// All cases, by name.
pub fn all_cases() -> Vec<Case> {
    let entries = fs::read_dir(golden_folder()).expect("tests/golden exists").map(|entry| entry.expect("an entry can be read").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    let name = |folder: &Path| folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
    folders.into_iter().map(|folder| Case { name: name(&folder), folder }).collect()
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

impl Case {
    /// The clusters of the case's spec, and what its reader found.
    pub fn clusters(&self) -> (Vec<Cluster>, Vec<Finding>) {
        let own = self.folder.join(INPUTS[0]);
        let path = if own.exists() { own } else { golden_folder().join(DEFAULT_SPEC) };
        let text = fs::read_to_string(path).expect("a spec can be read");
        let declaration = read_documents(&[SourceFile::new("spec.yaml", text)]);
        (declaration.valid().cloned().collect(), declaration.findings)
    }

    /// A Swarm in the short form, or as `swarmgate` itself would write it down.
    pub fn snapshot(&self) -> Snapshot {
        let text = fs::read_to_string(self.folder.join(INPUTS[1])).expect("a case has a swarm.yaml");
        let value = yaml(&text);
        let raw = if value["takenAt"].is_string() { value } else { expand(&value) };
        Snapshot::from_raw(&serde_json::from_value(raw).expect("the case is a snapshot")).expect("the snapshot can be read")
    }
}
