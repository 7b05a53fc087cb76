//! How long nginx may take for a configuration. The time to read one grows with its size, and the limit must not refuse a large
//! one.

use std::path::Path;
use std::time::Duration;

/// For each MiB of configuration. nginx compares each pool with all others: 16,000 hosts (4 MiB) take 7 to 17 s of processor time,
/// and a machine with many extensions gives each a small part of it.
const TIMEOUT_PER_MIB: Duration = Duration::from_secs(60);

/// How long nginx may take to read the configuration in this directory: `least`, and more for a large one.
pub(super) fn time_limit(least: Duration, directory: &Path) -> Duration {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    least.saturating_add(TIMEOUT_PER_MIB.saturating_mul(mib))
}
