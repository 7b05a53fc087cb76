//! Raw JSON calls over our own connection. Each has a deadline for the whole answer, not only its head, and a limit on how much
//! of it is held in memory.

use std::time::Duration;

use bollard::BollardRequest;
use bollard::errors::Error;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::Instant;

use super::api_client::ApiClient;
use super::connection::count_bytes;
use super::error::CallError;
use super::list_stream::ListStream;
use super::memory_budget::{BudgetExceeded, MemoryBudget, memory_size};

/// The maximum size of an answer with an id, a version or an error message. The longest error names thousands of services.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How much of a list is read; most of it may be dropped as it arrives. A manager returns at most twice as much.
const LIST_BYTES_MAX: u64 = 1 << 30;

/// Limits for an answer about configs, whose contents are dropped as they arrive.
#[derive(Debug, Clone, Copy)]
pub struct ConfigBounds {
    /// Received bytes.
    pub read: u64,
    /// Memory for the objects that are kept.
    pub held: u64,
    /// Time.
    pub time: Duration,
}

impl ApiClient {
    /// `GET` of a list. `room` accounts for its memory; `spare` trims each object.
    pub async fn list(
        &self,
        doing: &str,
        path: &str,
        room: &MemoryBudget,
        spare: impl Fn(Value) -> Value,
    ) -> Result<Vec<Value>, CallError> {
        let mut body = Bounded::new(self.open(path).await?, LIST_BYTES_MAX);
        let (mut items, mut held) = (ListStream::of_list(), Vec::new());
        while let Some(data) = body.next().await? {
            items.take(&data, &mut |item| {
                let item = spare(item);
                room.take(doing, &item)?;
                held.push(item);
                Ok(())
            })?;
        }
        items.end().map(|()| held)
    }

    /// `GET` of one config without its content.
    pub async fn config(&self, path: &str, bytes_max: u64) -> Result<Option<Value>, CallError> {
        let mut body = Bounded::new(self.open(path).await?, bytes_max);
        let (mut items, mut config) = (ListStream::of_one().without_contents(), None);
        while let Some(data) = body.next().await? {
            items.take(&data, &mut |item| {
                config = Some(item);
                Ok(())
            })?;
        }
        items.end().map(|()| config)
    }

    /// `GET` of a list of configs without their contents, up to the limits; also returns whether the list is complete.
    /// Abandoning a list costs its connection.
    pub async fn configs(&self, path: &str, bounds: ConfigBounds, spare: impl Fn(Value) -> Value) -> Result<(Vec<Value>, bool), CallError> {
        let mut body = self.open(path).await?;
        let (mut items, mut held, mut read, mut memory) = (ListStream::of_list().without_contents(), Vec::new(), 0, 0);
        let until = Instant::now() + bounds.time;
        while let Some(data) = next(&mut body).await? {
            read += data.len() as u64;
            items.take(&data, &mut |item| {
                let item = spare(item);
                memory += memory_size(&item);
                held.push(item);
                Ok(())
            })?;
            if read > bounds.read || memory > bounds.held || Instant::now() > until {
                return Ok((held, false));
            }
        }
        items.end().map(|()| (held, true))
    }

    /// `GET` of an answer that is not a list.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        Ok(serde_json::from_slice(&self.answer(Method::GET, path, Vec::new()).await?)?)
    }

    /// `POST` of a body; returns the answer as JSON, `Null` if it is empty.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let answer = self.answer(Method::POST, path, serde_json::to_vec(body)?).await?;
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }

    /// `DELETE`; a success has no content.
    pub async fn delete(&self, path: &str) -> Result<(), CallError> {
        self.answer(Method::DELETE, path, Vec::new()).await.map(|_| ())
    }

    /// `GET` of a streamed answer: checks that its head is a success, and leaves the body to the caller.
    pub async fn open(&self, path: &str) -> Result<Incoming, CallError> {
        successful(self.link.send(self.request(Method::GET, path, Vec::new())?).await?).await
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<BollardRequest, CallError> {
        let uri = format!("{}{}{path}", self.link.base, self.prefix);
        let request = Request::builder().method(method).uri(uri).header("Content-Type", "application/json");
        Ok(request.body(bollard::body_full(body.into()))?)
    }

    async fn answer(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let response = self.link.send(self.request(method, path, body)?).await?;
        whole(successful(response).await?).await
    }
}

/// The body of a successful answer; otherwise an error with the server's message.
async fn successful(response: Response<Incoming>) -> Result<Incoming, CallError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let message = message(status, &whole(response.into_body()).await?);
    Err(Error::DockerResponseServerError { status_code: status.as_u16(), message }.into())
}

/// The whole body of an answer that is never large.
async fn whole(body: Incoming) -> Result<Vec<u8>, CallError> {
    let (mut body, mut held) = (Bounded::new(body, ANSWER_BYTES_MAX), Vec::new());
    while let Some(data) = body.next().await? {
        held.extend_from_slice(&data);
    }
    Ok(held)
}

/// A body of which only so much is read; more is an error.
struct Bounded {
    body: Incoming,
    left: u64,
    most: u64,
}

impl Bounded {
    fn new(body: Incoming, most: u64) -> Self {
        Self { body, left: most, most }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let Some(data) = next(&mut self.body).await? else { return Ok(None) };
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BudgetExceeded::Answer { most: self.most })?;
        Ok(Some(data))
    }
}

/// The next chunk of a body.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, CallError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            count_bytes(data.len());
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The server's message: Docker answers `{"message": ...}`, while a server in between may answer with a page.
fn message(status: StatusCode, body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let docker_message = parsed.as_ref().and_then(|v| v.get("message")).and_then(Value::as_str).map(str::to_owned);
    let shown = docker_message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().chars().take(300).collect());
    if shown.is_empty() { format!("HTTP status {status}") } else { shown }
}
