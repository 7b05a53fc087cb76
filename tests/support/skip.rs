//! Skips a test that needs something this machine lacks, visibly and on record, so that `scripts/test` can count and list what
//! did not run. A missing tool must never look like a passed test.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;

/// If the value is `required`, a test that would be skipped fails instead. `scripts/test` sets it.
const MODE: &str = "SWARMGATE_TESTS";
/// One file per skipped test. `scripts/test` empties the folder before running the tests.
const RECORDS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped");

/// Skips this test because `missing` is not available, or fails it where every test must run. Return right after the call.
///
/// # Panics
/// When `SWARMGATE_TESTS` is `required`.
#[expect(clippy::disallowed_methods, reason = "set by a person at a shell, or by scripts/test")]
pub fn skip(missing: &str) {
    assert!(std::env::var(MODE).as_deref() != Ok("required"), "{MODE}=required, and this machine has {missing}");
    record(missing);
}

/// Skips this test because `missing` is not available, even where every test must run. Only for what cannot be installed; use
/// [`skip`] for everything else.
#[expect(clippy::expect_used, reason = "a skipped test that is not on record would count as passed")]
pub fn record(missing: &str) {
    let test = format!("{}::{}", env!("CARGO_CRATE_NAME"), thread::current().name().unwrap_or("unnamed"));
    // Written directly, because the test harness hides the output of passing tests.
    let _ = std::io::stderr().write_all(format!("SKIPPED {test}: this machine has {missing}\n").as_bytes());
    fs::create_dir_all(RECORDS).expect("make the folder of skipped tests");
    fs::write(Path::new(RECORDS).join(&test), missing).expect("record a skipped test");
}
