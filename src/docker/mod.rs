//! The real Swarm: the port over the Docker API of one manager. The only room that names bollard, whose types and errors it uses.
//! Bodies travel as raw JSON (`docs/decisions/docker-raw-json.md`), so that no field of a spec is lost and no odd
//! foreign object makes a list unreadable. Must never retry, never return part of an answer, and never hold more of answers
//! than it has room for.

mod api;
mod http_call;
mod config_cache;
mod error;
mod events;
mod list_stream;
mod connection;
mod network_filter;
mod config_events;
mod memory_budget;
mod session;
mod path_template;

pub use api::{DockerSwarm, LOOK_MEMORY_MAX};
pub use error::ConnectError;
