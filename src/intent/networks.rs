//! Which networks the proxies may be attached to, as it is meant. Only the document reader makes it.

use ipnet::IpNet;

use crate::types::{NetworkName, Refused};

/// Which networks the proxies may be attached to. By default those of the routes, as far as they do no harm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkRules {
    /// The closed list, if there is one; sorted, without duplicates.
    pub only: Option<Vec<NetworkName>>,
    /// Those to use first for a service that is on several and whose labels choose none, the best first.
    pub preferred: Vec<NetworkName>,
    /// Ranges that no attached network may overlap with: clients', offices', VPNs'.
    pub reserved: Vec<IpNet>,
}

impl NetworkRules {
    /// All names of networks in it.
    pub fn names(&self) -> impl Iterator<Item = &NetworkName> {
        self.only.iter().flatten().chain(&self.preferred)
    }

    /// Whether the administrator has named the network.
    pub fn name(&self, network: &str) -> bool {
        self.names().any(|name| name.as_str() == network)
    }

    /// The place of a network among the preferred ones; none if it is not one of them.
    pub fn preference(&self, network: &str) -> Option<usize> {
        self.preferred.iter().position(|name| name.as_str() == network)
    }
}

/// Reads a range of addresses: `10.8.0.0/16`, `2001:db8::/32`, or one address. Bits of a host are a slip, which could make
/// the range another than meant.
pub fn parse_range(text: &str) -> Result<IpNet, Refused> {
    let rule = || Refused("this is a range of addresses, or one address".to_owned());
    let text = text.trim();
    let net = text.parse::<IpNet>().or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address))).map_err(|_| rule())?;
    if net == net.trunc() { Ok(net) } else { Err(Refused(format!("the range of this length begins at {}", net.trunc()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_whole_or_refused() {
        for (text, expected) in [
            ("10.8.0.0/16", Ok("10.8.0.0/16")),
            (" 192.0.2.7 ", Ok("192.0.2.7/32")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("0.0.0.0/1", Ok("0.0.0.0/1")),
            ("10.8.0.1/16", Err("the range of this length begins at 10.8.0.0/16")),
            ("10.8.0.0/33", Err("this is a range of addresses, or one address")),
            ("10.8.0.0-10.8.0.9", Err("this is a range of addresses, or one address")),
            ("", Err("this is a range of addresses, or one address")),
        ] {
            let read = parse_range(text).map(|net| net.to_string()).map_err(|refused| refused.0);
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
