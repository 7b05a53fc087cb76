//! The model of a Swarm, without bollard: the snapshot, and the port through which all reads and writes go. The model is built
//! from API-shaped JSON, so that the real Swarm, the simulator and files share one reader.

mod config_references;
mod ignored_fields;
mod model;
mod network_lookup;
mod node_address;
mod parse;
mod placement;
mod redacted;
mod shared_collections;
mod snapshot;
mod swarm_trait;

pub use config_references::{
    NAMED_CONFIGS_MAX, NAMED_CONFIGS_OF_A_TEAM_MAX, NamedConfigs, OWN_CONFIG_PREFIX, OWNER_LABEL, looks_like_our_config, mounted_configs,
};
pub use ignored_fields::{services_with_our_label, strip_service, strip_task};
pub use model::{
    Config, GATEWAY_BRIDGE, Labels, Mount, Network, Node, PublishedPort, Secret, Service, Subnet, Task, UpdateStatus, VirtualIp,
};
pub use network_lookup::NetworksByName;
pub use node_address::NODE_ADDRESS_LABEL;
pub use parse::is_stopping;
pub use placement::{fitting_nodes, nodes_that_meet, one_on_each, unplaceable_tasks};
pub use redacted::is_disclosed;
pub use shared_collections::{CopyOnWrite, Services};
pub use snapshot::{RawSnapshot, Snapshot, SnapshotError};
pub use swarm_trait::{Hint, Swarm, SwarmError, SwarmErrorKind};
