//! How a request reaches a proxy, as described by the user: from which address, with which headers, after which PROXY
//! header. Without a description, a load balancer in front is assumed to report what the client requested.

use std::net::IpAddr;

use crate::render::ReceivedRequest;
use crate::types::visible;

/// An invalid description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequestSource(String);

/// A connection to a proxy, and the request on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSource {
    /// The peer of the connection.
    pub from: IpAddr,
    /// The header lines about the client, names in lower case.
    headers: Vec<(String, String)>,
    /// The PROXY header at the beginning of the connection.
    pub proxy: Option<ProxyHeader>,
}

/// A header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client, and the port that it connected to; `None`: the sender connects on its own behalf.
    pub addresses: Option<(IpAddr, u16)>,
}

impl RequestSource {
    /// Parses a description; `None` if nothing is described. `headers`: one on each line.
    pub fn parse(from: Option<&str>, headers: Option<&str>, proxy: Option<&str>) -> Result<Option<Self>, InvalidRequestSource> {
        let Some(from) = from else {
            let more = headers.is_some_and(|lines| !lines.trim().is_empty()) || proxy.is_some();
            let needed = "headers and a PROXY header need the source address of the connection; set it with from";
            return if more { Err(bad(needed)) } else { Ok(None) };
        };
        let no_address = || bad(&format!("{} is not a valid source address; use an address such as 10.0.0.5", visible(from)));
        let from = from.trim().parse().map_err(|_| no_address())?;
        let lines = headers.unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
        Ok(Some(Self { from, headers: lines.map(header).collect::<Result<_, _>>()?, proxy: proxy.map(ProxyHeader::parse).transpose()? }))
    }

    fn list(&self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        let values: Vec<&str> = self.headers.iter().filter(|(known, _)| is_it(known)).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

impl ReceivedRequest for RequestSource {
    fn peer(&self) -> IpAddr {
        self.from
    }

    fn header(&self, name: &str) -> Option<String> {
        self.list(|known| known == name)
    }

    fn header_in_any_spelling(&self, name: &str) -> Option<String> {
        self.list(|known| known.replace('_', "-") == name)
    }

    fn proxied_for(&self) -> Option<(IpAddr, u16)> {
        self.proxy?.addresses
    }
}

fn header(line: &str) -> Result<(String, String), InvalidRequestSource> {
    let split = line.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match split.filter(|(name, _)| is_name(name)) {
        Some((name, _)) if name == "host" => Err(bad("the Host header comes from the URL; set the host there")),
        Some(header) => Ok(header),
        None => Err(bad(&format!("{} is not a valid header; use a format such as X-Forwarded-Proto: https", visible(line)))),
    }
}

impl ProxyHeader {
    /// Parses the line of version 1, the form that people write.
    fn parse(line: &str) -> Result<Self, InvalidRequestSource> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let addresses = match fields[..] {
            ["PROXY", "UNKNOWN", ..] => Some(None),
            ["PROXY", "TCP4" | "TCP6", source, _, _, port] => source.parse().ok().zip(port.parse().ok()).map(Some),
            _ => None,
        };
        let usage = "use a format such as PROXY TCP4 203.0.113.9 10.0.0.5 51000 443 (client, load balancer, and their ports)";
        addresses.map(|addresses| Self { addresses }).ok_or_else(|| bad(&format!("{} is not a valid PROXY header; {usage}", visible(line))))
    }
}

fn bad(why: &str) -> InvalidRequestSource {
    InvalidRequestSource(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_of_a_connection_is_parsed() {
        assert_eq!(RequestSource::parse(None, None, None), Ok(None));
        let headers = "Forwarded: for=1.2.3.4\n\nX-Forwarded-Proto : https \nforwarded: for=10.0.0.5";
        let sent =
            RequestSource::parse(Some("10.0.0.5"), Some(headers), Some("PROXY TCP4 203.0.113.9 10.0.0.5 51000 443")).unwrap().unwrap();
        assert_eq!(sent.header("forwarded").as_deref(), Some("for=1.2.3.4, for=10.0.0.5"));
        assert_eq!((sent.header("x-forwarded-proto").as_deref(), sent.header("cookie")), (Some("https"), None));
        assert_eq!(sent.proxy.unwrap().addresses, Some(("203.0.113.9".parse().unwrap(), 443)));
        assert_eq!(
            RequestSource::parse(Some("::1"), None, Some("PROXY UNKNOWN")).unwrap().unwrap().proxy,
            Some(ProxyHeader { addresses: None })
        );
    }

    #[test]
    fn an_invalid_description_is_an_error() {
        for (from, headers, proxy, why) in [
            (None, Some("A: b"), None, "need the source address"),
            (Some("example.org"), None, None, "example.org is not a valid source address"),
            (Some("::1"), Some("no header"), None, "no header is not a valid header"),
            (Some("::1"), Some("Host: x"), None, "comes from the URL"),
            (Some("::1"), None, Some("PROXY TCP4 1.2.3.4"), "is not a valid PROXY header"),
        ] {
            let error = RequestSource::parse(from, headers, proxy).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
