//! What a proxy knows about networks that are new to it, from one environment variable: a task that starts during their first
//! rollout proves that it is reachable and reaches them before it counts as running. A task that starts later, for instance
//! after a power cut, need not prove anything: the stated period is over. Imports `types` only.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::Timestamp;

/// Networks that are new to a proxy, and how the proxy is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNetworks {
    /// When the rollout began.
    pub from: Timestamp,
    /// When the rollout ends at the latest: a task that starts later does not belong to it.
    pub until: Timestamp,
    /// The subnets of each network that is not new, including the routing mesh's.
    pub known: Vec<Vec<IpNet>>,
    /// The subnets of each new network.
    pub new: Vec<Vec<IpNet>>,
    /// The port on the node at which the proxy answers, if it has its own.
    pub node_port: Option<u16>,
    /// The port in the container.
    pub port: u16,
}

/// The text is not a valid value of the variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid list of new networks from an operator")]
pub struct InvalidNewNetworks;

/// `FROM UNTIL PORT NODE_PORT KNOWN NEW`: `+` separates the subnets of a network, `,` separates networks, `-` means none.
impl fmt::Display for NewNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node_port = self.node_port.map_or_else(|| NOTHING.to_owned(), |port| port.to_string());
        let (from, until, port) = (self.from.as_second(), self.until.as_second(), self.port);
        write!(f, "{from} {until} {port} {node_port} {} {}", written(&self.known), written(&self.new))
    }
}

const NOTHING: &str = "-";

fn written(networks: &[Vec<IpNet>]) -> String {
    let subnets = |network: &Vec<IpNet>| network.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    let texts: Vec<String> = networks.iter().filter(|network| !network.is_empty()).map(subnets).collect();
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(",") }
}

impl FromStr for NewNetworks {
    type Err = InvalidNewNetworks;

    fn from_str(text: &str) -> Result<Self, InvalidNewNetworks> {
        let fields: Vec<&str> = text.split(' ').collect();
        let [from, until, port, node_port, known, new] = fields[..] else { return Err(InvalidNewNetworks) };
        let time = |word: &str| word.parse().ok().and_then(|second| Timestamp::from_second(second).ok()).ok_or(InvalidNewNetworks);
        let number = |word: &str| word.parse::<u16>().map_err(|_| InvalidNewNetworks);
        Ok(Self {
            from: time(from)?,
            until: time(until)?,
            known: read(known)?,
            new: read(new)?,
            node_port: if node_port == NOTHING { None } else { Some(number(node_port)?) },
            port: number(port)?,
        })
    }
}

fn read(word: &str) -> Result<Vec<Vec<IpNet>>, InvalidNewNetworks> {
    if word == NOTHING {
        return Ok(Vec::new());
    }
    let network = |text: &str| text.split('+').map(|subnet| subnet.parse().map_err(|_| InvalidNewNetworks)).collect();
    word.split(',').map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_values_are_read_back_and_others_are_rejected() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let full = NewNetworks {
            from: Timestamp::from_second(100).unwrap(),
            until: Timestamp::from_second(280).unwrap(),
            known: vec![vec![net("10.0.1.0/24")]],
            new: vec![vec![net("10.0.2.0/24"), net("fd00::/64")], vec![net("10.0.3.0/24")]],
            node_port: Some(8082),
            port: 80,
        };
        assert_eq!(full.to_string(), "100 280 80 8082 10.0.1.0/24 10.0.2.0/24+fd00::/64,10.0.3.0/24");
        assert_eq!(full.to_string().parse(), Ok(full.clone()));
        let bare = NewNetworks { known: vec![], new: vec![vec![]], node_port: None, ..full };
        assert_eq!(bare.to_string(), "100 280 80 - - -");
        assert_eq!(bare.to_string().parse(), Ok(NewNetworks { new: vec![], ..bare }));
        for wrong in ["", "1 2 3", "1 2 80 - - x", "1 2 80 - - 10.0.0.0/24,", "x 2 80 - - -", "1 2 70000 - - -", "1 2 80 - - - -"] {
            assert_eq!(wrong.parse::<NewNetworks>(), Err(InvalidNewNetworks), "{wrong:?}");
        }
    }
}
