//! The first representation: what the proxies of one cluster must say. Types, their order and digest; no behaviour
//! beyond that but what follows from it for one request (shares, places). Knows no Docker and no engine syntax, and imports only `types` and `report`.

mod by_scheme;
mod footprint;
mod limits;
mod part;
mod places;
mod settings;
mod shares;
mod table;
mod tls;

pub use by_scheme::PlaceByScheme;
pub use footprint::{Dimension, Footprint};
pub use limits::{BODY_SPOOL_MAX, EdgeLimits};
pub use part::{LineList, Part};
pub use places::{Answer, Application, Place};
pub use settings::{
    AccessLogFormat, BackendHttpVersion, CONTROL_PLANE_TIMEOUT_MS, ClientAddress, ClientAddressSource, EngineSettings, LogLevel, SizeBytes,
    TlsProtocol,
};
pub use table::{
    Affinity, Backend, BackendProtocol, BackendService, DefaultBackend, Endpoint, PathRoute, Redirect, RouteTable, VirtualHost,
};
pub use tls::{MaterialKind, MaterialRef, TlsBinding, Verification};
