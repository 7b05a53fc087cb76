//! The real Swarm: the port over the Docker API of one manager, by bollard. The only room that names bollard.
//! Bodies travel as raw JSON (`docs/decisions/docker-raw-json.md`), so that no field of a spec is lost and no odd
//! foreign object makes a list unreadable. Must never retry, and never return part of an answer.

mod api;
mod call;
mod error;
mod events;
mod link;
mod networks;
mod session;
mod template;

pub use api::DockerSwarm;
pub use error::ConnectError;
