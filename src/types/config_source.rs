//! Where the configuration that a proxy runs came from.

use super::word_enum;

word_enum! {
    /// Where the configuration that a proxy runs came from.
    ConfigSource {
        /// The extension gave it.
        Live = "live",
        /// The same with names instead of addresses, because nothing has confirmed these for too long.
        Names = "names",
        /// The volume kept it, since a start alone.
        Volume = "volume",
        /// It is what is mounted, since a start alone: endpoints are found by name as well.
        Boot = "boot",
    }
}

impl ConfigSource {
    /// Whether endpoints are found by name.
    pub fn is_by_name(&self) -> bool {
        matches!(self, Self::Names | Self::Boot)
    }
}
