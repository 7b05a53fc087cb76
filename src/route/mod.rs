//! The first representation: what the proxies of one cluster must say. Types, their order and digest; no behaviour
//! beyond that but what follows from it for one request (shares, places). Knows no Docker and no engine syntax, and imports only `types` and `report`.

mod config_size;
mod limits;
mod nginx;
mod path_rules;
mod quarantine_unit;
mod scheme_rules;
mod settings;
mod table;
mod tls;
mod traffic_split;

pub use config_size::{Dimension, Footprint};
pub use limits::{BODY_SPOOL_MAX, EdgeLimits, SizeBytes};
pub use path_rules::{Answer, Application, Place};
pub use quarantine_unit::{LineList, Part};
pub use scheme_rules::PlaceByScheme;
pub use settings::{
    AccessLogFormat, BackendHttpVersion, CONTROL_PLANE_TIMEOUT_MS, ClientAddress, ClientAddressSource, EngineSettings, LogLevel,
    TlsProtocol,
};
pub use table::{
    Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, Endpoint, PathRoute, Redirect, RouteTable, VirtualHost,
};
pub use tls::{MaterialKind, MaterialRef, TlsBinding, Verification};
