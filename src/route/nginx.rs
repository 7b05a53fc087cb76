//! Settings that only nginx has: raw directives and a template in its syntax, log formats with its variables, its buffers and
//! shared memory. Only `render/nginx` reads them; what every room may ask is a method of [`super::EngineSettings`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::client_limits::SizeBytes;
use super::raw_lines::LineList;
use crate::types::{ConfigTemplate, EngineLine, LogFormat};

/// Options that another engine could not honour.
// `settings_wire_form.rs` serializes it; what the attributes say about that is for the schema.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NginxSettings {
    /// How long a reload or stop keeps idle client connections open for one more request, in milliseconds.
    pub keepalive_min_timeout_ms: u64,
    /// The memory for a request body before it is written to a file.
    pub client_body_buffer_size: SizeBytes,
    /// The memory for a small request header.
    pub client_header_buffer_size: SizeBytes,
    /// How many large header buffers a request may use.
    pub large_client_header_buffers_count: u16,
    /// The size of each of them: the longest single header line.
    pub large_client_header_buffer_size: SizeBytes,
    /// Whether header names with underscores are passed on.
    pub underscores_in_headers: bool,
    /// The format `main`; absent: the renderer's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_log_format: Option<LogFormat>,
    /// The format `trace`; absent: the renderer's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_log_format: Option<LogFormat>,
    /// The shared memory of each pool, for the state of its endpoints.
    pub upstream_zone_size: SizeBytes,
    /// Raw directives about TLS, for all hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_options: Vec<EngineLine>,
    /// Raw directives at the top level, outside of all blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub global_options: Vec<EngineLine>,
    /// Raw directives about HTTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_options: Vec<EngineLine>,
    /// A template of the whole configuration written by an administrator; absent: the renderer's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<ConfigTemplate>,
    /// Raw directives about passed-through connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp_options: Vec<EngineLine>,
}

impl Default for NginxSettings {
    fn default() -> Self {
        Self {
            // Measured: without it a reload cuts off keep-alive clients, with 5 s none.
            // Well above the pause between two requests of a page, and below the two seconds between Swarm taking a task out
            // of use and ending it, because such a connection still leads to the old endpoints.
            keepalive_min_timeout_ms: 1_500,
            client_body_buffer_size: SizeBytes(8 << 10),
            client_header_buffer_size: SizeBytes(1 << 10),
            large_client_header_buffers_count: 4,
            large_client_header_buffer_size: SizeBytes(8 << 10),
            underscores_in_headers: false,
            main_log_format: None,
            trace_log_format: None,
            upstream_zone_size: SizeBytes(64 << 10),
            template: None,
            tls_options: Vec::new(),
            global_options: Vec::new(),
            http_options: Vec::new(),
            tcp_options: Vec::new(),
        }
    }
}

impl NginxSettings {
    /// Whether header names with underscores reach applications. Many applications, like nginx itself, treat them as
    /// hyphens.
    pub fn passes_underscores(&self) -> bool {
        let line = |words: Vec<String>| {
            words.first().is_some_and(|name| name == "underscores_in_headers") && words.get(1).is_some_and(|on| on == "on")
        };
        self.underscores_in_headers || self.http_options.iter().any(|lines| lines.words().into_iter().any(line))
    }

    /// The raw directives of a list.
    pub(super) fn lines(&self, list: LineList) -> &[EngineLine] {
        match list {
            LineList::Tls => &self.tls_options,
            LineList::Global => &self.global_options,
            LineList::Http => &self.http_options,
            LineList::Tcp => &self.tcp_options,
        }
    }

    /// The same, to change them.
    pub(super) fn lines_mut(&mut self, list: LineList) -> &mut Vec<EngineLine> {
        match list {
            LineList::Tls => &mut self.tls_options,
            LineList::Global => &mut self.global_options,
            LineList::Http => &mut self.http_options,
            LineList::Tcp => &mut self.tcp_options,
        }
    }
}
