//! Service specs: what Swarm rejects, and the form in which it stores the rest.

mod constraint;
mod normalize;
mod read;
mod references;
mod validate;

pub use constraint::{ConstraintSubject, PlacementConstraint};
pub use normalize::{normal, task_spec};
pub use read::{
    Action, ServiceMode, UpdateConfig, attached, constraints, dnsrr, host_ports, job, kind, labels, max_replicas, mesh_ports, name,
    replicas, restarts, update_config,
};
pub use references::{FileKind, references};
pub use validate::{check, check_file_name, check_service_name};
