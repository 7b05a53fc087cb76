//! The world as we see it, without bollard: the snapshot, and the port through which all reads and writes go.
//! The model is built from API-shaped JSON, so that the real Swarm, the simulator and files share one reader.

mod model;
mod parse;
mod port;
mod share;

pub use model::{
    Config, Mount, Network, Node, PublishedPort, RawSnapshot, Secret, Service, Snapshot, SnapshotError, Task, UpdateStatus, VirtualIp,
};
pub use port::{Hint, Swarm, SwarmError, SwarmErrorKind};
