//! Where documents come from. A source knows how to read and watch its own place, and nothing about the documents' content.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::intent::documents::SourceFile;

/// Keeps a source's watch alive; dropping it ends the watch.
pub type WatchGuard = Box<dyn Any + Send>;

/// A place from which documents are read.
#[async_trait]
pub trait DocumentSource: Send + Sync + 'static {
    /// Everything that exists now. What cannot be read is also in the list, as unreadable: its documents must never look
    /// removed. Never blocks the loop's threads.
    async fn read(&self) -> Vec<SourceFile>;

    /// Calls `changed` whenever something may have changed, until the watch is dropped. A watch is only a hint: a timer also rereads
    /// sources, so one that cannot be watched returns `None`.
    fn watch(&self, changed: Arc<Notify>) -> Option<WatchGuard>;
}
