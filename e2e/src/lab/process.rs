//! Finds and ends the processes of a namespace. A process is ours if and only if it runs in a network namespace that we
//! created; it must never be looked up by name alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::eventually;

/// Long enough for a node with many containers to disappear after its first process was killed.
const DEATH: Duration = Duration::from_secs(20);

/// The processes whose network namespace is `namespace`, by their ids in this process's namespace; never this process itself.
pub(crate) fn in_namespace(namespace: &Path) -> Vec<i32> {
    let Ok(wanted) = fs::metadata(namespace) else { return Vec::new() };
    let own = std::process::id().cast_signed();
    all()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|found| found.ino() == wanted.ino() && found.dev() == wanted.dev())
        })
        .collect()
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Process 1 of a node's own process namespace; killing it is a power cut.
pub(crate) fn first_of(namespace: &Path) -> Option<i32> {
    in_namespace(namespace).into_iter().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        numbers.split_whitespace().skip(1).eq(["1"])
    })
}

/// The process with that command name inside `namespace`.
pub(crate) fn named(namespace: &Path, name: &str) -> Option<i32> {
    in_namespace(namespace).into_iter().find(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|found| found.trim() == name))
}

/// Sends `signal`; it is no error if the process has already ended.
pub(crate) fn send(pid: i32, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(reason) => Err(reason).with_context(|| format!("send {signal} to process {pid}")),
    }
}

/// Stops `pid` and waits until all its threads have stopped; on a busy machine that takes a while.
pub(crate) fn freeze(pid: i32) -> Result<()> {
    send(pid, Signal::SIGSTOP)?;
    eventually(DEATH, "the process stops", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("list the threads of {pid}"))?;
        let still = |thread: fs::DirEntry| {
            // The state follows the name, which is in parentheses and may contain anything.
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('T'))
        };
        ensure!(threads.flatten().all(still), "some threads of process {pid} run");
        Ok(())
    })
}

/// Kills `pid` and waits until no process with that id exists in `namespace`.
pub(crate) fn end(namespace: &Path, pid: i32) -> Result<()> {
    send(pid, Signal::SIGKILL)?;
    eventually(DEATH, "the killed process is gone", || {
        ensure!(!in_namespace(namespace).contains(&pid), "process {pid} is still there");
        Ok(())
    })
}

/// Kills every process in `namespace` and waits until none is left.
pub(crate) fn end_all(namespace: &Path) -> Result<()> {
    eventually(DEATH, "the namespace is empty", || {
        let left = in_namespace(namespace);
        for pid in &left {
            send(*pid, Signal::SIGKILL)?;
        }
        ensure!(left.is_empty(), "{} still contains processes {left:?}", namespace.display());
        Ok(())
    })
}
