//! The first representation: the routes that the proxies of one cluster must serve. Types, their order and digest; the only
//! behaviour here is what follows from them for a single request (shares, places). Knows neither Docker nor any engine's
//! syntax, and imports only `types` and `report`.

mod client_limits;
mod config_size;
mod forwarded_scheme;
mod nginx;
mod path_precedence;
mod quarantine_unit;
mod raw_lines;
mod settings;
mod settings_wire_form;
mod table;
mod tls;
mod traffic_split;

pub use client_limits::{BODY_SPOOL_MAX, ClientLimits, SizeBytes};
pub use config_size::{Dimension, Footprint};
pub use forwarded_scheme::PathMatchByScheme;
pub use nginx::NginxSettings;
pub use path_precedence::{Application, PathAction, PathMatch};
pub use quarantine_unit::QuarantineUnit;
pub use raw_lines::LineList;
pub use settings::{
    AccessLogFormat, BackendHttpVersion, CONTROL_PLANE_TIMEOUT_MS, ClientAddress, ClientAddressSource, EngineSettings, LogLevel,
    TlsProtocol,
};
pub use table::{
    Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, Endpoint, PathRoute, Redirect, RouteTable, VirtualHost,
};
pub use tls::{MaterialKind, MaterialRef, TlsBinding, Verification};
