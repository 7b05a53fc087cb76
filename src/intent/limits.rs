//! How much of the proxies' configuration services may take, as it is meant: the defaults resolved. Plain numbers.

use crate::route::Footprint;

/// The limits of a cluster (`spec.limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each service.
    pub service: Footprint,
    /// For all of them together.
    pub cluster: Footprint,
    /// How often the labels of one service may change.
    pub label_updates: LabelUpdates,
}

/// How often the labels of one service may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelUpdates {
    /// So many in quick succession; at least 1.
    pub burst: u32,
    /// So many for ever; at least 1.
    pub per_minute: u32,
}

/// Measured with the real engine: docs/limits.md.
impl Default for Limits {
    fn default() -> Self {
        Self {
            service: Footprint { routes: 1_000, locations: 5_000, bytes: 4 << 20 },
            cluster: Footprint { routes: 10_000, locations: 50_000, bytes: 16 << 20 },
            label_updates: LabelUpdates { burst: 20, per_minute: 6 },
        }
    }
}
