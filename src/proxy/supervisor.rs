//! The life of the engine, from its first configuration to its last request. The only place that ends it.

use std::convert::Infallible;
use std::pin::pin;

use nix::sys::signal::Signal;
use tokio::sync::{Notify, mpsc};

use super::apply::{Applier, Candidate};
use super::master::Master;
use super::name_bootstrap::Later;
use super::worker_monitor::keep_bounds;
use super::{Agent, ProxyError, ProxySignal};
use crate::engine::EngineError;

/// Runs the engine until it ends: as it was told to, or unexpectedly.
pub(super) async fn supervise(agent: &Agent, mut signals: mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    let accept = async {
        let first = agent.first_accepted().await?;
        let later = agent.learns_first(&first).await;
        Ok::<_, EngineError>((first, later))
    };
    let (first, later) = tokio::select! {
        accepted = accept => accepted?,
        // Nothing is served yet, so there is nothing to finish.
        () = drain_signal(&mut signals) => return Ok(()),
    };
    let hidden = vec![agent.generations.current(), agent.options.run_dir.clone()];
    // From here on requests may be under way: whatever ends the agent must end the engine in order.
    let master = Master::start(&agent.engine, &agent.generations.main_file(), hidden)?;
    let told = Notify::new();
    let mut work = pin!(serve(agent, &master, (first, later), &told));
    loop {
        tokio::select! {
            biased;
            status = master.ended() => {
                agent.state.send_modify(|state| state.serving = false);
                return Err(master.unexpected_end(status));
            }
            signal = next_signal(&mut signals) => match signal {
                ProxySignal::Reload => told.notify_one(),
                ProxySignal::Drain => break,
            },
            Err(error) = &mut work => return Err(error),
        }
    }
    drain(&master, &mut signals).await
}

/// From the first worker on: has it learn names before it serves, tells that it serves, then applies what is offered, and watches
/// what the engine holds.
async fn serve(
    agent: &Agent,
    master: &Master,
    (first, later): (Candidate, Option<Later>),
    told: &Notify,
) -> Result<Infallible, ProxyError> {
    master.serving().await?;
    if let Some(later) = later {
        agent.serves_then(master, later).await?;
    }
    agent.state.send_modify(|state| state.serving = true);
    agent.now_running(&first).await;
    tracing::info!(config = first.bundle.digest.short(), source = first.source.as_str(), by_name = !first.addressed, "the engine serves");
    tokio::select! {
        never = Applier::new(agent, master, first).run(told) => match never {},
        never = agent.standby.run(agent) => match never {},
        never = keep_bounds(agent, master, told) => match never {},
    }
}

/// Lets the engine finish its requests; told again, it ends at once. Swarm kills the container after its grace period anyway.
async fn drain(master: &Master, signals: &mut mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    tracing::info!("told to end; the engine finishes its requests");
    master.signal(Signal::SIGQUIT);
    loop {
        tokio::select! {
            biased;
            status = master.ended() => {
                tracing::info!(%status, "the engine has ended");
                return if status.success() { Ok(()) } else { Err(ProxyError::DrainFailed(status)) };
            }
            () = drain_signal(signals) => {
                tracing::warn!("told again; the engine ends at once");
                master.signal(Signal::SIGTERM);
            }
        }
    }
}

async fn drain_signal(signals: &mut mpsc::Receiver<ProxySignal>) {
    while next_signal(signals).await != ProxySignal::Drain {}
}

/// Waits for ever when nobody can signal any more.
async fn next_signal(signals: &mut mpsc::Receiver<ProxySignal>) -> ProxySignal {
    match signals.recv().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}
