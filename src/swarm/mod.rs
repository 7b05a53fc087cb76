//! The world as we see it, without bollard: the snapshot, and the port through which all reads and writes go.
//! The model is built from API-shaped JSON, so that the real Swarm, the simulator and files share one reader.

mod address;
mod by_name;
mod model;
mod named;
mod parse;
mod placement;
mod port;
mod share;
mod shared;
mod spare;

pub use address::NODE_ADDRESS_LABEL;
pub use by_name::NetworksByName;
pub use model::{
    Config, GATEWAY_BRIDGE, Mount, Network, Node, PublishedPort, RawSnapshot, Secret, Service, Snapshot, SnapshotError, Subnet, Task,
    UpdateStatus, VirtualIp,
};
pub use named::{
    NAMED_CONFIGS_MAX, NAMED_CONFIGS_OF_A_TEAM_MAX, NamedConfigs, OWN_CONFIG_PREFIX, OWNER_LABEL, looks_like_our_config, mounted_configs,
};
pub use parse::is_stopping;
pub use placement::{fitting_nodes, nodes_that_meet, one_on_each, without_a_place};
pub use port::{Hint, Swarm, SwarmError, SwarmErrorKind};
pub use share::is_told_of;
pub use shared::{Services, Shared};
pub use spare::{services_with_our_label, spare_service, spare_task};
