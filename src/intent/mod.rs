//! What people ask for: ServiceCluster documents and service labels. Files and labels end here as valid types; what was
//! typed and what is meant are two types. Does no I/O: files come in as text. Imports `types`, `report` and the settings of `route`.

pub mod cluster;
pub mod cluster_spec;
pub mod constraint;
pub mod documents;
mod formats;
pub mod hosts;
pub mod hosts_spec;
pub mod labels;
pub mod limits;
pub mod limits_spec;
pub mod material;
pub mod material_spec;
pub mod networks;
pub mod networks_spec;
pub mod quantity;
pub mod schema;
pub mod settings_spec;
pub mod suggest;
mod yaml;
