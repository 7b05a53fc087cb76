//! Patterns for the host and port that a client requested, as a load balancer states them. Macros, because `concat!` builds
//! larger patterns of them.

/// A valid port.
macro_rules! port_pattern {
    () => {
        r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// A host as clients may name it, with or without a port.
macro_rules! site_pattern {
    () => {
        concat!(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::", port_pattern!(), ")?")
    };
}

pub(super) use {port_pattern, site_pattern};
