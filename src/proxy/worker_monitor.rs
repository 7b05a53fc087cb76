//! Checks the engine's workers once a second while it serves: limits the workers of earlier configurations and the disk space of
//! request bodies. Ends only retiring workers; one that accepts connections must first be retired by a reload.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Agent;
use super::request_body_storage::{self, BodySpool};
use super::worker_retirement::{Retirement, RetiringWorkers};
use crate::protocol::agent_settings::AgentSettings;
use crate::protocol::messages::EngineLoad;
use crate::runtime::EngineProcess;

const INTERVAL: Duration = Duration::from_secs(1);
/// A reload that frees disk space takes time, as do the requests that may still finish after it.
const RELOAD_INTERVAL: Duration = Duration::from_secs(15);

/// Checks on a thread that may block in the kernel.
struct Monitor {
    process: Arc<dyn EngineProcess>,
    /// The directory of request bodies, if the engine writes them to disk.
    bodies: Option<PathBuf>,
    retirement: Retirement,
}

/// The result of one check.
struct WorkerCheck {
    retiring: RetiringWorkers,
    spool: BodySpool,
    /// A worker that accepts connections holds request bodies that take too much space.
    wants_reload: bool,
}

impl Monitor {
    fn check(&mut self, bounds: AgentSettings) -> WorkerCheck {
        let process = self.process.as_ref();
        let workers = process.workers();
        let mut retiring = self.retirement.enforce(process, &workers, bounds);
        let measured = self.bodies.as_deref().map(|bodies| request_body_storage::measure(process, &workers, bodies, bounds.body_spool_max));
        let spool = measured.unwrap_or_default();
        if let Some(fault) = &spool.fault {
            let holders = spool.holders.iter().filter(|worker| worker.retiring);
            retiring.ended += holders.map(|worker| u32::from(self.retirement.retire(process, *worker, fault))).sum::<u32>();
        }
        let wants_reload = spool.fault.is_some() && spool.holders.iter().any(|worker| !worker.retiring);
        WorkerCheck { retiring, spool, wants_reload }
    }
}

/// Checks forever. `reload` asks for a reload.
pub(super) async fn monitor(agent: &Agent, process: Arc<dyn EngineProcess>, reload: &Notify) -> Infallible {
    let mut monitor = Monitor { process, bodies: agent.engine.request_body_directory(), retirement: Retirement::default() };
    let mut reloaded: Option<Instant> = None;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let bounds = agent.state.borrow().bounds;
        let checked = tokio::task::spawn_blocking(move || {
            let check = monitor.check(bounds);
            (monitor, check)
        });
        let Ok((same, check)) = checked.await else {
            // A check that panicked would panic again; the engine continues without checks.
            tracing::error!("the monitoring of the engine's workers has stopped");
            return std::future::pending().await;
        };
        monitor = same;
        if check.wants_reload && reloaded.is_none_or(|at| at.elapsed() > RELOAD_INTERVAL) {
            reloaded = Some(Instant::now());
            reload.notify_one();
        }
        agent.record(&check);
    }
}

impl Agent {
    /// Publishes the result of a check if it differs from the previous one.
    fn record(&self, check: &WorkerCheck) {
        let WorkerCheck { retiring, spool, .. } = check;
        self.state.send_if_modified(|state| {
            let load = EngineLoad {
                retiring_workers: retiring.count,
                retiring_memory: retiring.memory,
                ended_workers: state.load.ended_workers + u64::from(retiring.ended),
                body_spool: spool.taken,
            };
            if spool.fault.is_some() && state.spool_fault.is_none() {
                tracing::error!(
                    fault = spool.fault,
                    "request bodies take too much disk space; reloading, which cuts off uploads that do not finish in time"
                );
            }
            let changed = (&state.load, &state.spool_fault) != (&load, &spool.fault);
            state.load = load;
            state.spool_fault.clone_from(&spool.fault);
            changed
        });
    }
}
