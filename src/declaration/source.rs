//! Where documents come from. A source knows how to read and watch its own place and nothing of what the documents say.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::intent::documents::SourceFile;

/// Keeps a source's watch alive; dropping it ends the watch.
pub type Watch = Box<dyn Any + Send>;

/// A place from which documents are read.
#[async_trait]
pub trait DocumentSource: Send + Sync + 'static {
    /// Everything that is there now. What cannot be read is in the list as well, as unreadable: its documents must never look
    /// removed. Never blocks the loop's threads.
    async fn read(&self) -> Vec<SourceFile>;

    /// Notifies `changed` whenever something may have changed, for as long as the watch is kept. A watch is a hint: sources are read
    /// again by a timer as well, so one that cannot be watched returns `None`.
    fn watch(&self, changed: Arc<Notify>) -> Option<Watch>;
}
