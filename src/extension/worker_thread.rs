//! Runs a future on a thread of its own. Rendering, digesting and signing thousands of hosts takes seconds without a pause.
//! Meanwhile proxies that ask whether their addresses are fresh must get answers, or they would consider a busy extension down.

use std::future::pending;
use std::panic::resume_unwind;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Runs `work` to its end. If this future is dropped, the work stops at its next await point.
pub(super) async fn run_on_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (gone, runtime) = (CancellationToken::new(), Handle::current());
    let _guard = gone.clone().drop_guard();
    let thread = spawn_blocking(move || runtime.block_on(gone.run_until_cancelled(work)));
    match thread.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(Some(ended)) => ended,
        Err(Ok(panic)) => resume_unwind(panic),
        // It was cancelled: this future has been dropped.
        Ok(None) | Err(Err(_)) => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// On a runtime with one thread only.
    #[tokio::test]
    async fn other_futures_run_meanwhile() {
        let (sender, receiver) = mpsc::channel();
        let work = async move { receiver.recv_timeout(Duration::from_secs(20)).is_ok() };
        let (answered_in_time, _) = tokio::join!(run_on_thread(work), async move { sender.send(()) });
        assert!(answered_in_time, "other futures waited until the work was done");
    }

    #[tokio::test]
    async fn dropped_work_ends() {
        let (ended, mut end) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _ended = ended;
            pending::<()>().await;
        };
        tokio::select! {
            () = run_on_thread(work) => {}
            () = tokio::task::yield_now() => {}
        }
        tokio::time::timeout(Duration::from_secs(20), &mut end).await.expect("it ends").unwrap_err();
    }
}
