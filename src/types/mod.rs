//! Validated values: strings and numbers that cannot be constructed invalid, so that no other code has to check them again.
//! A leaf: imports no other room, does no I/O.

mod cidr;
mod config_line;
mod config_source;
mod config_template;
mod config_text;
mod digest;
mod engine_kind;
mod glob;
mod host;
mod json_size;
mod names;
mod node_state;
mod path;
mod pem;
mod port;
mod route_key;
mod safe_display;
mod string_enum;
mod task_state;
mod update_order;
mod url;

pub use cidr::AddressRange;
pub use config_line::EngineLine;
pub use config_source::ConfigSource;
pub use config_template::ConfigTemplate;
pub(crate) use config_template::{TEMPLATE_FAULT, describe_error};
pub use config_text::{LogFormat, LogTarget, TlsCiphers};
pub use digest::Digest;
pub use engine_kind::{EngineKind, UnknownEngine};
pub use glob::{HostGlob, ObjectGlob, ServiceGlob};
pub use host::HostPattern;
pub use json_size::json_size;
pub use names::{ClusterName, ConfigId, CookieName, NetworkId, NetworkName, NodeId, ObjectName, SecretId, ServiceId, ServiceName, TaskId};
pub use node_state::{NodeAvailability, NodeState};
pub use path::ContextPath;
pub use pem::{CERTIFICATE_LABEL, pem};
pub use port::Port;
pub use route_key::{HostKey, RouteKey};
pub use safe_display::{excerpt, first_invisible, is_hidden, is_invisible, visible, visible_lines, without_invisible, without_private_key};
pub(crate) use string_enum::word_enum;
pub use task_state::{TaskState, UpdateState};
pub use update_order::UpdateOrder;
pub use url::{Scheme, SiteUrl};

/// Why a value was rejected: the required form. The caller adds the location and the value found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub String);

/// Implements serde, schema, display and ordering for a validated string type, all through its one constructor `parse`.
macro_rules! checked_string {
    ($name:ident) => {
        impl $name {
            /// The validated value.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::types::InvalidValue;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::parse(value)
            }
        }
        impl TryFrom<String> for $name {
            type Error = $crate::types::InvalidValue;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::parse(&value)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}
pub(crate) use checked_string;
