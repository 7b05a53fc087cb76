//! The protocol between operator, extension and proxy: every type, name and timing that crosses a process boundary. Messages
//! are JSON, versioned, and described by a generated schema, so that third parties can write an extension for another engine.
//!
//! - extension → operator: `GET /v1/clusters/{cluster}/desired?after=DIGEST&wait_ms=N` (long poll, a [`messages::Desired`]) and
//!   `POST /v1/clusters/{cluster}/report` (a [`messages::ExtensionReport`]).
//! - extension and proxy → operator, where they share no network: `GET /v1/clusters/{cluster}/peers?after=DIGEST&wait_ms=N`
//!   (long poll, a [`messages::PeerAddresses`]).
//! - proxy → extension: `GET /v1/bundle?after=DIGEST&wait_ms=N` (long poll, a [`messages::ProxyConfig`]) and
//!   `POST /v1/proxies/{task}` (a [`messages::ProxyReport`]); while something newer than what a proxy runs is being tested anywhere,
//!   `GET /v1/addresses?of=DIGEST` (a [`messages::Addresses`], or 404 for an offer that is no longer known).
//! - extension and proxy → operator: `POST /v1/clusters/{cluster}/certificate` (a [`messages::CertificateRequest`], answered by a
//!   [`messages::IssuedCertificate`]).
//!
//! A long poll answers 200 with something newer than `after`, 304 if there is nothing newer when the time is over, 401 to a
//! peer of another role or cluster, and 503 while there is nothing at all. Each answer, with or without content, carries its
//! age (`swarmgate-confirmed-ms-ago`, `freshness`).
//!
//! Pure: no sockets, no files, no clock. `channel` transports the messages.

pub(crate) mod admitted_tasks;
pub(crate) mod agent_settings;
pub mod boot_snapshot;
pub mod bootstrap;
mod bundle;
mod channel_mode;
pub mod container_contract;
pub(crate) mod freshness;
mod json_schema;
pub mod messages;
mod new_networks;
mod shared_secret;
pub mod size_limits;
pub(crate) mod timings;
mod version;

pub use admitted_tasks::{AdmittedTasks, AdmittedToken};
pub use bootstrap::Bootstrap;
pub use channel_mode::ChannelMode;
pub use json_schema::schema;
pub use new_networks::{InvalidNewNetworks, NewNetworks};
pub use shared_secret::{SharedSecret, bearer_matches};
