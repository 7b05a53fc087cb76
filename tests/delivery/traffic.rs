//! Clients of the proxy: single requests, and a steady load on kept connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One request to a host; an answer that is not 200 is an error.
pub async fn get(proxy: SocketAddr, host: &str, path: &str) -> Result<String, String> {
    request(&client(), proxy, host, path).await
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

async fn request(client: &Client, proxy: SocketAddr, host: &str, path: &str) -> Result<String, String> {
    let url = format!("http://{proxy}{path}");
    let response = client.get(url).header("Host", host).send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.text().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
}

/// The outcome of a load.
#[derive(Debug, Clone, Default)]
pub struct LoadOutcome {
    /// The number of requests that were answered with 200.
    pub answered: usize,
    /// Descriptions of all other results.
    pub failed: Vec<String>,
    /// The number of answers with each body.
    pub bodies: BTreeMap<String, usize>,
}

/// Several clients that send requests one after another on kept connections.
pub struct SteadyLoad {
    clients: JoinSet<LoadOutcome>,
    stop: CancellationToken,
}

impl SteadyLoad {
    /// Starts the clients.
    pub fn start(proxy: SocketAddr, host: &'static str, clients: usize) -> Self {
        Self::of(clients, |stop| one_client(proxy, host, stop))
    }

    /// Starts this many clients, each of which ends soon after its token is cancelled.
    pub fn of<C>(clients: usize, client: impl Fn(CancellationToken) -> C) -> Self
    where
        C: Future<Output = LoadOutcome> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let clients = (0..clients).map(|_| client(stop.clone())).collect();
        Self { clients, stop }
    }

    /// Ends the load and returns its outcome.
    pub async fn finish(self) -> LoadOutcome {
        self.stop.cancel();
        let mut sum = LoadOutcome::default();
        for outcome in self.clients.join_all().await {
            sum.answered += outcome.answered;
            sum.failed.extend(outcome.failed);
            outcome.bodies.into_iter().for_each(|(body, count)| *sum.bodies.entry(body).or_default() += count);
        }
        sum
    }
}

/// A client that never repeats a request: a request without an answer has failed. It only follows HTTP: it opens another
/// connection after an answer with `Connection: close`.
async fn one_client(proxy: SocketAddr, host: &'static str, stop: CancellationToken) -> LoadOutcome {
    let mut outcome = LoadOutcome::default();
    let mut connection = None;
    // Some 100 requests per second and client, so that the load does not starve what is tested; at most one minute.
    for _ in 0..6000 {
        if stop.is_cancelled() {
            break;
        }
        let response = tokio::time::timeout(Duration::from_secs(10), ask(proxy, host, connection.take())).await;
        match response.unwrap_or_else(|_| Err("no answer within 10 s".to_owned())) {
            Ok((body, kept)) => {
                connection = kept;
                outcome.answered += 1;
                *outcome.bodies.entry(body).or_default() += 1;
            }
            Err(error) => outcome.failed.push(error),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    outcome
}

/// Sends one request; returns the body, and the connection if it can be reused.
async fn ask(proxy: SocketAddr, host: &str, kept: Option<TcpStream>) -> Result<(String, Option<TcpStream>), String> {
    let is_fresh = kept.is_none();
    let mut connection = match kept {
        Some(connection) => connection,
        None => TcpStream::connect(proxy).await.map_err(failed_while("connecting"))?,
    };
    let (body, stays) = exchange(&mut connection, host).await.map_err(|error| format!("{error} (fresh: {is_fresh})"))?;
    Ok((body, stays.then_some(connection)))
}

fn failed_while(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// Sends one request on a connection; returns the body, and whether the connection can be reused.
pub async fn exchange(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), host: &str) -> Result<(String, bool), String> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.map_err(failed_while("writing"))?;
    let mut answer = Vec::new();
    loop {
        if let Some((head, body)) = whole(&answer) {
            let success = head.starts_with("HTTP/1.1 200 ");
            let closes = head.to_ascii_lowercase().contains("connection: close");
            return if success { Ok((body, !closes)) } else { Err(head) };
        }
        let read = connection.read_buf(&mut answer).await.map_err(failed_while("reading"))?;
        if read == 0 {
            return Err(format!("closed after {} bytes", answer.len()));
        }
    }
}

/// The head and body of a complete answer with a length.
fn whole(answer: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    (body.len() >= length).then(|| (head.to_owned(), body.to_owned()))
}
