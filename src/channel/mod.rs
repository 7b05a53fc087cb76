//! What crosses process borders between operator, extension and proxy: HTTP with JSON bodies, versioned and described by
//! generated schemas, so that a third party can write an extension for another engine.
//!
//! - extension → operator: `GET /v1/clusters/{cluster}/desired?after=DIGEST&wait_ms=N` (long poll, a [`wire::Desired`]) and
//!   `POST /v1/clusters/{cluster}/report` (a [`wire::ExtensionReport`]).
//! - extension and proxy → operator, where they share no network: `GET /v1/clusters/{cluster}/peers?after=DIGEST&wait_ms=N`
//!   (long poll, a [`wire::Peers`]).
//! - proxy → extension: `GET /v1/bundle?after=DIGEST&wait_ms=N` (long poll, a [`wire::ProxyConfig`]) and
//!   `POST /v1/proxies/{task}` (a [`wire::ProxyReport`]).
//!
//! Every request carries `Authorization: Bearer TOKEN`. A long poll answers 200 with something newer than `after`, 304
//! when the time is over and there is nothing newer, 401 to a wrong token, 503 while there is nothing at all.
//! Imports `route`, `report`, `types`, `retry`.

pub mod boot;
mod client;
pub mod contract;
mod hub;
mod mode;
mod peers;
mod schema;
mod server;
mod token;
pub mod wire;

pub use client::{Answer, ChannelClient, ClientError, Follower};
pub use hub::{Hub, Received};
pub use mode::ChannelMode;
pub use peers::follow_peers;
pub use schema::schema;
pub use server::{LongPoll, NotNow, Waited, newer, read_message, serve};
pub use token::{Token, TokenError, bearer_matches};
