//! Raw JSON calls over the connection that bollard uses too. Each has a deadline over the whole answer, not only its head.

use bollard::BollardRequest;
use bollard::errors::Error;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::link::count_bytes;
use super::session::Session;

impl Session {
    /// `GET` of a list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        Ok(serde_json::from_slice(&self.answer(self.request(Method::GET, path, Vec::new())?).await?)?)
    }

    /// `POST` of a body; the answer as JSON, `Null` where it is empty.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let body = serde_json::to_vec(body)?;
        let answer = self.answer(self.request(Method::POST, path, body)?).await?;
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer)? })
    }

    /// `GET` of an answer that keeps coming: its head must be a success, its body is the caller's.
    pub async fn open(&self, path: &str) -> Result<Incoming, Error> {
        let response = self.link.send(self.request(Method::GET, path, Vec::new())?).await?;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(refusal(response).await) }
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<BollardRequest, Error> {
        let uri = format!("{}{}{path}", self.link.base, self.prefix);
        let request = Request::builder().method(method).uri(uri).header("Content-Type", "application/json");
        Ok(request.body(bollard::body_full(body.into()))?)
    }

    async fn answer(&self, request: BollardRequest) -> Result<bytes::Bytes, Error> {
        let response = self.link.send(request).await?;
        if response.status().is_success() { read(response).await } else { Err(refusal(response).await) }
    }
}

/// The whole body of an answer.
async fn read(response: Response<Incoming>) -> Result<bytes::Bytes, Error> {
    let body = response.into_body().collect().await?.to_bytes();
    count_bytes(body.len());
    Ok(body)
}

/// An answer that is no success, as bollard would tell it.
async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    match read(response).await {
        Ok(body) => Error::DockerResponseServerError { status_code: status.as_u16(), message: message(status, &body) },
        Err(error) => error,
    }
}

/// The server's words: Docker answers `{"message": ...}`, things between us and it may answer a page.
fn message(status: StatusCode, body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let said = parsed.as_ref().and_then(|v| v.get("message")).and_then(Value::as_str).map(str::to_owned);
    let shown = said.unwrap_or_else(|| String::from_utf8_lossy(body).trim().chars().take(300).collect());
    if shown.is_empty() { format!("HTTP status {status}") } else { shown }
}
