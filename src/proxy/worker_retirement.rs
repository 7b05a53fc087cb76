//! Workers that finish the connections of earlier configurations: bounded in number and memory. Beyond the bounds the oldest ends, and
//! its connections with it. Never touches a worker that takes connections, nor any while the engine is told to finish.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{Worker, memory_of, still_retires};
use crate::protocol::agent_settings::AgentSettings;

/// Where nobody states a number: enough for every reload of a busy minute.
const WORKERS_MAX: usize = 64;
/// The same for engines with many processes: so many generations.
const GENERATIONS_MAX: usize = 8;
/// Where nobody states memory, and the container has more than four times as much.
const MEMORY_MAX: u64 = 1 << 30;
/// A worker that was told to end and is still there is killed after so many looks.
const PATIENCE_LOOKS: u32 = 5;

/// What is allowed; none: no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    workers: Option<usize>,
    memory: Option<u64>,
}

impl Bounds {
    /// What a configuration states, and for the rest what fits the engine and the container.
    fn of(stated: AgentSettings, current: usize, container: Option<u64>) -> Self {
        let usual_workers = WORKERS_MAX.max(current.saturating_mul(GENERATIONS_MAX));
        let usual_memory = container.map_or(MEMORY_MAX, |limit| (limit / 4).min(MEMORY_MAX));
        let workers = stated.retiring_workers_max.map_or(usual_workers, |most| most as usize);
        let memory = stated.retiring_memory_max.unwrap_or(usual_memory);
        Self { workers: (workers > 0).then_some(workers), memory: (memory > 0).then_some(memory) }
    }
}

/// A worker and the memory that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Retiree {
    worker: Worker,
    memory: u64,
}

/// What was seen in a look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Workers that finish connections of earlier configurations.
    pub(super) retiring: u32,
    /// Their memory together.
    pub(super) memory: u64,
    /// How many were told to end in this look.
    pub(super) ended: u32,
}

/// Ends retiring workers, and remembers which were told.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// By process id and start, the looks since.
    told: BTreeMap<(i32, u64), u32>,
}

impl Retirement {
    /// Looks at the workers and ends those beyond the bounds.
    pub(super) fn look(&mut self, master: Pid, workers: &[Worker], stated: AgentSettings) -> Seen {
        let current = workers.iter().filter(|worker| !worker.retiring).count();
        let retirees = oldest_first(workers);
        self.told.retain(|key, _| retirees.iter().any(|retiree| key_of(retiree.worker) == *key));
        let surplus = surplus(&retirees, Bounds::of(stated, current, container_memory()), current);
        let ended = surplus.iter().filter(|retiree| self.end(master, retiree.worker, "too many, or too much memory")).count();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let memory = retirees.iter().map(|retiree| retiree.memory).sum();
        Seen { retiring: count(retirees.len()), memory, ended: count(ended) }
    }

    /// Has a retiring worker close its connections and end. `true`: it was told for the first time.
    pub(super) fn end(&mut self, master: Pid, worker: Worker, why: &str) -> bool {
        if !still_retires(master, worker) {
            return false;
        }
        let looks = self.told.entry(key_of(worker)).or_default();
        *looks += 1;
        let signal = if *looks > PATIENCE_LOOKS { Signal::SIGKILL } else { Signal::SIGTERM };
        if let Err(error) = kill(worker.pid, signal) {
            tracing::debug!(%error, pid = worker.pid.as_raw(), "a worker ended by itself");
            return false;
        }
        let first = *looks == 1;
        if first {
            tracing::warn!(pid = worker.pid.as_raw(), why, "a worker of an earlier configuration ends, and its connections with it");
        }
        first
    }
}

fn key_of(worker: Worker) -> (i32, u64) {
    (worker.pid.as_raw(), worker.started)
}

fn oldest_first(workers: &[Worker]) -> Vec<Retiree> {
    let retiring = workers.iter().copied().filter(|worker| worker.retiring);
    let mut retirees: Vec<Retiree> = retiring.map(|worker| Retiree { worker, memory: memory_of(worker.pid) }).collect();
    retirees.sort_by_key(|retiree| (retiree.worker.started, retiree.worker.pid.as_raw()));
    retirees
}

/// The oldest beyond the bounds. The workers of the last configuration finish whatever memory they have: else a reload would
/// cut off requests that have just begun.
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

/// What the container may have, if that is bounded (cgroup version 2, or 1).
fn container_memory() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retirees(memory: &[u64]) -> Vec<Retiree> {
        let worker = |number: u64| Worker { pid: Pid::from_raw(7), started: number, retiring: true };
        memory.iter().zip(0..).map(|(memory, number)| Retiree { worker: worker(number), memory: *memory }).collect()
    }

    fn ended(memory: &[u64], workers: Option<usize>, most: Option<u64>) -> usize {
        let all = retirees(memory);
        let surplus = surplus(&all, Bounds { workers, memory: most }, 1);
        assert_eq!(surplus, &all[..surplus.len()], "the oldest");
        surplus.len()
    }

    #[test]
    fn the_oldest_end_until_the_rest_is_within_the_bounds() {
        assert_eq!(ended(&[5, 5, 5], None, None), 0);
        assert_eq!(ended(&[5, 5, 5], Some(3), Some(15)), 0);
        assert_eq!(ended(&[5, 5, 5], Some(2), None), 1);
        assert_eq!(ended(&[5, 5, 5], None, Some(14)), 1);
        assert_eq!(ended(&[9, 1, 1, 1], None, Some(3)), 1);
        assert_eq!(ended(&[5, 5, 5], Some(2), Some(5)), 2);
        assert_eq!(ended(&[], Some(1), Some(1)), 0);
    }

    #[test]
    fn memory_never_ends_the_workers_of_the_last_configuration_and_the_number_may() {
        assert_eq!(ended(&[5, 5], None, Some(1)), 1);
        let all = retirees(&[5, 5, 5, 5]);
        assert_eq!(surplus(&all, Bounds { workers: None, memory: Some(1) }, 2).len(), 2, "two processes for each configuration");
        assert_eq!(surplus(&all, Bounds { workers: Some(1), memory: None }, 2).len(), 3);
    }

    #[test]
    fn what_nobody_states_fits_engine_and_container() {
        let usual = AgentSettings::default();
        assert_eq!(Bounds::of(usual, 1, None), Bounds { workers: Some(64), memory: Some(1 << 30) });
        assert_eq!(Bounds::of(usual, 32, Some(512 << 20)), Bounds { workers: Some(256), memory: Some(128 << 20) });
        let none = AgentSettings { retiring_workers_max: Some(0), retiring_memory_max: Some(0), ..usual };
        assert_eq!(Bounds::of(none, 1, None), Bounds { workers: None, memory: None });
    }

    #[test]
    fn nobody_elses_process_is_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        // A child of this process that is no worker, and takes no part in any retirement.
        let worker = Worker { pid, started: 1, retiring: true };
        assert!(!Retirement::default().end(Pid::this(), worker, "a test"));
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
