//! Takes servers of a rendered configuration out of use: nginx sends nothing to a server that is `down`, and the rest stays as it is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// The same text with these addresses `down` in every pool.
pub(super) fn disable(text: &str, endpoints: &BTreeSet<SocketAddr>) -> String {
    text.lines().flat_map(|line| [disabled(line, endpoints), "\n".into()]).collect()
}

fn disabled<'a>(line: &'a str, endpoints: &BTreeSet<SocketAddr>) -> Cow<'a, str> {
    let mut parts = line.split_whitespace();
    let server = parts.next().filter(|word| *word == "server").and_then(|_| line.strip_suffix(';'));
    let address = parts.next().and_then(|address| address.trim_end_matches(';').parse().ok());
    match (server, address) {
        (Some(server), Some(address)) if endpoints.contains(&address) => format!("{server} down;").into(),
        _ => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_disabled_in_every_pool_and_nothing_else_changes() {
        let text = "upstream a {\n  server 192.0.2.1:80 max_fails=3;\n  server 192.0.2.2:80;\n  server 192.0.2.1:80 max_fails=0 backup;\n}\n\
                    server {\n  server_name 192.0.2.1:80;\n}\nupstream b {\n  server 192.0.2.1:81;\n  server [fd00::1]:80;\n}\n";
        let endpoints = ["192.0.2.1:80", "[fd00::1]:80"].map(|endpoint| endpoint.parse().unwrap());
        let expected = "upstream a {\n  server 192.0.2.1:80 max_fails=3 down;\n  server 192.0.2.2:80;\n  \
                        server 192.0.2.1:80 max_fails=0 backup down;\n}\nserver {\n  server_name 192.0.2.1:80;\n}\n\
                        upstream b {\n  server 192.0.2.1:81;\n  server [fd00::1]:80 down;\n}\n";
        assert_eq!(disable(text, &endpoints.into()), expected);
        assert_eq!(disable(text, &BTreeSet::new()), text);
    }
}
