//! What users declare, from its sources to the versions that are used: reads documents, notices changes, keeps the last good version of
//! each, and reports what is wrong with them. Independent of the Swarm and of routes; the meaning of a document is `intent`'s business.
//! Imports `intent`, `report`, `telemetry`, `types`.

mod document_source;
mod follow;
mod last_good;
pub(crate) mod spec_files;

pub use document_source::{DocumentSource, WatchGuard};
#[cfg(test)]
pub(crate) use follow::follow_kinds;
pub use follow::{follow, read_once};
pub use last_good::{Declared, DeclaredCluster};
pub use spec_files::SpecFiles;
