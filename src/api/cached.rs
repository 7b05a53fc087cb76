//! A value that is computed at most once per interval, however many clients request it, and so may be slightly old.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The newest value, and when it was computed.
#[derive(Debug)]
pub(super) struct Cached<T> {
    every: Duration,
    newest: Mutex<Option<(Instant, T)>>,
}

impl<T: Clone> Cached<T> {
    /// Starts without a value.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, newest: Mutex::new(None) }
    }

    /// The newest value, recomputed if it is old. Concurrent callers wait for the same one.
    pub(super) fn get(&self, make: impl FnOnce() -> T) -> T {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = newest.as_ref().filter(|(made, _)| made.elapsed() < self.every) {
            return value.clone();
        }
        let value = make();
        *newest = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_value_is_computed_again_only_when_it_is_old() {
        let cached = Cached::new(Duration::from_millis(200));
        let mut made = 0;
        let mut get = || {
            cached.get(|| {
                made += 1;
                made
            })
        };
        assert_eq!((get(), get()), (1, 1));
        tokio::time::advance(Duration::from_millis(199)).await;
        assert_eq!(get(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((get(), get()), (2, 2));
    }
}
