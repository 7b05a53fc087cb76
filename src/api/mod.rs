//! The operator's HTTP API for people, tools and monitoring, and its status page. Read-only: no request changes anything. Decides
//! who may ask, never what is true: answers come from the controller, words from `report`.
//! Imports `report`, `telemetry`, `http_server`, `types`.

pub(crate) mod authorization;
mod cached;
pub mod page;
pub(crate) mod routes;
