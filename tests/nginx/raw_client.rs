//! A client that sends exactly the bytes that a test writes: no library is between the test and the wire.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The maximum time until an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    /// By lower-case name; the values of repeated headers joined by ` | `.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl HttpResponse {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The value of a line that the test application reports.
    pub fn echoed(&self, name: &str) -> &str {
        self.body.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default()
    }
}

/// Sends raw bytes and reads until the peer closes the connection.
pub async fn raw(to: SocketAddr, request: &str) -> HttpResponse {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream
            .read_to_end(&mut bytes)
            .await
            .unwrap_or_else(|error| panic!("{request:?}: {error} after {:?}", String::from_utf8_lossy(&bytes)));
        parse(&String::from_utf8_lossy(&bytes))
    };
    tokio::time::timeout(ANSWER_MAX, exchange).await.unwrap_or_else(|_| panic!("no answer to {request:?}"))
}

/// Sends raw bytes from one of this machine's addresses. The status is 0 if the connection closes without an answer.
pub async fn raw_bytes_from(from: IpAddr, to: SocketAddr, request: &[u8]) -> HttpResponse {
    let exchange = async {
        let socket = if from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let mut stream = socket.connect(to).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        // A reset also ends the answer.
        let _ = stream.read_to_end(&mut bytes).await;
        parse(&String::from_utf8_lossy(&bytes))
    };
    tokio::time::timeout(ANSWER_MAX, exchange).await.unwrap_or_else(|_| panic!("no answer to {:?}", String::from_utf8_lossy(request)))
}

/// Sends one request with a host, a target and further header lines (`name: value`).
pub async fn request(to: SocketAddr, method: &str, host: &str, target: &str, headers: &[&str]) -> HttpResponse {
    let lines: String = headers.iter().flat_map(|line| [*line, "\r\n"]).collect();
    raw(to, &format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")).await
}

/// A plain GET.
pub async fn get(to: SocketAddr, host: &str, target: &str) -> HttpResponse {
    request(to, "GET", host, target, &[]).await
}

fn parse(text: &str) -> HttpResponse {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let slot = headers.entry(name.to_ascii_lowercase()).or_default();
        *slot = if slot.is_empty() { value.trim().to_owned() } else { format!("{slot} | {}", value.trim()) };
    }
    HttpResponse { status, headers, body: body.to_owned() }
}
