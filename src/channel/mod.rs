//! What crosses process borders between operator, extension and proxy: HTTP with JSON bodies, versioned and described by
//! generated schemas, so that a third party can write an extension for another engine.
//!
//! - extension → operator: `GET /v1/clusters/{cluster}/desired?after=DIGEST&wait_ms=N` (long poll) and
//!   `POST /v1/clusters/{cluster}/report`.
//! - proxy → extension: `GET /v1/bundle?after=DIGEST&wait_ms=N` (long poll) and `POST /v1/proxies/{task}`.
//!
//! Every request carries `Authorization: Bearer TOKEN`. Imports `route`, `report`, `types`.

pub mod contract;
pub mod wire;
