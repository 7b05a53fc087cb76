//! The first representation: what the proxies of one cluster must say. Types, their order and digest; no behaviour
//! beyond that. Knows no Docker and no engine syntax, and imports only `types` and `report`.

mod settings;
mod table;

pub use settings::{EngineSettings, SizeBytes};
pub use table::{Backend, BackendService, Endpoint, PathRoute, RouteTable, VirtualHost};
