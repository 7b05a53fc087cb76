//! What users declare: ServiceCluster documents and service labels. Files and labels become valid types here; the input as written
//! and its checked form are separate types. Does no I/O: files are passed in as text. Imports `types`, `report` and the settings of
//! `route`.

pub mod cluster;
pub(crate) mod cluster_spec;
pub mod config_quotas;
pub(crate) mod config_quotas_spec;
pub mod documents;
mod formats;
pub(crate) mod hosts;
pub(crate) mod hosts_spec;
pub mod inactive_clusters;
pub(crate) mod json_schema;
pub mod labels;
pub(crate) mod networks;
pub(crate) mod networks_spec;
pub(crate) mod placement_constraint;
pub(crate) mod quantity;
pub(crate) mod reference_grants;
pub(crate) mod reference_grants_spec;
pub(crate) mod settings_spec;
pub(crate) mod suggest;
mod yaml;
