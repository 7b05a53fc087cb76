//! Limits the number and the memory of workers that finish connections of earlier configurations. Above the limits the oldest one
//! ends, and its connections with it. Never ends a worker that accepts connections, and none at all while the engine drains.

use std::collections::BTreeMap;
use std::fs;

use crate::protocol::agent_settings::AgentSettings;
use crate::runtime::{EngineProcess, Worker, WorkerStop};

/// The default number: enough for every reload of a busy minute.
const WORKERS_MAX: usize = 64;
/// The default number for engines with many workers, in generations of workers.
const GENERATIONS_MAX: usize = 8;
/// The default memory limit for containers that have more than four times as much.
const MEMORY_MAX: u64 = 1 << 30;
/// A worker that was asked to end is killed after this many checks.
const CHECKS_BEFORE_KILL: u32 = 5;

/// The limits; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    workers: Option<usize>,
    memory: Option<u64>,
}

impl Bounds {
    /// The limits in the configuration, and for the rest defaults that fit the engine and the container.
    fn of(stated: AgentSettings, current: usize, container: Option<u64>) -> Self {
        let usual_workers = WORKERS_MAX.max(current.saturating_mul(GENERATIONS_MAX));
        let usual_memory = container.map_or(MEMORY_MAX, |limit| (limit / 4).min(MEMORY_MAX));
        let workers = stated.retiring_workers_max.map_or(usual_workers, |most| most as usize);
        let memory = stated.retiring_memory_max.unwrap_or(usual_memory);
        Self { workers: (workers > 0).then_some(workers), memory: (memory > 0).then_some(memory) }
    }
}

/// A worker and the memory that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Retiree {
    worker: Worker,
    memory: u64,
}

/// Workers that finish connections of earlier configurations.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetiringWorkers {
    /// Their number.
    pub(super) count: u32,
    /// Their memory together, in bytes.
    pub(super) memory: u64,
    /// How many of them this check asked to end.
    pub(super) ended: u32,
}

/// Ends retiring workers, and remembers which ones were asked to end.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// The number of checks since then, by process id and start time.
    checks_since_signal: BTreeMap<(i32, u64), u32>,
}

impl Retirement {
    /// Ends the workers above the limits.
    pub(super) fn enforce(&mut self, process: &dyn EngineProcess, workers: &[Worker], stated: AgentSettings) -> RetiringWorkers {
        let current = workers.iter().filter(|worker| !worker.retiring).count();
        let retirees = oldest_first(process, workers);
        self.checks_since_signal.retain(|key, _| retirees.iter().any(|retiree| key_of(retiree.worker) == *key));
        let surplus = surplus(&retirees, Bounds::of(stated, current, container_memory()), current);
        let ended = surplus.iter().filter(|retiree| self.retire(process, retiree.worker, "too many workers, or too much memory")).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let memory = retirees.iter().map(|retiree| retiree.memory).sum();
        RetiringWorkers { count: count(retirees.len()), memory, ended: count(ended) }
    }

    /// Has a retiring worker close its connections and end. `true`: it was asked for the first time.
    pub(super) fn retire(&mut self, process: &dyn EngineProcess, worker: Worker, why: &str) -> bool {
        let checks = self.checks_since_signal.get(&key_of(worker)).map_or(1, |checks| checks + 1);
        if !process.retire(worker, if checks > CHECKS_BEFORE_KILL { WorkerStop::Kill } else { WorkerStop::Terminate }) {
            return false;
        }
        self.checks_since_signal.insert(key_of(worker), checks);
        let is_first = checks == 1;
        if is_first {
            tracing::warn!(pid = worker.pid.as_raw(), why, "ending a worker of an earlier configuration and its connections");
        }
        is_first
    }
}

fn key_of(worker: Worker) -> (i32, u64) {
    (worker.pid.as_raw(), worker.started)
}

fn oldest_first(process: &dyn EngineProcess, workers: &[Worker]) -> Vec<Retiree> {
    let retiring = workers.iter().copied().filter(|worker| worker.retiring);
    let mut retirees: Vec<Retiree> = retiring.map(|worker| Retiree { worker, memory: process.memory_of(worker) }).collect();
    retirees.sort_by_key(|retiree| (retiree.worker.started, retiree.worker.pid.as_raw()));
    retirees
}

