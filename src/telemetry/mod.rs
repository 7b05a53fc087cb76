//! Everything that goes out to people and monitoring: logs, metrics (each name once), HTTP endpoints and the page.
//! Shows the words of `report` and never decides anything. Imports only `report` and the server.

pub mod access;
pub mod endpoints;
pub mod logs;
pub mod metrics;
pub mod page;
mod recent;
