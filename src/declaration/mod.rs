//! What people declare, from its sources to what is in force: reading documents, noticing changes, keeping the last good version of each,
//! and telling what is wrong with them. Knows neither the Swarm nor routes; what a document means is `intent`.
//! Imports `intent`, `report`, `telemetry`, `types`.

pub(crate) mod files;
mod follow;
mod last_good;
mod source;

pub use files::SpecFiles;
pub use follow::{follow, read_once};
pub use last_good::{Declared, DeclaredCluster};
pub use source::{DocumentSource, Watch};
