//! The Docker API of one node, through its socket, for operations that the command line lacks or performs too slowly. It must
//! never be used from asynchronous code: it blocks.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::blocking::{Body, Client, RequestBuilder};
use serde_json::Value;

/// Joining waits for the leader, and loading for the disk: this is longer than either takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of one node's Docker API.
pub struct DockerClient {
    client: Client,
    socket: PathBuf,
}

impl DockerClient {
    /// Creates a client for the engine that listens at `socket`; whether it responds shows only at the first request.
    pub fn at(socket: &Path) -> Result<Self> {
        let client = Client::builder().unix_socket(socket).timeout(PATIENCE).build().context("prepare a client for the Docker API")?;
        Ok(Self { client, socket: socket.to_path_buf() })
    }

    /// Returns `Ok` if the engine answers within `limit`.
    pub fn ping(&self, limit: Duration) -> Result<()> {
        self.answer(self.client.get(url("/_ping")).timeout(limit)).map(drop)
    }

    /// The JSON response to a GET of `path`, which begins with a slash and may contain a query.
    pub fn get(&self, path: &str) -> Result<Value> {
        parsed(&self.get_text(path)?)
    }

    /// The same as text, to compare it with an earlier response without parsing it.
    pub fn get_text(&self, path: &str) -> Result<String> {
        self.answer(self.client.get(url(path)))
    }

    /// The JSON response (or null) to a POST of a JSON `body`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        parsed(&self.answer(self.client.post(url(path)).json(body))?)
    }

    /// Loads a docker-archive and returns the engine's output.
    pub fn load(&self, archive: &Path) -> Result<String> {
        let file = File::open(archive).with_context(|| format!("open image archive {}", archive.display()))?;
        let request = self.client.post(url("/images/load?quiet=1")).header("Content-Type", "application/x-tar").body(Body::from(file));
        let report = self.answer(request)?;
        if report.contains("errorDetail") {
            bail!("load {}: {}", archive.display(), report.trim());
        }
        Ok(report)
    }

    fn answer(&self, request: RequestBuilder) -> Result<String> {
        let response = request.send().with_context(|| format!("ask the engine at {}", self.socket.display()))?;
        let (status, path) = (response.status(), response.url().path().to_owned());
        let text = response.text().with_context(|| format!("read the engine's answer about {path}"))?;
        if !status.is_success() {
            bail!("the engine at {} answered {status} about {path}: {}", self.socket.display(), text.trim());
        }
        Ok(text)
    }
}

fn url(path: &str) -> String {
    format!("http://docker{path}")
}

/// Parses a response; an empty one is null.
pub(super) fn parsed(text: &str) -> Result<Value> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).with_context(|| format!("read JSON from {text:.200}"))
}
