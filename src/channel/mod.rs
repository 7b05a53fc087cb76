//! What crosses process borders between operator, extension and proxy: HTTP with JSON bodies, versioned and described by
//! generated schemas, so that a third party can write an extension for another engine.
//!
//! - extension → operator: `GET /v1/clusters/{cluster}/desired?after=DIGEST&wait_ms=N` (long poll, a [`wire::Desired`]) and
//!   `POST /v1/clusters/{cluster}/report` (a [`wire::ExtensionReport`]).
//! - extension and proxy → operator, where they share no network: `GET /v1/clusters/{cluster}/peers?after=DIGEST&wait_ms=N`
//!   (long poll, a [`wire::Peers`]).
//! - proxy → extension: `GET /v1/bundle?after=DIGEST&wait_ms=N` (long poll, a [`wire::ProxyConfig`]) and
//!   `POST /v1/proxies/{task}` (a [`wire::ProxyReport`]); while something newer than what a proxy runs is being tested anywhere,
//!   `GET /v1/addresses?of=DIGEST` (a [`wire::Addresses`], or 404 for an offer that is not known any more).
//!
//! - extension and proxy → operator: `POST /v1/clusters/{cluster}/certificate` (a [`wire::CertificateRequest`], answered by a
//!   [`wire::IssuedCertificate`]).
//!
//! All of it is TLS 1.3, and both sides show certificates of the operator's authority for their role and cluster; only the
//! first request for a certificate comes without one and carries `Authorization: Bearer TOKEN` instead. A long poll answers
//! 200 with something newer than `after`, 304 when the time is over and there is nothing newer, 401 to whoever is another
//! role or of another cluster, 503 while there is nothing at all. Answers with content and those without carry its age
//! (`swarmgate-confirmed-ms-ago`): how long ago a complete look at the Swarm last confirmed it.
//! Imports `http_server`, `pki`, `route`, `report`, `types`, `retry`.

pub mod boot;
pub mod bootstrap;
pub mod bounds;
mod bundle;
mod client;
mod confirmations;
pub mod contract;
mod enrolment;
mod freshness;
mod hub;
pub mod limits;
mod mode;
mod new_networks;
mod peers;
mod schema;
mod server;
mod token;
pub mod wire;

pub use bootstrap::{Bootstrap, BootstrapError};
pub use client::{Answer, ChannelClient, ClientError, Follower, Heard};
pub use confirmations::Confirmations;
pub use enrolment::Enrolment;
pub use freshness::{Moment, RETURN_AFTER, told as told_freshness};
pub use hub::{Admission, AdmittedToken, Hub, Received};
pub use mode::ChannelMode;
pub use new_networks::{NewNetworks, NotNewNetworks};
pub use peers::follow_peers;
pub use schema::schema;
pub use server::{LongPoll, NotNow, Waited, is, newer, read_message, serve};
pub use token::Token;
