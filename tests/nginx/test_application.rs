//! Small applications behind the engine, which report their name and the request that reached them.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::ports::free_port;

/// Starts an application that answers every request with its own name, the method, the target and all headers. `/_status/CODE`
/// returns that status, `/_large` returns a large header, and `/_commands` returns a header that would make the engine request
/// `/app/secret`.
pub async fn start(name: &'static str) -> SocketAddr {
    start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), name).await
}

/// Like [`start`], at a given address.
pub async fn start_at(address: SocketAddr, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(move |request: Request| std::future::ready(answer(name, &request)));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn answer(name: &'static str, request: &Request) -> Response {
    let uri = request.uri();
    let mut echoed = format!("app: {name}\nmethod: {}\ntarget: {uri}\nversion: {:?}\n", request.method(), request.version());
    for (name, value) in request.headers() {
        echoed.extend([name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\n"]);
    }
    let status = uri.path().strip_prefix("/_status/").and_then(|code| code.parse().ok()).unwrap_or(200);
    let mut response = (StatusCode::from_u16(status).unwrap(), echoed).into_response();
    if uri.path() == "/_large" {
        response.headers_mut().insert(HeaderName::from_static("x-large"), HeaderValue::from_str(&"x".repeat(12_000)).unwrap());
    }
    if uri.path().ends_with("/_commands") {
        response.headers_mut().insert(HeaderName::from_static("x-accel-redirect"), HeaderValue::from_static("/app/secret"));
    }
    if uri.path() == "/_echo" {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), HeaderValue::from_static("of-the-application"));
    }
    response
}

/// An application that upgrades every connection on request and then echoes what it receives.
pub async fn start_upgrading() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                let count = stream.read(&mut buffer).await.unwrap();
                let head = String::from_utf8_lossy(&buffer[..count]).to_ascii_lowercase();
                if !head.contains("upgrade: websocket") || !head.contains("connection: upgrade") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nno upgrade").await.unwrap();
                    return;
                }
                let switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
                stream.write_all(switching).await.unwrap();
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..count]).await.unwrap();
                }
            });
        }
    });
    address
}

/// An address without a listener.
pub fn closed_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}
