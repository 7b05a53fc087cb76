//! Size limits in bytes for everything that crosses process boundaries: one number per kind, which the sender checks before it
//! commits to a message and the receiver before it reads one. No I/O.

use serde::Serialize;

use super::messages::{Bundle, Desired, SecretFiles};
use crate::types::json_size;

/// A table (operator → extension), an offer (extension → proxy), a report (extension → operator). An offer contains two
/// configurations; those of 10,000 routes are some 10 MB.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// The maximum size of the rest of a report beside its configurations: proxies, material, messages. A proxy's message has a
/// maximum length, and so have the names of a certificate pair.
pub const REPORT_REST_BYTES_MAX: usize = 16 << 20;
/// A proxy's report (proxy → extension): its messages are 4 KiB at most, each character up to six bytes.
pub const PROXY_REPORT_BYTES_MAX: usize = 128 << 10;
/// A request for a certificate, which contains one public key.
pub const CERTIFICATE_REQUEST_BYTES_MAX: usize = 16 << 10;
/// The rest of an offer: digests, names, a signature with its certificate.
const OFFER_FRAME_BYTES: usize = 64 << 10;
/// What a proxy stores of an offer on its volume: the offer, wrapped once more.
pub const SAVED_BYTES_MAX: u64 = MESSAGE_BYTES_MAX as u64 + 4096;
/// One configuration, unpacked: it was part of an offer.
pub const BUNDLE_BYTES_MAX: u64 = MESSAGE_BYTES_MAX as u64;

/// A message is larger than its receiver reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has {bytes} bytes, more than the maximum of {max}")]
pub struct TooLarge {
    /// How large it is.
    pub bytes: usize,
    /// How large it may be.
    pub max: usize,
}

fn check(bytes: usize, max: usize) -> Result<(), TooLarge> {
    if bytes <= max { Ok(()) } else { Err(TooLarge { bytes, max }) }
}

/// Checks that a receiver can read a message.
///
/// # Errors
/// The message is too large.
pub fn check_message<T: Serialize>(message: &T) -> Result<(), TooLarge> {
    check(json_size(message), MESSAGE_BYTES_MAX)
}

/// Checks that an extension can read what it should render.
///
/// # Errors
/// The message is too large.
pub fn check_desired(desired: &Desired) -> Result<(), TooLarge> {
    check_message(desired)
}

/// Checks that proxies can read an offer with these parts, before it is signed.
///
/// # Errors
/// The offer is too large.
pub fn check_offer<T: Serialize>(live: &Bundle, boot: &Bundle, contents: &SecretFiles, parts: &T) -> Result<(), TooLarge> {
    let bytes = [json_size(live), json_size(boot), json_size(contents), json_size(parts), OFFER_FRAME_BYTES];
    check(bytes.into_iter().fold(0, usize::saturating_add), MESSAGE_BYTES_MAX)
}

/// Checks that the operator can read a report with these configurations, whatever else the report contains.
///
/// # Errors
/// The report is too large.
pub fn check_report(boot: &Bundle, mounted: Option<&Bundle>) -> Result<(), TooLarge> {
    let bytes = [json_size(boot), mounted.map_or(0, json_size), OFFER_FRAME_BYTES, REPORT_REST_BYTES_MAX];
    check(bytes.into_iter().fold(0, usize::saturating_add), MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::pki::{Authority, ChannelIdentity, ChannelRole};
    use crate::protocol::messages::ProxyConfig;
    use crate::types::{ClusterName, Digest};

    fn bundle(bytes: usize) -> Bundle {
        let files = BTreeMap::from([("nginx.conf".to_owned(), "x".repeat(bytes))]);
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files)
    }

    #[test]
    fn accepted_messages_are_readable_and_errors_contain_the_size() {
        let none = BTreeMap::<String, String>::new();
        let half = MESSAGE_BYTES_MAX / 2;
        let fits = |live: usize, boot: usize| check_offer(&bundle(live), &bundle(boot), &SecretFiles::default(), &none);
        assert_eq!(fits(half, half / 2), Ok(()));
        let error = fits(half, half).unwrap_err();
        assert!(error.bytes > MESSAGE_BYTES_MAX && error.to_string().contains(&error.bytes.to_string()), "{error}");
        assert_eq!(check_report(&bundle(half), None), Ok(()));
        assert!(check_report(&bundle(half), Some(&bundle(half))).is_err());
        assert!(check_report(&bundle(MESSAGE_BYTES_MAX - REPORT_REST_BYTES_MAX), None).is_err());
    }

    #[test]
    fn the_frame_of_an_offer_is_within_its_allowance() {
        let now = Timestamp::now();
        let (authority, dev) = (Authority::create(now).unwrap(), ClusterName::parse("dev").unwrap());
        let signer = ChannelIdentity::issued_by(&authority, ChannelRole::Extension, &dev, "t1", now).unwrap().signer();
        let plain = bundle(10);
        let stamped = plain.clone().signed(7, &signer, now);
        let offer = ProxyConfig::new(stamped.clone(), stamped, SecretFiles::default(), BTreeMap::new());
        assert!(json_size(&offer) < 2 * json_size(&plain) + OFFER_FRAME_BYTES);
    }
}
