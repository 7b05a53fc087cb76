//! How many files this process may open, and so how many connections its engine can hold. Raises the limit if it can; must never
//! fail a start.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Twice the default connections of a worker: fewer files would not be enough for the settings.
const ENOUGH: u64 = 32_768;

/// Raises the limit to what the container grants. The engine's workers inherit it, because they may be unable to raise it
/// themselves.
pub(super) fn raise_open_file_limit() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
    if hard < ENOUGH {
        tracing::warn!(granted = hard, "the limit of open files is low; workers hold fewer connections than settings.maxConnections");
    }
}
