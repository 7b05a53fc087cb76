//! Repeats a long poll for as long as its process runs: the extension follows the operator, and a proxy follows the extension. A
//! failure must never end it.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::client::{ChannelClient, PollResponse};
use super::client_error::{ClientError, with_sources};
use crate::protocol::timings::{POLL_RETRY, POLL_WAIT};
use crate::retry::Retry;
use crate::types::Digest;

/// Receives the reason why the poll fails, or `None` once it works again.
type OnProblem<'a> = Box<dyn Fn(Option<&str>) + Send + Sync + 'a>;

/// Repeats one long poll forever: failures are logged (once per kind) and retried with growing pauses.
pub struct Follower<'a> {
    client: &'a ChannelClient,
    path: String,
    wait: Duration,
    retry: Retry,
    trouble: Option<String>,
    on_problem: OnProblem<'a>,
}

impl<'a> Follower<'a> {
    /// Follows a path of a server.
    pub fn new(client: &'a ChannelClient, path: impl Into<String>) -> Self {
        Self { client, path: path.into(), wait: POLL_WAIT, retry: Retry::new(POLL_RETRY), trouble: None, on_problem: Box::new(|_| {}) }
    }

    /// The same; calls `callback` with the problem whenever it changes, and with `None` once it is over.
    #[must_use]
    pub fn on_problem(self, callback: impl Fn(Option<&str>) + Send + Sync + 'a) -> Self {
        Self { on_problem: Box::new(callback), ..self }
    }

    /// The same, with a server that answers at least this often even if there is nothing newer, and reports the age of its content.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The next answer of the server, however long it takes. Starts again when the servers' URLs change, because the server
    /// being asked may never answer. Safe to cancel.
    pub async fn next<T: DeserializeOwned + Send + 'static>(&mut self, after: Option<&Digest>) -> PollResponse<T> {
        let mut servers = self.client.watch_servers();
        loop {
            servers.mark_unchanged();
            let outcome = tokio::select! {
                answer = self.client.poll(&self.path, after, self.wait) => answer,
                // The client owns the sender: an error cannot occur.
                _ = servers.changed() => continue,
            };
            match outcome {
                Ok(answer) => {
                    self.recovered();
                    return answer;
                }
                Err(error) => tokio::select! {
                    () = self.failed(&error) => {}
                    _ = servers.changed() => {}
                },
            }
        }
    }

    fn recovered(&mut self) {
        self.retry.reset();
        if self.trouble.take().is_some() {
            (self.on_problem)(None);
            tracing::info!(path = self.path, "the channel works again");
        }
    }

    async fn failed(&mut self, error: &ClientError) {
        let error_text = with_sources(error);
        if self.trouble.as_ref() != Some(&error_text) {
            tracing::warn!(path = self.path, error = error_text, "the channel does not work; continuing with the current state");
            (self.on_problem)(Some(&error_text));
            self.trouble = Some(error_text);
        }
        tokio::time::sleep(self.retry.next()).await;
    }
}
