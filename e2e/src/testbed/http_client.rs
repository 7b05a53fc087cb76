//! Requests as an outside client sends them: no proxy, no redirects followed, no retries. They leave through the network of the
//! calling thread, so a case (which runs inside the lab) can reach only the lab.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::command::finish;

const PATIENCE: Duration = Duration::from_secs(5);

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with invalid UTF-8 replaced.
    pub body: String,
}

impl Response {
    /// The first header with that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("status {} with a body that is no JSON: {:.200}", self.status, self.body))
    }
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct HttpCall {
    address: String,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    patience: Duration,
    from: Option<IpAddr>,
}

impl HttpCall {
    /// A GET of `path` from `address` (`IP:PORT`) with `host` as the Host header.
    pub fn get(address: &str, host: &str, path: &str) -> Self {
        let headers = vec![("host".to_owned(), host.to_owned())];
        let (address, path, body) = (address.to_owned(), path.to_owned(), String::new());
        Self { address, method: Method::GET, path, headers, body, patience: PATIENCE, from: None }
    }

    /// Makes it a POST of `body`.
    pub fn post(address: &str, host: &str, path: &str, body: &str) -> Self {
        Self { method: Method::POST, body: body.to_owned(), ..Self::get(address, host, path) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives up after `patience` instead of 5 seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends it from this address, one of [`crate::lab::Lab::clients`].
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.from = Some(address);
        self
    }

    /// Sends it and reads the whole response.
    pub fn send(&self) -> Result<Response> {
        self.send_by(&self.client()?)
    }

    /// Sends it `count` times over kept connections, one after the other.
    pub fn repeat(&self, count: usize) -> Result<Vec<Response>> {
        let client = self.client()?;
        (0..count).map(|_| self.send_by(&client)).collect()
    }

    /// Creates a new client for each call, because a client's threads and connections belong to the caller's network.
    fn client(&self) -> Result<Client> {
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(self.patience).local_address(self.from);
        client.build().context("make a client")
    }

    fn send_by(&self, client: &Client) -> Result<Response> {
        let url =
            Url::parse(&format!("http://{}{}", self.address, self.path)).with_context(|| format!("{} {}", self.address, self.path))?;
        let mut request = client.request(self.method.clone(), url.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        let answer = request.send().with_context(|| format!("{} {url}", self.method))?;
        let status = answer.status().as_u16();
        let readable = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = answer.headers().iter().map(readable).collect();
        let body = answer.bytes().with_context(|| format!("read the answer to {url}"))?;
        Ok(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// A GET of `path` from `address` (`IP:PORT`) with `host` as the Host header. Any status is `Ok`.
pub fn http_get(address: &str, host: &str, path: &str) -> Result<Response> {
    HttpCall::get(address, host, path).send()
}

/// The same through TLS, with `host` as the server name and any certificate accepted. `extra` is passed to curl unchanged:
/// `["--no-insecure", "--cacert", FILE]` accepts only certificates of that authority.
pub fn https_get(address: &str, host: &str, path: &str, extra: &[&str]) -> Result<Response> {
    curl(address, &format!("https://{host}{path}"), &[&["--http1.1"], extra].concat())
}

/// The same over a connection that begins with the PROXY protocol, which names this client.
pub fn http_get_by_proxy_protocol(address: &str, host: &str, path: &str) -> Result<Response> {
    curl(address, &format!("http://{host}{path}"), &["--http1.1", "--haproxy-protocol"])
}

/// The same over HTTP/2 in plain text with prior knowledge, as gRPC clients use it. Trailers follow the body, as curl prints
/// them.
pub fn h2c_get(address: &str, host: &str, path: &str, extra: &[&str]) -> Result<Response> {
    curl(address, &format!("http://{host}{path}"), &[&["--http2-prior-knowledge"], extra].concat())
}

fn curl(address: &str, url: &str, args: &[&str]) -> Result<Response> {
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--show-error", "--insecure", "--include", "--noproxy", "*"]);
    command.args(["--max-time", "5", "--connect-to", &format!("::{address}")]).args(args);
    let text = finish(command.arg(url))?;
    parse(&text).with_context(|| format!("an answer that is no HTTP: {text:.200}"))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    Some(Response { status, headers: headers.collect(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_split_into_its_parts() {
        let answer = parse("HTTP/1.1 404 Not Found\r\nX-Who: me\r\n\r\nnothing\r\n\r\nhere").unwrap();
        assert_eq!((answer.status, answer.header("x-who"), answer.body.as_str()), (404, Some("me"), "nothing\r\n\r\nhere"));
    }
}
