//! Swarmgate: a Kubernetes-style ingress operator for Docker Swarm.
//!
//! The modules, in the order in which a reconcile pass of the operator uses them: `docker` observes → [`intent`] reads what
//! users declared → [`translate`] builds the [`route`] table → [`render`] writes it in an engine's syntax (in the extension)
//! → [`fleet`] computes which objects must exist → [`plan`] compares them with the snapshot → `execute` carries out the
//! steps → [`report`] presents the result. `ARCHITECTURE.md` has the map and one invariant per module, and
//! `tests/architecture.rs` enforces the import direction.

pub mod api;
pub mod channel;
pub mod cli;
pub mod controller;
pub mod declaration;
pub mod docker;
pub(crate) mod execute;
pub mod explain;
pub mod extension;
pub mod fleet;
pub(crate) mod http_server;
pub mod intent;
pub mod networks;
pub mod pki;
pub mod plan;
pub mod protocol;
pub mod proxy;
pub mod render;
pub mod report;
pub(crate) mod retry;
pub mod route;
pub(crate) mod runtime;
// Test equipment. Release builds do not contain it; a debug build of the program does not link it.
#[cfg(any(test, debug_assertions))]
pub mod simulator;
pub mod swarm;
pub(crate) mod telemetry;
pub mod translate;
pub mod types;
