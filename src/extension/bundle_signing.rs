//! Generation numbers and signatures for configurations. A number is higher than all before it, including those of other extensions
//! of the cluster, which the proxies report: they refuse a lower number than they have run.

use jiff::Timestamp;
use tokio::sync::watch;

use crate::pki::{Credentials, Signer};
use crate::protocol::messages::Bundle;
use crate::protocol::timings::GENERATION_AHEAD_OF_CLOCK_MAX;

/// Signs configurations.
pub(super) struct BundleSigner {
    credentials: Credentials,
    /// The highest number that a proxy has run.
    highest_reported: watch::Receiver<u64>,
    last: u64,
}

/// A generation number, and the key to sign with.
pub(super) struct GenerationStamp {
    generation: u64,
    signer: Option<Signer>,
    now: Timestamp,
}

impl BundleSigner {
    pub(super) fn new(credentials: Credentials, highest_reported: watch::Receiver<u64>) -> Self {
        Self { credentials, highest_reported, last: 0 }
    }

    /// The stamp for the next configuration.
    pub(super) fn next(&mut self, now: Timestamp) -> GenerationStamp {
        let highest_reported = believable(*self.highest_reported.borrow_and_update(), now);
        self.last = self.last.max(highest_reported).max(microseconds(now)) + 1;
        GenerationStamp { generation: self.last, signer: self.credentials.current().map(|key| key.signer()), now }
    }

    /// Returns once a proxy has run something newer than the last stamp. Safe to cancel.
    pub(super) async fn advance(&mut self) {
        let last = self.last;
        let newer =
            self.highest_reported.wait_for(|highest_reported| believable(*highest_reported, Timestamp::now()) > last).await.map(drop);
        if newer.is_err() {
            // The proxies' reports live as long as the extension: an error cannot occur.
            std::future::pending::<()>().await;
        }
    }
}

impl GenerationStamp {
    /// The bundle with its number and signature.
    pub(super) fn sign(&self, bundle: Bundle) -> Bundle {
        match &self.signer {
            Some(signer) => bundle.signed(self.generation, signer, self.now),
            // Before there is a certificate nothing is offered, and no proxy would accept a bundle without a signature.
            None => Bundle { generation: self.generation, ..bundle },
        }
    }
}

fn believable(generation: u64, now: Timestamp) -> u64 {
    let most = microseconds(now.saturating_add(GENERATION_AHEAD_OF_CLOCK_MAX).unwrap_or(now));
    if generation <= most { generation } else { 0 }
}

fn microseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::pki::Authority;

    fn generation(signer: &mut BundleSigner, now: Timestamp) -> u64 {
        signer.next(now).generation
    }

    #[tokio::test]
    async fn generation_numbers_only_rise() {
        let now = Timestamp::now();
        let highest_reported = watch::Sender::new(0);
        let credentials = Credentials::new(Authority::create(now).unwrap().root().clone());
        let mut signer = BundleSigner::new(credentials, highest_reported.subscribe());
        let first = generation(&mut signer, now);
        assert!(first > microseconds(now));
        let earlier = now.checked_sub(SignedDuration::from_hours(1)).unwrap();
        assert_eq!(generation(&mut signer, earlier), first + 1, "the number rises even if the clock was set back");
        highest_reported.send_replace(first + 1000);
        signer.advance().await;
        assert_eq!(generation(&mut signer, now), first + 1001, "the number is higher than that of another extension");
        highest_reported.send_replace(u64::MAX);
        assert_eq!(generation(&mut signer, now), first + 1002, "an impossible number is ignored");
    }
}
