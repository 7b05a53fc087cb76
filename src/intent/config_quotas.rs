//! How much of the proxies' configuration services may use, with the defaults resolved. Plain numbers.

use crate::route::Footprint;

/// The limits of a cluster (`spec.limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigQuotas {
    /// For each service separately.
    pub service: Footprint,
    /// For all services of a team together.
    pub team: Footprint,
    /// For all services of the cluster together.
    pub cluster: Footprint,
    /// How often the labels of one service may change.
    pub label_updates: LabelUpdates,
}

/// How often the labels of one service may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelUpdates {
    /// The number of changes in quick succession; at least 1.
    pub burst: u32,
    /// The sustained number of changes; at least 1.
    pub per_minute: u32,
}

/// The default limit of a team: three quarters of the cluster's, rounded up, so that one route remains one. No single team can
/// fill a cluster, and a cluster with one team can use most of its space.
#[must_use]
pub fn share_of_team(cluster: Footprint) -> Footprint {
    Footprint { routes: three_quarters(cluster.routes), locations: three_quarters(cluster.locations), bytes: three_quarters(cluster.bytes) }
}

/// Three quarters of a whole, rounded up.
#[must_use]
pub fn three_quarters(whole: u64) -> u64 {
    whole - whole / 4
}

impl LabelUpdates {
    /// The limits that satisfy both.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self { burst: self.burst.min(other.burst), per_minute: self.per_minute.min(other.per_minute) }
    }
}

/// Measured with the real engine: docs/limits.md.
impl Default for ConfigQuotas {
    fn default() -> Self {
        let cluster = Footprint { routes: 10_000, locations: 50_000, bytes: 16 << 20 };
        Self {
            service: Footprint { routes: 1_000, locations: 5_000, bytes: 4 << 20 },
            team: share_of_team(cluster),
            cluster,
            label_updates: LabelUpdates { burst: 20, per_minute: 6 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_gets_three_quarters_of_the_limit_of_the_cluster_rounded_up() {
        for (cluster, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (10, 8), (10_000, 7_500), (u64::MAX, u64::MAX - u64::MAX / 4)] {
            let all = |number| Footprint { routes: number, locations: number, bytes: number };
            assert_eq!(share_of_team(all(cluster)), all(expected), "{cluster}");
        }
    }
}
