//! How many files this process may open, and so how many connections its engine holds. Raises what it may; must never fail a start.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Twice the connections of a worker by default: fewer are not enough for what settings promise.
const ENOUGH: u64 = 32_768;

/// Takes all files that the container grants; the engine's workers inherit it where they may not raise it themselves.
pub(super) fn take_all_granted() {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::debug!(%error, "the limit of open files stays");
    }
    if hard < ENOUGH {
        tracing::warn!(granted = hard, "this container may open few files: workers hold fewer connections than settings.maxConnections");
    }
}
