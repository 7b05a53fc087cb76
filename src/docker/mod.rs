//! The real Swarm: the port over the Docker API of one manager. The only room that names bollard, whose types and errors it uses.
//! Bodies travel as raw JSON (`docs/decisions/docker-raw-json.md`), so that no field of a spec is lost and no odd
//! foreign object makes a list unreadable. Must never retry, never return part of an answer, and never hold more of answers
//! than it has room for.

mod api;
mod config_cache;
mod config_events;
mod connection;
mod error;
mod events;
mod http_call;
mod list_stream;
mod memory_budget;
mod network_filter;
mod path_template;
mod session;

pub use api::{DockerSwarm, LOOK_MEMORY_MAX};
pub use error::ConnectError;
