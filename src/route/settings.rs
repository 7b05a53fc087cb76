//! Engine options that hold for all routes of a cluster, checked and in units. The renderer writes them in its
//! engine's words; nothing here is raw engine syntax.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SizeBytes(pub u64);

/// Options of the proxy engine; every field has a default that serves well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EngineSettings {
    /// Worker processes; 0 = one per processor.
    pub worker_processes: u16,
    /// Connections that one worker holds at most.
    pub max_connections: u32,
    /// Open files that one worker may have.
    pub open_files_max: u32,
    /// How long connecting to an endpoint may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long sending to either side may stall, in milliseconds.
    pub send_timeout_ms: u64,
    /// How long an endpoint may stay silent, in milliseconds.
    pub read_timeout_ms: u64,
    /// How long an idle client connection is kept, in milliseconds.
    pub keepalive_timeout_ms: u64,
    /// For how long a reload or stop keeps idle client connections open for one more request, in milliseconds.
    pub keepalive_min_timeout_ms: u64,
    /// For how long old workers finish open requests after a reload, in milliseconds; 0 = without limit.
    pub worker_shutdown_timeout_ms: u64,
    /// The largest request body.
    pub client_max_body_size: SizeBytes,
    /// The memory for a request body before it goes to a file.
    pub client_body_buffer_size: SizeBytes,
    /// The memory for a small request header.
    pub client_header_buffer_size: SizeBytes,
    /// How many large header buffers a request may use.
    pub large_client_header_buffers_count: u16,
    /// The size of each of them: the longest single header line.
    pub large_client_header_buffer_size: SizeBytes,
    /// How long a client may stall while it sends its body, in milliseconds.
    pub client_body_timeout_ms: u64,
    /// Whether header names with underscores are passed on.
    pub underscores_in_headers: bool,
    /// Whether the `x-…` information headers are left out of answers.
    pub hide_info_headers: bool,
    /// Whether requests are logged (to standard output).
    pub access_log: bool,
    /// Shared memory per pool, for its endpoints' state.
    pub upstream_zone_size: SizeBytes,
}

impl EngineSettings {
    /// Milliseconds as a duration.
    pub fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            worker_processes: 1,
            max_connections: 4096,
            open_files_max: 65_535,
            // Interlock's 600 s hid dead endpoints; 5 s is what its later releases wrote.
            connect_timeout_ms: 5_000,
            send_timeout_ms: 600_000,
            read_timeout_ms: 600_000,
            keepalive_timeout_ms: 75_000,
            // Measured: without it a reload cuts keep-alive clients off, with 5 s none is.
            // Well above the pause between two requests of a page; and below the two seconds that Swarm leaves between
            // taking a task out of use and ending it, because such a connection still leads to the endpoints of before.
            keepalive_min_timeout_ms: 1_500,
            worker_shutdown_timeout_ms: 600_000,
            client_max_body_size: SizeBytes(1 << 20),
            client_body_buffer_size: SizeBytes(8 << 10),
            client_header_buffer_size: SizeBytes(1 << 10),
            large_client_header_buffers_count: 4,
            large_client_header_buffer_size: SizeBytes(8 << 10),
            client_body_timeout_ms: 60_000,
            underscores_in_headers: false,
            hide_info_headers: false,
            access_log: true,
            upstream_zone_size: SizeBytes(64 << 10),
        }
    }
}
