//! A filter in front of a node's Docker API: passes the calls on a list, answers 403 to all others and records them. It must
//! never change what it passes, nor pass anything that it cannot parse.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

/// The group that may use the filtered socket: a number that no image knows, like the group of Docker on many hosts.
pub const SOCKET_GROUP: u32 = 4_242;

/// The calls that may pass.
#[derive(Debug)]
struct Calls(Vec<(Method, Vec<String>)>);

impl Calls {
    /// Parses a list: `METHOD PATH why` on each line, `#` before comments.
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let calls: Result<Vec<_>> = lines.map(one).collect();
        let calls = calls?;
        ensure!(!calls.is_empty(), "an empty list of calls allows nothing");
        Ok(Self(calls))
    }

    /// Whether a call may pass, whatever its query.
    fn allow(&self, method: &Method, path: &str) -> bool {
        let Some(requested) = segments(without_version(path)) else { return false };
        let fits = |pattern: &[String]| {
            pattern.len() == requested.len()
                && pattern.iter().zip(&requested).all(|(wanted, is)| wanted == "{id}" || wanted.as_str() == *is)
        };
        self.0.iter().any(|(allowed, pattern)| allowed == method && fits(pattern))
    }
}

fn one(line: &str) -> Result<(Method, Vec<String>)> {
    let mut fields = line.split_whitespace();
    let (Some(method), Some(path), Some(_)) = (fields.next(), fields.next(), fields.next()) else {
        bail!("a call is METHOD PATH why, not {line:?}");
    };
    ensure!(path.starts_with('/'), "a path begins with a slash, not {path:?}");
    Ok((method.parse()?, path[1..].split('/').map(str::to_owned).collect()))
}

/// The segments of a path. `None` if one of them is not plain, so that nothing passes that other programs may parse
/// differently.
fn segments(path: &str) -> Option<Vec<&str>> {
    let plain = |segment: &&str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    segments.iter().all(plain).then_some(segments)
}

/// The path after `/v1.41`.
fn without_version(path: &str) -> &str {
    let version = |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    match path.get(1..).and_then(|rest| rest.split_once('/')) {
        Some((first, _)) if version(first) => &path[1 + first.len()..],
        _ => path,
    }
}

/// The filter's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct FilterOptions {
    /// The list of calls that pass.
    #[arg(long)]
    pub list: PathBuf,
    /// The socket on which to listen.
    #[arg(long)]
    pub listen: PathBuf,
    /// The Docker API's own socket.
    #[arg(long)]
    pub to: PathBuf,
    /// The file that records refused calls.
    #[arg(long)]
    pub refused: PathBuf,
}

/// Runs the filter until it is killed.
pub fn filter_docker(options: FilterOptions) -> Result<()> {
    let calls = Arc::new(Calls::read(&options.list)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(serve(Arc::new(options), calls))
}

async fn serve(options: Arc<FilterOptions>, calls: Arc<Calls>) -> Result<()> {
    // Created under another name and then moved, so that a client that finds the socket finds one that is ready.
    let making = options.listen.with_extension("new");
    let _ = fs::remove_file(&making);
    let listener = UnixListener::bind(&making).with_context(|| format!("listen at {}", making.display()))?;
    chown(&making, Some(0), Some(SOCKET_GROUP)).context("give the socket its group")?;
    fs::set_permissions(&making, Permissions::from_mode(0o660)).context("let the group use the socket")?;
    fs::rename(&making, &options.listen).context("put the socket in its place")?;
    loop {
        let (stream, _) = listener.accept().await.context("accept a connection")?;
        let (options, calls) = (options.clone(), calls.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request| pass(request, options.clone(), calls.clone()));
            // A client or an engine that goes away ends only its own connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// If the engine is down, the client's connection ends, as it does without a filter.
async fn pass(
    request: Request<Incoming>,
    options: Arc<FilterOptions>,
    calls: Arc<Calls>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    if !calls.allow(request.method(), request.uri().path()) || request.headers().contains_key("upgrade") {
        return refuse(&request, &options.refused);
    }
    let stream = UnixStream::connect(&options.to).await.context("reach the engine")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}

fn refuse(request: &Request<Incoming>, refused: &Path) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let call = format!("{} {}", request.method(), request.uri());
    let mut log = OpenOptions::new().create(true).append(true).open(refused).context("open the list of refused calls")?;
    writeln!(log, "{call}").context("write down a refused call")?;
    let message = format!("{{\"message\": \"the filter does not let {} pass\"}}", call.replace(['"', '\\'], "'"));
    let body = Full::new(Bytes::from(message)).map_err(|never| match never {}).boxed();
    Ok(Response::builder().status(StatusCode::FORBIDDEN).header("content-type", "application/json").body(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_passes() {
        let calls = Calls::parse("# a remark\nGET /services  why\nPOST /services/{id}/update why\nDELETE /configs/{id} why\n").unwrap();
        for (method, path, expected) in [
            (Method::GET, "/services", true),
            (Method::GET, "/v1.41/services", true),
            (Method::POST, "/v1.52/services/ab_c-1.2/update", true),
            (Method::DELETE, "/configs/x", true),
            (Method::GET, "/services/", false),
            (Method::GET, "//services", false),
            (Method::GET, "/v1.41/services/abc", false),
            (Method::POST, "/services", false),
            (Method::POST, "/services/a/b/update", false),
            (Method::POST, "/services/../update", false),
            (Method::POST, "/services/%2e%2e/update", false),
            (Method::DELETE, "/configs/", false),
            (Method::DELETE, "/configs/a/../../containers/b", false),
            (Method::GET, "/containers/json", false),
            (Method::GET, "/vservices", false),
            (Method::GET, "/", false),
            (Method::GET, "*", false),
        ] {
            assert_eq!(calls.allow(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn an_empty_list_is_a_mistake() {
        for text in ["", "# GET /services why", "GET /services", "GET services why", "G\u{e4}T /x why"] {
            assert!(Calls::parse(text).is_err(), "{text:?}");
        }
    }
}
