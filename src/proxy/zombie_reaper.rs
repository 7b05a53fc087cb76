//! As PID 1 of its container, the agent becomes the parent of every orphan and must collect it when it exits: processes that a
//! health check or `docker exec` started, and workers whose master was killed. It never collects one of its own children that it
//! waits for: those are collected at once, so only a process that is still there at the second check is an orphan.

use std::convert::Infallible;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::runtime::zombies_of;

/// The time between two checks. A zombie costs only an entry in the process table.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Collects orphans forever in a container; elsewhere another process gets the orphans, and this waits forever.
pub(super) async fn reap_orphans() -> Infallible {
    let me = Pid::this();
    let mut seen = Vec::new();
    while me.as_raw() == 1 {
        tokio::time::sleep(CHECK_EVERY).await;
        let zombies = zombies_of(me);
        for orphan in zombies.iter().filter(|pid| seen.contains(*pid)) {
            let outcome = waitpid(*orphan, Some(WaitPidFlag::WNOHANG));
            tracing::debug!(pid = orphan.as_raw(), ?outcome, "reaped an orphaned process");
        }
        seen = zombies;
    }
    std::future::pending().await
}
