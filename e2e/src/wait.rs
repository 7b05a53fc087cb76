//! Waiting for a condition with a deadline, the only kind of waiting in this crate.
//! It must never sleep without looking again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How long to pause between two looks: short against everything a Swarm does, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(100);

/// Tries `attempt` until it succeeds. When `deadline` has passed the last failure is returned, under a line that says
/// what was waited for and how long. There is always at least one try after the last failure inside the deadline.
pub fn eventually<T>(deadline: Duration, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        let late = started.elapsed() >= deadline;
        match attempt() {
            Ok(value) => return Ok(value),
            Err(reason) if late => {
                return Err(reason).with_context(|| format!("after {:.1} s still not: {what}", started.elapsed().as_secs_f64()));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Checks that `holds` stays true for the whole of `period`, looking again and again.
pub fn throughout(period: Duration, what: &str, mut holds: impl FnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < period {
        holds().with_context(|| format!("{:.1} s in, no longer: {what}", started.elapsed().as_secs_f64()))?;
        thread::sleep(PAUSE);
    }
    Ok(())
}
