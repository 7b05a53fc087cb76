//! The first representation: what the proxies of one cluster must say. Types, their order and digest; no behaviour
//! beyond that but the shares that follow from weights. Knows no Docker and no engine syntax, and imports only `types` and `report`.

mod settings;
mod shares;
mod table;
mod tls;

pub use settings::{AccessLogFormat, BackendHttpVersion, EngineSettings, LogLevel, SizeBytes, TlsProtocol};
pub use table::{
    Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, Endpoint, PathRoute, Redirect, RouteTable, VirtualHost,
};
pub use tls::{MaterialKind, MaterialRef, TlsBinding, Verification};
