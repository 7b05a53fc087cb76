//! curl, the client that people use, for protocols that a test does not implement itself (TLS, HTTP/2).

use std::net::SocketAddr;
use std::process::Command;

/// What curl reported.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// curl's exit code: 0, 35 for a refused handshake, 52 for no answer, 60 for a certificate that does not match.
    pub exit: i32,
    /// 0 without an answer.
    pub status: u16,
    /// `1.1` or `2`.
    pub version: String,
    pub body: String,
}

/// Requests `https://host:port/path` from an address, trusting only the CA of the test run. `more`: further arguments.
pub async fn ask(at: SocketAddr, url: &str, ca: &std::path::Path, more: &[&str]) -> Seen {
    let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap().to_owned();
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "10", "--noproxy", "*", "--path-as-is", "--write-out", "\n%{http_code} %{http_version}"]);
    command.arg("--cacert").arg(ca).args(["--resolve", &format!("{host}:{}:{}", at.port(), at.ip())]).args(more).arg(url);
    let output = tokio::task::spawn_blocking(move || command.output().expect("curl is installed by `make setup`")).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, last) = text.rsplit_once('\n').unwrap();
    let (status, version) = last.split_once(' ').unwrap();
    Seen { exit: output.status.code().unwrap(), status: status.parse().unwrap(), version: version.to_owned(), body: body.to_owned() }
}
