//! Applications behind the proxy: each answers with its name.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::listening::until_free;

/// A running application, which ends with the test's runtime.
pub struct TestApplication {
    /// What it answers.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    slow_requests: watch::Receiver<u32>,
    stop: CancellationToken,
}

impl TestApplication {
    /// Starts an application that answers with its name everywhere, and with `slow NAME` after 1.5 seconds on `/slow`.
    pub async fn start(name: &'static str) -> Self {
        Self::start_at(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Like [`Self::start`], at a given address.
    pub async fn start_at(name: &'static str, address: SocketAddr) -> Self {
        until_free(address).await;
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, slow_requests) = watch::channel(0);
        let slow = get(async move || {
            sender.send_modify(|count| *count += 1);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            format!("slow {name}")
        });
        let router = Router::new()
            .route("/", get(async move || name).post(async move |body: Bytes| format!("{} bytes", body.len())))
            .route("/slow", slow);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stopping.cancelled().await });
        tokio::spawn(async move { serving.await });
        Self { name, address, slow_requests, stop }
    }

    /// Stops the application gracefully: it answers open requests and accepts no new connections.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until a slow request has arrived.
    pub async fn until_slow_request(&self) {
        self.slow_requests.clone().wait_for(|count| *count > 0).await.unwrap();
    }
}
