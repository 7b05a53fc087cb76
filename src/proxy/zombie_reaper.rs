//! As PID 1 of its container the agent inherits every orphan, and must collect it when it ends: whatever was started by a
//! health check or `docker exec`, and workers whose master was killed. It never collects a child of its own that somebody
//! waits for: those are collected within a moment, so only what is still there at a second look is an orphan.

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::runtime::zombies_of;

/// Between two looks. Zombies cost an entry in the process table and nothing else.
const LOOK: Duration = Duration::from_secs(5);

/// Collects orphans for ever, in a container; elsewhere orphans are given to another process, and it waits for ever.
pub(super) async fn reap_orphans() -> Infallible {
    let me = Pid::this();
    let mut seen = Vec::new();
    while me.as_raw() == 1 {
        tokio::time::sleep(LOOK).await;
        let zombies = zombies_of(me);
        for orphan in zombies.iter().filter(|pid| seen.contains(*pid)) {
            let outcome = waitpid(*orphan, Some(WaitPidFlag::WNOHANG));
            tracing::debug!(pid = orphan.as_raw(), ?outcome, "collected an orphan");
        }
        seen = zombies;
    }
    std::future::pending().await
}
