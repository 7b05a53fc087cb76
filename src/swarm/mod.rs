//! The world as we see it, without bollard: the snapshot, and the port through which all reads and writes go.
//! The model is built from API-shaped JSON, so that the real Swarm, the simulator and files share one reader.

mod address;
mod model;
mod named;
mod parse;
mod placement;
mod port;
mod share;

pub use address::NODE_ADDRESS_LABEL;
pub use model::{
    Config, GATEWAY_BRIDGE, Mount, Network, Node, PublishedPort, RawSnapshot, Secret, Service, Snapshot, SnapshotError, Subnet, Task,
    UpdateStatus, VirtualIp,
};
pub use named::{is_named, named_configs};
pub use parse::is_stopping;
pub use placement::{fitting_nodes, nodes_that_meet};
pub use port::{Hint, Swarm, SwarmError, SwarmErrorKind};
pub use share::is_told_of;
