//! The lists of raw directives that administrators write. Names only; the lines are in the engine's settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A list of raw lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LineList {
    /// `tlsOptions`.
    Tls,
    /// `globalOptions`.
    Global,
    /// `httpOptions`.
    Http,
    /// `tcpOptions`.
    Tcp,
}

impl LineList {
    /// Every list.
    pub const ALL: [Self; 4] = [Self::Tls, Self::Global, Self::Http, Self::Tcp];

    /// The setting that contains the list.
    pub fn field(self) -> &'static str {
        match self {
            Self::Tls => "tlsOptions",
            Self::Global => "globalOptions",
            Self::Http => "httpOptions",
            Self::Tcp => "tcpOptions",
        }
    }
}
