//! How fresh the content received over the channel is: when the newest observation of the Swarm that confirmed it began.
//! Content that was replaced is not confirmed any more, and ages. Decides nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::freshness::Moment;
use crate::types::Digest;

/// How many are kept. Only a few matter at any time: the one in use and those received after it.
const KEPT_MAX: usize = 64;

/// When each of the last few messages was last confirmed, by digest. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct ContentAges {
    known: Arc<Mutex<BTreeMap<Digest, Moment>>>,
}

impl ContentAges {
    /// Records that this content was valid at that moment.
    pub fn record(&self, digest: &Digest, at: Moment) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let last = known.entry(digest.clone()).or_insert(at);
        *last = at.max(*last);
        if known.len() > KEPT_MAX {
            let oldest = known.iter().min_by_key(|(_, at)| **at).map(|(digest, _)| digest.clone());
            known.retain(|digest, _| Some(digest) != oldest.as_ref());
        }
    }

    /// When this content was last valid; the earliest moment if unknown.
    pub fn confirmed_at(&self, digest: &Digest) -> Moment {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of_bytes(&number.to_le_bytes())
    }

    fn at(second: u64) -> Moment {
        Moment::default().later(Duration::from_secs(second))
    }

    #[test]
    fn content_is_as_fresh_as_its_newest_confirmation() {
        let confirmations = ContentAges::default();
        assert_eq!(confirmations.confirmed_at(&digest(1)), Moment::default());
        for (number, second) in [(1, 10), (1, 20), (2, 30), (1, 15)] {
            confirmations.record(&digest(number), at(second));
        }
        assert_eq!(
            (confirmations.confirmed_at(&digest(1)), confirmations.confirmed_at(&digest(2))),
            (at(20), at(30)),
            "the first is not newer"
        );
    }

    #[test]
    fn content_that_is_confirmed_regularly_is_kept_when_there_is_much_newer_content() {
        let confirmations = ContentAges::default();
        for number in 0..1000 {
            confirmations.record(&digest(0), at(number as u64));
            confirmations.record(&digest(number), at(number as u64));
        }
        assert_eq!(confirmations.confirmed_at(&digest(0)), at(999));
        assert_eq!(confirmations.confirmed_at(&digest(1)), Moment::default());
        assert!(confirmations.known.lock().unwrap().len() <= KEPT_MAX);
    }
}
