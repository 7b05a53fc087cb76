//! The limits on clients and on what the engine holds for them, validated and with units. Defaults are generous: they stop a
//! client that takes everything, not a service with many users.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SizeBytes(pub u64);

/// The space that request bodies may take on a proxy's volume by default: used by the agent, and for checking documents.
pub const BODY_SPOOL_MAX: SizeBytes = SizeBytes(8 << 30);

/// Limits on the clients of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "EdgeLimits")]
pub struct ClientLimits {
    /// The number of simultaneous requests (and passed-through connections) of one client address; 0 = no limit, for clusters
    /// that do not see the addresses of clients.
    pub client_connections_max: u32,
    /// How long a client may take for a handshake, or for the head of a request, in milliseconds; 0 = no limit.
    pub client_header_timeout_ms: u64,
    /// How long a client may pause while it receives a response, in milliseconds; 0 = no limit.
    pub client_send_timeout_ms: u64,
    /// The number of simultaneous requests on one HTTP/2 connection.
    pub concurrent_streams_max: u32,
    /// How long a stream may be idle, in milliseconds; 0 = no limit.
    pub stream_idle_timeout_ms: u64,
    /// The number of workers that may still finish long connections of earlier configurations; 0 = no limit; absent: the
    /// agent's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_workers_max: Option<u32>,
    /// The total memory of these workers; 0 = no limit; absent: the agent's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retiring_memory_max: Option<SizeBytes>,
    /// The space that request bodies may take on a proxy's volume; 0 = no limit; absent: the agent's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_spool_max: Option<SizeBytes>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            client_connections_max: 0,
            // No client needs more for a head, and the limit bounds how long an unfinished head holds a connection.
            client_header_timeout_ms: 30_000,
            client_send_timeout_ms: 60_000,
            concurrent_streams_max: 128,
            stream_idle_timeout_ms: 3_600_000,
            retiring_workers_max: None,
            retiring_memory_max: None,
            body_spool_max: None,
        }
    }
}
