//! The workers of an nginx master. Only its title shows whether a worker finishes connections of an earlier configuration.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::runtime::procfs::{living_child, living_children_of, title_of};
use crate::runtime::{Worker, WorkerStop};

/// The workers of a master that are alive.
pub(super) fn list_workers(master: Pid) -> Vec<Worker> {
    living_children_of(master).map(|child| Worker { pid: child.pid, started: child.started, retiring: is_retiring(child.pid) }).collect()
}

/// A worker that was asked to finish its requests is titled `nginx: worker process is shutting down`.
fn is_retiring(pid: Pid) -> bool {
    title_of(pid).contains("shutting down")
}

/// Signals a retiring worker. `false` if this master has no such worker, or it has exited. Checks right before the signal, because
/// another process may have its id by then.
pub(super) fn retire(master: Pid, worker: Worker, how: WorkerStop) -> bool {
    let is_same = living_child(worker.pid, master).is_some_and(|child| child.started == worker.started);
    if !is_same || !is_retiring(worker.pid) {
        return false;
    }
    let signal = match how {
        WorkerStop::Terminate => Signal::SIGTERM,
        WorkerStop::Kill => Signal::SIGKILL,
    };
    let sent = kill(worker.pid, signal);
    sent.inspect_err(|error| tracing::debug!(%error, pid = worker.pid.as_raw(), "a worker has already exited")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workers_are_signalled() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let started = living_child(pid, Pid::this()).unwrap().started;
        for started in [started, started + 1] {
            assert!(!retire(Pid::this(), Worker { pid, started, retiring: true }, WorkerStop::Kill));
        }
        assert!(child.try_wait().unwrap().is_none(), "the process is still running");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
