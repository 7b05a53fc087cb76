//! Ranges of addresses as administrators write them: `10.0.0.0/8`, `2001:db8::/32`, or one address. Non-zero bits after the
//! prefix are rejected, so that equal ranges have one form and a mistyped range is noticed.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidValue;

/// IPv4 addresses in the form of IPv6 ones (`::ffff:0:0/96`), from which no connection ever comes.
const MAPPED_PREFIX: u8 = 96;

/// A range of addresses. Displays as `ADDRESS/PREFIX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Parses a range, or a single address as a range of its own.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let rule = || InvalidValue("a range must be an IP address with an optional prefix length".to_owned());
        if let Some(address) = text.parse::<IpAddr>().ok().filter(is_a_network) {
            // A mistake that would exclude every intended address.
            let (usual, whole) = if address.is_ipv4() { (24, 32) } else { (64, 128) };
            return Err(InvalidValue(format!(
                "{address} looks like a range without its prefix length: write {address}/{usual}, for example, or {address}/{whole} for \
                 this address only"
            )));
        }
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| rule())?;
        match range {
            // Engines reject it as a mistake, and no connection comes from there.
            IpNet::V4(four) if four.prefix_len() == 32 && four.addr().is_broadcast() => Err(rule()),
            IpNet::V6(six) if is_mapped(six) => Err(InvalidValue(format!("IPv4 ranges must be written in IPv4 notation: {}", four(six)))),
            // A mistake, which would make it a different range than intended.
            range if range != range.trunc() => Err(InvalidValue(format!("the range with this prefix length is {}", range.trunc()))),
            range => Ok(Self(range)),
        }
    }

    /// The range itself.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether it contains every address of its family.
    pub fn is_any(&self) -> bool {
        self.0.prefix_len() == 0
    }

    /// The length of the prefix in bits.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether its addresses are IPv4.
    pub fn is_v4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }
}

/// Whether the address has trailing zeros like a network's, as in 10.8.0.0 or `2001:db8::`.
fn is_a_network(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.octets()[3] == 0,
        IpAddr::V6(six) => six.segments()[4..] == [0; 4],
    }
}

fn is_mapped(range: Ipv6Net) -> bool {
    range.prefix_len() >= MAPPED_PREFIX && range.addr().to_ipv4_mapped().is_some()
}

fn four(range: Ipv6Net) -> String {
    let address = range.addr().to_ipv4_mapped().map(|address| address.to_string()).unwrap_or_default();
    format!("{address}/{}", range.prefix_len() - MAPPED_PREFIX)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for AddressRange {
    type Error = InvalidValue;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<AddressRange> for String {
    fn from(value: AddressRange) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(AddressRange::parse(text).ok().map(|range| range.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn ranges_and_addresses_are_read_in_their_usual_form() {
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("192.0.2.7", Some("192.0.2.7/32"));
        check("2001:DB8:0::/32", Some("2001:db8::/32"));
        check("::1", Some("::1/128"));
        check("0.0.0.0/0", Some("0.0.0.0/0"));
        check("10.8.0.0/32", Some("10.8.0.0/32"));
    }

    #[test]
    fn invalid_ranges_are_refused() {
        for text in [
            "",
            " 10.0.0.0/8",
            "10.1.2.3/8",
            "2001:db8::1/32",
            "10.8.0.0-10.8.0.9",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/255.0.0.0",
            "example.org",
            "::/129",
            "fe80::1%eth0",
            "10.0.0.0/8;",
            "255.255.255.255",
            "10.8.0.0",
            "2001:db8::",
        ] {
            check(text, None);
        }
        assert_eq!(
            AddressRange::parse("::ffff:10.0.0.0/104"),
            Err(InvalidValue("IPv4 ranges must be written in IPv4 notation: 10.0.0.0/8".to_owned()))
        );
    }
}
