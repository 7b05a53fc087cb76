//! The URLs of the servers that a client of the channel knows: parses them, and resolves their host names. It must never remember
//! an address: tasks come and go.

use std::net::SocketAddr;

use url::Url;

use super::client_error::ClientError;
use crate::protocol::timings::RESOLVE_TIMEOUT;

/// The servers of comma-separated URLs, without duplicates.
pub(super) fn parse_servers(urls: &str) -> Result<Vec<Url>, ClientError> {
    let mut servers = Vec::new();
    for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
        let server = parse_server(url)?;
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    Ok(servers)
}

fn parse_server(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some_and(|host| !host.is_empty()));
    url.ok_or_else(|| ClientError::Url { url: text.to_owned() })
}

/// The addresses that the host name of a server has now.
pub(super) async fn resolve(server: &Url) -> Result<Vec<SocketAddr>, ClientError> {
    let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = server.port_or_known_default().unwrap_or(443);
    let failed = |reason: String| ClientError::Resolve { host: host.to_owned(), reason };
    let resolved = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let addresses = resolved.map_err(|_| failed("no answer in time".to_owned()))?.map_err(|error| failed(error.to_string()))?;
    Ok(addresses.collect())
}

/// The URL of a path of a server at one of its addresses.
pub(super) fn url_at(server: &Url, address: SocketAddr, path: &str) -> Url {
    let mut url = server.clone();
    // An https URL accepts any address as its host and any port: neither call can fail.
    let _ = url.set_ip_host(address.ip());
    let _ = url.set_port(Some(address.port()));
    url.set_path(path);
    url
}
