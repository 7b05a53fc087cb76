//! Ways into a lab's parent namespace, from which node addresses can be reached: for one thread, or for a whole process.
//! Neither may change the network of a thread that did not ask for it.

use std::env;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::command::in_network;

use super::network;

/// Set in a process that has been moved, so that it does not move itself again.
const ENTERED: &str = "SWARMLAB_ENTERED";

/// Moves the calling thread, and every thread it starts from then on, into the parent namespace of lab `name`. Other threads
/// stay where they are; sockets keep the namespace in which they were opened.
pub fn enter_lab_namespace(name: &str) -> Result<()> {
    enter(&network::parent(name)).with_context(|| format!("enter lab {name}"))
}

/// Runs `work` on a thread of its own inside the network namespace that `namespace` (a file) names. Much cheaper than a process.
pub(super) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let inside = scope.spawn(|| enter(namespace).and_then(|()| work()));
        inside.join().unwrap_or_else(|_| bail!("the work inside {} panicked", namespace.display()))
    })
}

fn enter(namespace: &Path) -> Result<()> {
    let file = File::open(namespace).with_context(|| format!("open the namespace {}", namespace.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter the namespace {} (is this root?)", namespace.display()))
}

/// Re-executes the current process inside the parent namespace of lab `name`. Returns only in a process that is already inside,
/// or if this fails. Call it first in `main`.
pub fn enter_lab_namespace_by_reexec(name: &str) -> Result<()> {
    if env::var_os(ENTERED).is_some_and(|inside| inside == name) {
        return Ok(());
    }
    let program = env::current_exe().context("find the running program")?;
    let mut command = in_network(&network::parent(name), &program.to_string_lossy());
    let reason = command.args(env::args_os().skip(1)).env(ENTERED, name).exec();
    Err(reason).with_context(|| format!("restart inside lab {name}"))
}
