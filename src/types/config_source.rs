//! Where the configuration that a proxy runs came from.

use super::word_enum;

word_enum! {
    /// Where the configuration that a proxy runs came from.
    ConfigSource {
        /// The extension sent it.
        Live = "live",
        /// The same with names instead of addresses, because the addresses have not been confirmed for too long.
        Names = "names",
        /// The volume kept it, after a start without the extension.
        Volume = "volume",
        /// It is the mounted one, after a start without the extension: endpoints are found by name as well.
        Boot = "boot",
    }
}

impl ConfigSource {
    /// Whether endpoints are found by name.
    pub fn is_by_name(&self) -> bool {
        matches!(self, Self::Names | Self::Boot)
    }
}
