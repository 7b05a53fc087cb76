//! The HTTP of the channel between operator, extension and proxy: the client, the part that both servers share, the operator's
//! hub, and how a task gets its certificates. Messages and timings are in `protocol`.
//!
//! Everything uses TLS 1.3, and both sides present certificates of the operator's authority for their role and cluster; only
//! the first request for a certificate comes without one and carries `Authorization: Bearer TOKEN` instead.

mod bootstrap_file;
mod client;
mod client_error;
mod content_age;
mod enrolment;
mod follower;
mod freshness;
mod hub;
mod peer_addresses;
mod server;
mod server_urls;

pub use bootstrap_file::{BootstrapError, read_bootstrap};
pub use client::{ChannelClient, PollResponse, PollResult};
pub use client_error::ClientError;
pub use content_age::ContentAges;
pub use enrolment::Enrolment;
pub use follower::Follower;
pub use freshness::{Moment, freshness_headers};
pub use hub::{Hub, Received};
pub use peer_addresses::follow_peers;
pub use server::{LongPoll, LongPollResult, PollRejection, has_certificate_for, read_message, serve, wait_for_newer};
