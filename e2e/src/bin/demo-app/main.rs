//! `demo-app`: a small web server that reports the requests it receives, for demos and tests of an ingress. It must never lose
//! a request that it has begun, nor be taken as an example of a production service.
//!
//! It speaks HTTP/1.1 and, to clients that begin with it, HTTP/2. Every path answers with JSON about the request, except
//! `/slow?ms=N` (headers at once, the rest after N ms), `/fail?code=N`, `/big?bytes=N`, `/healthz`, `/call` (as a gRPC method
//! ends: with trailers), `/ws` and `/talk` (websockets that echo). As `demo-app get URL` it is a client, to look from inside a container.
//!
//! Environment: `PORT`, `VERSION`, `START_DELAY_MS`, `EXIT_AFTER_MS`; `START_ON_USR1` (to anything: listen on nothing until
//! that signal comes); `HANG_UP` (to anything: read every request and close the connection without an answer); `TLS`
//! (`self-signed`, or a PEM file with certificates and key); `TELL` (to anything: print every request with its headers, and
//! every client that ends a TLS handshake).

mod secure;

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use axum::serve::{IncomingStream, Listener};
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use secure::{Caller, Secure};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Tests send small bodies; a larger body is cut off here and the rest is not counted.
const LARGEST_BODY: usize = 64 << 20;

/// What this instance reports about itself.
#[derive(Clone)]
struct Identity {
    version: String,
    hostname: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let work = async {
        match arguments.as_slice() {
            [] => serve().await,
            [verb, url] if verb == "get" => fetch(url).await,
            other => bail!("`demo-app` or `demo-app get URL`, not {other:?}"),
        }
    };
    tokio::select! {
        outcome = work => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                eprintln!("demo-app: {reason:#}");
                ExitCode::FAILURE
            }
        },
        () = time_to_exit() => {
            eprintln!("demo-app: EXIT_AFTER_MS is over");
            ExitCode::FAILURE
        }
    }
}

async fn fetch(url: &str) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build()?;
    let answer = client.get(url).send().await.with_context(|| format!("get {url}"))?;
    let (status, body) = (answer.status(), answer.text().await.context("read the answer")?);
    println!("{body}");
    ensure!(status.is_success(), "{url} answered {status}");
    Ok(())
}

async fn serve() -> Result<()> {
    tokio::select! {
        () = time_to_start() => {}
        () = shutdown_requested() => return Ok(()),
    }
    let port = env::var("PORT").ok().and_then(|text| text.parse().ok()).unwrap_or(8080);
    let listener = TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await.with_context(|| format!("listen on port {port}"))?;
    println!("demo-app: listening on port {port}");
    match env::var("TLS") {
        Ok(material) => answer(Secure::new(listener, &material)?).await?,
        Err(_) => answer(listener).await?,
    }
    println!("demo-app: every request is finished");
    Ok(())
}

async fn answer<L: Listener>(listener: L) -> Result<()>
where
    L::Addr: std::fmt::Debug,
    Caller: for<'a> Connected<IncomingStream<'a, L>>,
{
    let routes = if env::var_os("HANG_UP").is_some() { routes().layer(from_fn(hang_up)) } else { routes() };
    let routes = if env::var_os("TELL").is_some() { routes.layer(from_fn(describe_request)) } else { routes };
    let service = routes.into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown_requested()).await.context("serve")
}

fn routes() -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/slow", any(slow))
        .route("/fail", any(fail))
        .route("/big", any(big))
        .route("/call", any(call))
        .route("/ws", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) }))
        .route("/talk", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) }))
        .fallback(describe)
        .with_state(identity())
}

async fn describe_request(request: Request, next: Next) -> Response {
    println!("demo-app: asked {} {} {}", request.method(), request.uri(), json!(readable(request.headers())));
    next.run(request).await
}

/// Reads the whole request, then closes the connection.
async fn hang_up(request: Request, _: Next) -> Response {
    let _ = request.into_body().collect().await;
    // The server cannot omit a response, but a handler that unwinds takes its connection with it. Nothing is printed.
    resume_unwind(Box::new("hang up"))
}

fn identity() -> Identity {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    Identity { version: env::var("VERSION").unwrap_or_else(|_| "dev".to_owned()), hostname }
}

fn milliseconds_from(variable: &str) -> Option<Duration> {
    env::var(variable).ok()?.parse().ok().map(Duration::from_millis)
}

async fn time_to_start() {
    if env::var_os("START_ON_USR1").is_some()
        && let Ok(mut signals) = signal(SignalKind::user_defined1())
    {
        signals.recv().await;
    }
    tokio::time::sleep(milliseconds_from("START_DELAY_MS").unwrap_or_default()).await;
}

async fn time_to_exit() {
    match milliseconds_from("EXIT_AFTER_MS") {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn shutdown_requested() {
    // As process 1 of a container, a program gets no default action for signals: both must be handled.
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    println!("demo-app: received the stop signal, finishing open requests");
}

async fn describe(State(own): State<Identity>, ConnectInfo(caller): ConnectInfo<Caller>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_or(0, |body| body.len());
    let answer = json!({
        "version": own.version,
        "hostname": own.hostname,
        "peer": caller.address.ip().to_string(),
        "protocol": format!("{:?}", parts.version),
        "server_name": caller.server_name,
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        // HTTP/2 puts the host in the URI.
        "host": host.or_else(|| parts.uri.authority().map(ToString::to_string)),
        "headers": readable(&parts.headers),
        "body_bytes": body,
    });
    Json(answer).into_response()
}

/// Every header by name; a repeated header has its values in order.
fn readable(headers: &HeaderMap) -> BTreeMap<String, Value> {
    let value_of = |name: &HeaderName| {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        if let [only] = values.as_slice() { json!(only) } else { json!(values) }
    };
    headers.keys().map(|name| (name.to_string(), value_of(name))).collect()
}

async fn slow(State(own): State<Identity>, Query(query): Query<HashMap<String, u64>>) -> Body {
    let wait = Duration::from_millis(query.get("ms").copied().unwrap_or(1000));
    let begin = format!("{} {} begins\n", own.version, own.hostname);
    let end = async move {
        tokio::time::sleep(wait).await;
        Bytes::from_static(b"and ends\n")
    };
    let parts = futures::stream::once(std::future::ready(Bytes::from(begin))).chain(futures::stream::once(end));
    Body::from_stream(parts.map(Ok::<_, std::convert::Infallible>))
}

async fn fail(Query(query): Query<HashMap<String, u16>>) -> Response {
    let code = query.get("code").copied().and_then(|code| StatusCode::from_u16(code).ok());
    (code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "as you wish\n").into_response()
}

async fn big(Query(query): Query<HashMap<String, usize>>) -> Bytes {
    Bytes::from(vec![b'.'; query.get("bytes").copied().unwrap_or(1 << 20).min(LARGEST_BODY)])
}

/// A gRPC client needs this response: a body without a content length, followed by the status in trailers.
async fn call() -> Response {
    let outcome = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let message = Frame::data(Bytes::from_static(b"\0\0\0\0\x02ok"));
    let frames = [message, Frame::trailers(outcome)].map(Ok::<_, std::convert::Infallible>);
    ([("content-type", "application/grpc")], Body::new(StreamBody::new(futures::stream::iter(frames)))).into_response()
}

async fn echo(mut socket: axum::extract::ws::WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let send_back = matches!(message, Message::Text(_) | Message::Binary(_));
        if send_back && socket.send(message).await.is_err() {
            return;
        }
    }
}
