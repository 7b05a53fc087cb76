//! The address ranges of trusted load balancers as lines of a `geo` block. Does not decide which ranges are trusted.

use crate::render::nginx::writer::Writer;
use crate::types::AddressRange;

/// Writes one line for each range. An entire address family is written as its two halves, because nginx treats the whole as
/// the default.
pub(super) fn write(geo: &mut Writer, trusted: &[AddressRange]) {
    for range in trusted {
        match (range.is_any(), range.is_v4()) {
            (true, true) => ["0.0.0.0/1", "128.0.0.0/1"].into_iter().for_each(|half| geo.entry(half, "1")),
            (true, false) => ["::/1", "8000::/1"].into_iter().for_each(|half| geo.entry(half, "1")),
            (false, _) => geo.entry_words(&range.into(), &"1".into()),
        }
    }
}
