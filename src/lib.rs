//! Swarmgate: a Kubernetes-style ingress operator for Docker Swarm.
//!
//! The rooms, in the order in which a pass of the operator walks through them:
//! `docker` observes → [`intent`] says what people asked for → [`translate`] makes the [`route`] table →
//! [`render`] writes it in an engine's words (in the extension) → [`fleet`] shapes which objects must exist →
//! [`plan`] compares with the snapshot → [`execute`] carries them out → [`report`] tells. `ARCHITECTURE.md` has the map,
//! an invariant per room, and `tests/architecture.rs` holds the import direction.

pub mod api;
pub mod channel;
pub mod cli;
pub mod controller;
pub mod declaration;
pub mod docker;
pub mod execute;
pub mod explain;
pub mod extension;
pub mod fleet;
pub mod http_server;
pub mod intent;
pub mod networks;
pub mod pki;
pub mod plan;
pub mod protocol;
pub mod proxy;
pub mod render;
pub mod report;
pub mod retry;
pub mod route;
pub mod runtime;
// Test equipment. Builds for release have none of it; a debug build of the program does not link it.
#[cfg(any(test, debug_assertions))]
pub mod simulator;
pub mod swarm;
pub mod telemetry;
pub mod translate;
pub mod types;
