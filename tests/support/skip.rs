//! Skips a test that needs something this machine lacks: loudly, and on record, so that `scripts/test` can count and list what did not
//! run. It must never let an absent tool pass for a passed test.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;

/// With the value `required`, a test that would be skipped fails. `scripts/test` sets it.
const MODE: &str = "SWARMGATE_TESTS";
/// One file per skipped test. `scripts/test` empties the folder before it runs the tests.
const RECORDS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/skipped");

/// Skips this test because `missing` is not here, or fails it where every test must run. Return right after it.
///
/// # Panics
/// When `SWARMGATE_TESTS` is `required`.
#[expect(clippy::disallowed_methods, reason = "set by a person at a shell, or by scripts/test")]
pub fn skip(missing: &str) {
    assert!(std::env::var(MODE).as_deref() != Ok("required"), "{MODE}=required, and this machine has {missing}");
    record(missing);
}

/// Skips this test because `missing` is not here, wherever it runs. For what nobody can install: everything else is [`skip`]ped.
#[expect(clippy::expect_used, reason = "a skipped test that is not on record would count as passed")]
pub fn record(missing: &str) {
    let test = format!("{}::{}", env!("CARGO_CRATE_NAME"), thread::current().name().unwrap_or("unnamed"));
    // Written directly: the test harness hides what passing tests print.
    let _ = std::io::stderr().write_all(format!("SKIPPED {test}: this machine has {missing}\n").as_bytes());
    fs::create_dir_all(RECORDS).expect("make the folder of skipped tests");
    fs::write(Path::new(RECORDS).join(&test), missing).expect("record a skipped test");
}
