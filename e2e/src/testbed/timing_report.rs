//! Reports where the time of a run went, because a slow suite is run less often. It must never decide anything.

use std::fs;
use std::time::Instant;

use super::repository;

/// How many of the slowest cases are printed; the file contains all.
const SLOWEST: usize = 10;
const FILE: &str = "target/e2e-times.tsv";

/// The times of one case, in seconds.
pub(super) struct Times {
    name: &'static str,
    lab: usize,
    /// Since the run began.
    begun: f64,
    raise: f64,
    settle: f64,
    check: f64,
    tidy: f64,
}

impl Times {
    fn sum(&self) -> f64 {
        self.raise + self.settle + self.check + self.tidy
    }
}

/// Records the times of one case while it runs.
pub(super) struct Clock {
    last: Instant,
    times: Times,
}

impl Clock {
    pub fn start(name: &'static str, lab: usize, run: Instant) -> Self {
        let begun = run.elapsed().as_secs_f64();
        Self { last: Instant::now(), times: Times { name, lab, begun, raise: 0.0, settle: 0.0, check: 0.0, tidy: 0.0 } }
    }

    fn lap(&mut self) -> f64 {
        let lap = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        lap
    }

    /// The testbed is up.
    pub fn raised(&mut self) {
        self.times.raise = self.lap();
    }

    /// The time until the case's turn came is not counted.
    pub fn waited(&mut self) {
        self.lap();
    }

    /// The testbed has settled.
    pub fn settled(&mut self) {
        self.times.settle = self.lap();
    }

    /// The check is over.
    pub fn checked(&mut self) {
        self.times.check = self.lap();
    }

    /// The case is over.
    pub fn stop(mut self) -> Times {
        self.times.tidy = self.lap();
        self.times
    }
}

/// Writes the times of all cases so far to a file, so that an aborted run leaves one, too.
pub(super) fn write(times: &[Times]) {
    // The run does not depend on this file.
    if let Err(reason) = fs::write(repository().join(FILE), table(times)) {
        eprintln!("e2e: could not write {FILE}: {reason}");
    }
}

/// Prints the slowest cases.
pub(super) fn print(times: &[Times], labs: usize, run: Instant) {
    if times.is_empty() {
        return;
    }
    let mut slowest: Vec<&Times> = times.iter().collect();
    slowest.sort_by(|one, other| other.sum().total_cmp(&one.sum()));
    let shown: Vec<_> = slowest.iter().take(SLOWEST).map(|one| format!("  {:6.1} s  {}", one.sum(), one.name)).collect();
    let (wall, sum) = (run.elapsed().as_secs_f64(), times.iter().map(Times::sum).sum::<f64>());
    println!("e2e: {wall:.0} s for {sum:.0} s of cases, side by side on {labs} lab(s); the slowest:\n{}\n", shown.join("\n"));
}

fn table(times: &[Times]) -> String {
    let row = |one: &Times| {
        let Times { name, lab, begun, raise, settle, check, tidy } = one;
        format!("{begun:.1}\t{lab}\t{:.1}\t{raise:.1}\t{settle:.1}\t{check:.1}\t{tidy:.1}\t{name}\n", one.sum())
    };
    let rows: String = times.iter().map(row).collect();
    format!("begun\tlab\tsum\traise\tsettle\tcheck\ttidy\tcase\n{rows}")
}
