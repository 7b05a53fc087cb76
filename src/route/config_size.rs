//! How much of a configuration a service or table takes, as plain sums, so that services can be held to a budget. The actual
//! content of a configuration is counted where it is written.

use std::fmt;

/// The share of an engine's configuration that something takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Routes: one host and path each, with a pool of endpoints. An engine looks up each pool among all others.
    pub routes: u64,
    /// Locations that answer: two for each path on each port, a few more for redirects and websockets.
    pub locations: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// One of the three dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// [`Footprint::routes`].
    Routes,
    /// [`Footprint::locations`].
    Locations,
    /// [`Footprint::bytes`].
    Bytes,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Routes => "routes",
            Self::Locations => "locations",
            Self::Bytes => "bytes",
        })
    }
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 3] = [Self::Routes, Self::Locations, Self::Bytes];

    /// The value in this dimension.
    pub fn value_in(self, footprint: &Footprint) -> u64 {
        match self {
            Self::Routes => footprint.routes,
            Self::Locations => footprint.locations,
            Self::Bytes => footprint.bytes,
        }
    }
}

impl Footprint {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.by(other, u64::saturating_add)
    }

    /// The amount by which this exceeds the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.by(other, u64::saturating_sub)
    }

    /// This size, multiplied.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.by(Self { routes: count, locations: count, bytes: count }, u64::saturating_mul)
    }

    /// The first dimension in which this exceeds a limit.
    pub fn exceeds(&self, limit: &Self) -> Option<Dimension> {
        Dimension::ALL.into_iter().find(|dimension| dimension.value_in(self) > dimension.value_in(limit))
    }

    fn by(self, other: Self, sum: fn(u64, u64) -> u64) -> Self {
        Self {
            routes: sum(self.routes, other.routes),
            locations: sum(self.locations, other.locations),
            bytes: sum(self.bytes, other.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprint(routes: u64, locations: u64, bytes: u64) -> Footprint {
        Footprint { routes, locations, bytes }
    }

    #[test]
    fn sums_never_overflow_and_a_limit_applies_in_each_dimension() {
        let most = footprint(u64::MAX, 1, 2);
        assert_eq!(most.plus(footprint(1, 1, 1)), footprint(u64::MAX, 2, 3));
        assert_eq!(footprint(1, 1, 1).minus(most), footprint(0, 0, 0));
        assert_eq!(footprint(u64::MAX, 1, 2).times(3), footprint(u64::MAX, 3, 6));
        let limit = footprint(2, 4, 8);
        for (found, expected) in [
            (footprint(2, 4, 8), None),
            (footprint(3, 4, 8), Some(Dimension::Routes)),
            (footprint(2, 5, 9), Some(Dimension::Locations)),
            (footprint(0, 0, 9), Some(Dimension::Bytes)),
        ] {
            assert_eq!(found.exceeds(&limit), expected, "{found:?}");
        }
    }
}
