//! Waits for a condition with a deadline, which is the only kind of waiting in this crate. It must never sleep without checking
//! again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// The pause between two checks: short compared with anything a Swarm does, long compared with the cost of a check.
const PAUSE: Duration = Duration::from_millis(100);

/// The pause of a wait that has lasted for [`LONG`]: a check costs the Swarm processor time, which other labs lack, and a later
/// success matters less.
const LONG_PAUSE: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(2);

/// Tries `attempt` until it succeeds. After `deadline`, returns the last failure below a line that says what the wait was for
/// and how long it took. If the last failure came before the deadline, there is always at least one more try.
pub fn eventually<T>(deadline: Duration, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        let waited = started.elapsed();
        match attempt() {
            Ok(value) => return Ok(value),
            Err(reason) if waited >= deadline => {
                return Err(reason).with_context(|| format!("after {:.1} s still not: {what}", started.elapsed().as_secs_f64()));
            }
            Err(_) => thread::sleep(if waited < LONG { PAUSE } else { LONG_PAUSE }),
        }
    }
}

/// Checks repeatedly that `holds` stays true for the whole of `period`.
pub fn throughout(period: Duration, what: &str, mut holds: impl FnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < period {
        holds().with_context(|| format!("{:.1} s in, no longer: {what}", started.elapsed().as_secs_f64()))?;
        thread::sleep(PAUSE);
    }
    Ok(())
}
