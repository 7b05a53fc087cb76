//! The real Swarm: implements the port over the Docker API of one manager. The only module that uses bollard's types and
//! errors. Bodies travel as raw JSON (`docs/decisions/docker-raw-json.md`), so that no field of a spec is lost and no unusual
//! object of another owner makes a list unreadable. Must never retry, never return a partial answer, and never hold more of the
//! answers in memory than its budget allows.

mod api_client;
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
mod swarm_api;

pub use error::ConnectError;
pub use swarm_api::{DockerSwarm, SNAPSHOT_MEMORY_MAX};
