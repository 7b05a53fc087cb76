//! Convergence from a seed: the real pass over a simulated Swarm with faults, with people who change everything, and with an
//! operator that may die between any two calls. Safety is asserted at every step. Once faults and people stop, the world
//! converges within a bound, and nothing is written from then on.
//!
//! `SEED=n` replays one seed with its story; `SEEDS=n` changes the number of seeds.
#![expect(clippy::unwrap_used, reason = "a test that cannot build its simulated Swarm has failed")]

#[path = "convergence/channel.rs"]
mod channel;
#[path = "convergence/documents.rs"]
mod documents;
#[path = "convergence/host_ownership.rs"]
mod host_ownership;
#[path = "convergence/host_port_conflicts.rs"]
mod host_port_conflicts;
#[path = "convergence/oracle.rs"]
mod oracle;
#[path = "convergence/scenario.rs"]
mod scenario;
#[path = "convergence/user_actions.rs"]
mod user_actions;

use std::sync::atomic::{AtomicU64, Ordering};

use scenario::Scenario;

/// The number of seeds unless `SEEDS` is set.
const SEEDS: u64 = 2_000;

#[test]
fn every_history_stays_safe_and_converges_when_faults_stop() {
    if let Some(seed) = number("SEED") {
        Scenario::new(seed, true).play();
        return;
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let work = || {
            let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds));
            seeds.filter(|seed| std::panic::catch_unwind(|| Scenario::new(*seed, false).play()).is_err()).collect::<Vec<u64>>()
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {seeds} seeds failed; replay with SEED=n: {failed:?}", failed.len());
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
