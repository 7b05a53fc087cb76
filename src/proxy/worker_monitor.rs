//! Looks at the engine's workers once a second, as long as it serves: keeps those of earlier configurations bounded, and what request
//! bodies take on the volume. It ends retiring workers only; one that takes connections is first made to retire by a reload.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Agent;
use super::body_spool::{self, Spool};
use super::master::Master;
use super::processes::workers_of;
use super::worker_retirement::{Retirement, Seen};
use crate::protocol::agent_settings::AgentSettings;
use crate::protocol::container_contract::ENGINE_BODY_DIR;
use crate::protocol::messages::EngineLoad;

const LOOK: Duration = Duration::from_secs(1);
/// A reload for the sake of the disk takes its time, and so do the requests that may still finish after it.
const RELOAD_AGAIN: Duration = Duration::from_secs(15);

/// One look, on a thread that may wait for the kernel.
struct Looker {
    master: Pid,
    bodies: PathBuf,
    retirement: Retirement,
}

/// What a look came to.
struct Looked {
    seen: Seen,
    spool: Spool,
    /// A worker that takes connections holds request bodies that are too much.
    wants_reload: bool,
}

impl Looker {
    fn look(&mut self, bounds: AgentSettings) -> Looked {
        let workers = workers_of(self.master);
        let mut seen = self.retirement.look(self.master, &workers, bounds);
        let spool = body_spool::look(&workers, &self.bodies, bounds.body_spool_max);
        if let Some(fault) = &spool.fault {
            let retiring = spool.holders.iter().filter(|worker| worker.retiring);
            seen.ended += retiring.map(|worker| u32::from(self.retirement.end(self.master, *worker, fault))).sum::<u32>();
        }
        let wants_reload = spool.fault.is_some() && spool.holders.iter().any(|worker| !worker.retiring);
        Looked { seen, spool, wants_reload }
    }
}

/// Watches for ever. `told` asks for a reload.
pub(super) async fn keep_bounds(agent: &Agent, master: &Master, told: &Notify) -> Infallible {
    let bodies = agent.options.run_dir.join(ENGINE_BODY_DIR);
    let mut looker = Looker { master: master.pid(), bodies, retirement: Retirement::default() };
    let mut reloaded: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let bounds = agent.state.borrow().bounds;
        let look = tokio::task::spawn_blocking(move || {
            let outcome = looker.look(bounds);
            (looker, outcome)
        });
        let Ok((same, outcome)) = look.await else {
            // A look that failed as a whole would fail again; the engine goes on without.
            tracing::error!("the engine's workers cannot be watched any more");
            return std::future::pending().await;
        };
        looker = same;
        if outcome.wants_reload && reloaded.is_none_or(|at| at.elapsed() > RELOAD_AGAIN) {
            reloaded = Some(Instant::now());
            told.notify_one();
        }
        agent.tell(&outcome);
    }
}

impl Agent {
    /// Tells what was seen, if it is different from before.
    fn tell(&self, looked: &Looked) {
        let Looked { seen, spool, .. } = looked;
        self.state.send_if_modified(|state| {
            let load = EngineLoad {
                retiring_workers: seen.retiring,
                retiring_memory: seen.memory,
                ended_workers: state.load.ended_workers + u64::from(seen.ended),
                body_spool: spool.taken,
            };
            if spool.fault.is_some() && state.spool_fault.is_none() {
                tracing::error!(
                    fault = spool.fault,
                    "request bodies take too much space; a reload follows, and uploads that last are cut off"
                );
            }
            let changed = (&state.load, &state.spool_fault) != (&load, &spool.fault);
            state.load = load;
            state.spool_fault.clone_from(&spool.fault);
            changed
        });
    }
}
