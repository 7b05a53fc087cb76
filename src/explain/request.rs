//! The request to explain: turns a URL as a person types it into the request that a client would send.

use url::{Host, Url};

use super::request_source::RequestSource;
use crate::render::{BadPath, behavior};
use crate::types::{EngineKind, Port, Scheme};

/// Why a URL cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} is not a valid URL: {why}; use a URL such as http://app.example.org/path")]
pub struct InvalidUrl {
    url: String,
    why: String,
}

/// A request as a client would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The name of the host, in ASCII and lower case; an address in its usual form.
    pub host: String,
    /// Whether the host is a name, which clients also send as the server name of TLS.
    pub is_name: bool,
    /// The port in the URL; `None`: the scheme's default.
    pub stated_port: Option<Port>,
    /// Path and query, as sent.
    pub target: String,
    /// How it reaches a proxy, if that is described; then the scheme is that of the connection.
    pub sent: Option<RequestSource>,
}

impl Request {
    /// Parses a URL. Without a scheme it is plain HTTP.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let bad = |why: &str| InvalidUrl { url: super::printable(text), why: why.to_owned() };
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(whole.trim()).map_err(|error| bad(&error.to_string()))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(bad("the scheme must be http or https")),
        };
        let host = url.host().ok_or_else(|| bad("the host is missing"))?;
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        Ok(Self {
            scheme,
            is_name: matches!(host, Host::Domain(_)),
            // The trailing dot of the DNS root is not part of the name that engines compare and answer.
            host: host.to_string().trim_end_matches('.').to_owned(),
            stated_port: stated_port(&whole, &url),
            target: format!("{}{query}", url.path()),
            sent: None,
        })
    }

    /// The same request of a client that sends this path and query verbatim. URL parsers resolve dot segments before
    /// sending, but an attacker need not use one.
    #[must_use]
    pub fn with_target(self, target: &str) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    /// The same request with a description of how it reaches a proxy.
    #[must_use]
    pub fn with_source(self, sent: Option<RequestSource>) -> Self {
        Self { sent, ..self }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.stated_port.map_or(if self.scheme == Scheme::Https { 443 } else { 80 }, Port::get)
    }

    /// The path as an engine's routes see it.
    pub fn path(&self, engine: EngineKind) -> Result<String, BadPath> {
        behavior(engine).normalized_path(self.requested_path())
    }

    /// The path as sent.
    pub fn requested_path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query, including its `?`.
    pub fn query(&self) -> &str {
        self.target.find('?').map_or("", |at| &self.target[at..])
    }

    /// The URL in its usual form.
    pub fn url(&self) -> String {
        let port = self.stated_port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}://{}{port}{}", self.scheme.as_str(), self.host, self.target)
    }
}

/// The library drops a port that is the scheme's default, but a user who writes it means it.
fn stated_port(text: &str, url: &Url) -> Option<Port> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
    let written = authority.rsplit_once(':').and_then(|(_, port)| Port::parse(port.trim()).ok());
    url.port().and_then(|port| Port::new(port).ok()).or(written)
}

#[cfg(test)]
mod tests {
    use super::{EngineKind, Request};

    fn check(text: &str, url: &str, port: u16, path: &str) {
        let request = Request::parse(text).unwrap();
        let seen = (request.url(), request.port(), request.path(EngineKind::Nginx));
        assert_eq!(seen, (url.to_owned(), port, Ok(path.to_owned())), "{text}");
    }

    #[test]
    fn a_url_is_parsed_as_a_client_would_send_it() {
        check("http://App.Example.org", "http://app.example.org/", 80, "/");
        check("app.example.org:8080/a%20b?x=1#top", "http://app.example.org:8080/a%20b?x=1", 8080, "/a b");
        check("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", 443, "/ä");
        check("http://h:80/a/../b//c", "http://h:80/b//c", 80, "/b/c");
        check("https://[::1]:8443/", "https://[::1]:8443/", 8443, "/");
        check("http://h./", "http://h/", 80, "/");
        check("some_app", "http://some_app/", 80, "/");
    }

    #[test]
    fn a_verbatim_target_keeps_its_dot_segments() {
        let request = Request::parse("http://h/").unwrap().with_target("/a%2fb/../x?y=..");
        assert_eq!((request.url(), request.path(EngineKind::Nginx)), ("http://h/a%2fb/../x?y=..".to_owned(), Ok("/a/x".to_owned())));
    }

    #[test]
    fn an_invalid_url_is_an_error() {
        for text in ["", "ftp://h/", "http://", "http://a b/", "http://h:99999/"] {
            let error = Request::parse(text).unwrap_err().to_string();
            assert!(error.contains("use a URL such as"), "{error}");
        }
    }
}
