//! Clients of the proxy: single requests, and a steady load with connections that are kept.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One request to a host; an answer that is not 200 is an error.
pub async fn get(proxy: SocketAddr, host: &str, path: &str) -> Result<String, String> {
    request(&client(), proxy, host, path).await
}

/// A request with a bearer token: status and body.
pub async fn get_with_token(url: &str, token: Option<&str>) -> (u16, String) {
    let mut request = client().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
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

/// What a load saw.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Requests that were answered with 200.
    pub answered: usize,
    /// All others, in words.
    pub failed: Vec<String>,
    /// How often each body came.
    pub bodies: BTreeMap<String, usize>,
}

/// Several clients that send one request after the other on connections that are kept.
pub struct SteadyLoad {
    clients: JoinSet<Told>,
    stop: CancellationToken,
}

impl SteadyLoad {
    /// Starts the clients.
    pub fn start(proxy: SocketAddr, host: &'static str, clients: usize) -> Self {
        let stop = CancellationToken::new();
        let clients = (0..clients).map(|_| one_client(proxy, host, stop.clone())).collect();
        Self { clients, stop }
    }

    /// Ends the load and tells what it saw.
    pub async fn finish(self) -> Told {
        self.stop.cancel();
        let mut sum = Told::default();
        for told in self.clients.join_all().await {
            sum.answered += told.answered;
            sum.failed.extend(told.failed);
            told.bodies.into_iter().for_each(|(body, count)| *sum.bodies.entry(body).or_default() += count);
        }
        sum
    }
}

async fn one_client(proxy: SocketAddr, host: &'static str, stop: CancellationToken) -> Told {
    let client = client();
    let mut told = Told::default();
    // Some 20 requests a second and client, so that the load does not starve what is tested; never more than a minute.
    for _ in 0..1200 {
        if stop.is_cancelled() {
            break;
        }
        match request(&client, proxy, host, "/").await {
            Ok(body) => {
                told.answered += 1;
                *told.bodies.entry(body).or_default() += 1;
            }
            Err(words) => told.failed.push(words),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    told
}
