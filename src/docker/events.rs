//! Events of the API as hints. Swarm may lose events, and may stop sending them with the stream still open, so they are no more
//! than hints. A stream that ends, breaks or contains something invalid reports so in its last item.

use std::collections::VecDeque;
use std::future::Future;

use futures::stream::{self, BoxStream, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::config_events::{ConfigNews, EventSubscription};
use super::connection::count_bytes;
use super::error::{swarm_error, unavailable};
use crate::swarm::{Hint, SwarmError};

/// `{"scope":["swarm"],"type":["service","node","network","config","secret"]}`
pub const PATH: &str = "/events?filters=%7B%22scope%22%3A%5B%22swarm%22%5D%2C%22type%22%3A%5B%22service%22%2C%22node%22%2C%22network%22%2C%22config%22%2C%22secret%22%5D%7D";

/// The action named in every error of the stream.
pub const DOING: &str = "follow events";

/// The maximum length of a line; an event is a few hundred bytes.
const LONGEST_LINE: usize = 1 << 20;

/// An open stream, and the parts of it that have not been handed out yet.
struct EventReader {
    body: Incoming,
    news: ConfigNews,
    _following: EventSubscription,
    unread: Vec<u8>,
    ready: VecDeque<Result<Hint, SwarmError>>,
}

enum StreamState<F> {
    Opening(F),
    Open(EventReader),
    Broken,
}

/// The hints of the stream that `opening` opens. Events about configs also go to `news`.
pub fn hints<F>(opening: F, news: ConfigNews) -> BoxStream<'static, Result<Hint, SwarmError>>
where
    F: Future<Output = Result<Incoming, SwarmError>> + Send + 'static,
{
    let first = StreamState::Opening(Box::pin(opening));
    stream::unfold(first, move |state| {
        let news = news.clone();
        async move {
            let reader = match state {
                StreamState::Opening(opening) => match opening.await {
                    Ok(body) => EventReader { body, _following: news.follow(), news, unread: Vec::new(), ready: VecDeque::new() },
                    Err(error) => return Some((Err(error), StreamState::Broken)),
                },
                StreamState::Open(reader) => reader,
                StreamState::Broken => return None,
            };
            Some(next(reader).await)
        }
    })
    .boxed()
}

/// The next item: a hint, or the reason why there will be no more.
async fn next<F>(mut reader: EventReader) -> (Result<Hint, SwarmError>, StreamState<F>) {
    loop {
        match reader.ready.pop_front() {
            Some(Ok(hint)) => return (Ok(hint), StreamState::Open(reader)),
            Some(Err(error)) => return (Err(error), StreamState::Broken),
            None => reader.fill().await,
        }
    }
}

impl EventReader {
    /// Reads on; at the end or at an error, makes at least one item ready.
    async fn fill(&mut self) {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.take(&data);
                }
            }
            Some(Err(error)) => self.ready.push_back(Err(swarm_error(DOING, &error.into()))),
            None => self.ready.push_back(Err(unavailable(DOING, "the stream ended"))),
        }
    }

    /// Splits received data into lines.
    fn take(&mut self, data: &[u8]) {
        count_bytes(data.len());
        for piece in data.split_inclusive(|b| *b == b'\n') {
            self.unread.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.unread);
                self.ready.extend(hint(&line, &self.news));
            }
        }
        if self.unread.len() > LONGEST_LINE {
            self.ready.push_back(Err(unavailable(DOING, "a line does not end")));
        }
    }
}

/// The hint of one line; `None` for an empty line.
fn hint(line: &[u8], news: &ConfigNews) -> Option<Result<Hint, SwarmError>> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    let text = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
    Some(match serde_json::from_slice::<Value>(line) {
        Ok(event) if event.is_object() => {
            let (kind, name) = (text(&event, "/Type"), text(&event, "/Actor/Attributes/name"));
            if kind == "config" {
                news.changed(&text(&event, "/Actor/ID"), &name);
            }
            Ok(Hint { detail: format!("{} {name}", text(&event, "/Action")), kind })
        }
        _ => Err(unavailable(DOING, format!("not an event: {}", String::from_utf8_lossy(line).chars().take(80).collect::<String>()))),
    })
}
