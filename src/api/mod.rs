//! The operator's HTTP API for people, tools and monitoring, and its status page. Read-only: no request changes anything. Decides
//! only who has access: answers come from the controller, their wording from `report`. Imports `report`, `telemetry`,
//! `http_server`, `types`.

pub(crate) mod authorization;
mod cached;
pub mod page;
pub(crate) mod routes;