/// The oldest workers above the limits. The memory limit never ends workers of the last configuration: a reload would then cut off
/// requests that have just begun.
fn surplus(oldest_first: &[Retiree], bounds: Bounds, current: usize) -> &[Retiree] {
    let too_many = bounds.workers.map_or(0, |most| oldest_first.len().saturating_sub(most));
    let mut memory: u64 = oldest_first.iter().map(|retiree| retiree.memory).sum();
    let may_go = oldest_first.len().saturating_sub(current.max(1));
    let too_large = oldest_first[..may_go].iter().take_while(|retiree| {
        let beyond = bounds.memory.is_some_and(|most| memory > most);
        memory = memory.saturating_sub(retiree.memory);
        beyond
    });
    &oldest_first[..too_many.max(too_large.count())]
}

/// The memory limit of the container, if it has one (cgroup version 2 or 1).
fn container_memory() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake_engine::FakeProcess;

    fn retirees(memory: &[u64]) -> Vec<Retiree> {
        let worker = |number: u64| Worker { pid: nix::unistd::Pid::from_raw(7), started: number, retiring: true };
        memory.iter().zip(0..).map(|(memory, number)| Retiree { worker: worker(number), memory: *memory }).collect()
    }

    fn ended(memory: &[u64], workers: Option<usize>, most: Option<u64>) -> usize {
        let all = retirees(memory);
        let surplus = surplus(&all, Bounds { workers, memory: most }, 1);
        assert_eq!(surplus, &all[..surplus.len()], "the oldest workers come first");
        surplus.len()
    }

    #[test]
    fn the_oldest_workers_are_ended_until_the_limits_are_met() {
        assert_eq!(ended(&[5, 5, 5], None, None), 0);
        assert_eq!(ended(&[5, 5, 5], Some(3), Some(15)), 0);
        assert_eq!(ended(&[5, 5, 5], Some(2), None), 1);
        assert_eq!(ended(&[5, 5, 5], None, Some(14)), 1);
        assert_eq!(ended(&[9, 1, 1, 1], None, Some(3)), 1);
        assert_eq!(ended(&[5, 5, 5], Some(2), Some(5)), 2);
        assert_eq!(ended(&[], Some(1), Some(1)), 0);
    }

    #[test]
    fn workers_of_the_previous_configuration_are_ended_only_because_of_their_number() {
        assert_eq!(ended(&[5, 5], None, Some(1)), 1);
        let all = retirees(&[5, 5, 5, 5]);
        assert_eq!(surplus(&all, Bounds { workers: None, memory: Some(1) }, 2).len(), 2, "two processes for each configuration");
        assert_eq!(surplus(&all, Bounds { workers: Some(1), memory: None }, 2).len(), 3);
    }

    #[test]
    fn default_limits_fit_the_engine_and_the_container() {
        let usual = AgentSettings::default();
        assert_eq!(Bounds::of(usual, 1, None), Bounds { workers: Some(64), memory: Some(1 << 30) });
        assert_eq!(Bounds::of(usual, 32, Some(512 << 20)), Bounds { workers: Some(256), memory: Some(128 << 20) });
        let none = AgentSettings { retiring_workers_max: Some(0), retiring_memory_max: Some(0), ..usual };
        assert_eq!(Bounds::of(none, 1, None), Bounds { workers: None, memory: None });
    }

    #[test]
    fn a_worker_that_does_not_exit_is_killed() {
        let (process, mut retirement) = (FakeProcess::default(), Retirement::default());
        let worker = retirees(&[1])[0].worker;
        assert!(!retirement.retire(&process, worker, "a test"), "the worker has already exited");
        process.set_workers(&[worker]);
        let first: Vec<bool> = (0..7).map(|_| retirement.retire(&process, worker, "a test")).collect();
        assert_eq!(first, [true, false, false, false, false, false, false]);
        let mut expected = vec![WorkerStop::Terminate; 5];
        expected.extend([WorkerStop::Kill; 2]);
        assert_eq!(process.retired(), expected);
    }
}
