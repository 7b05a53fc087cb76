//! The life of the engine, from its first configuration to its last request. The only place that ends it.

use std::pin::pin;

use nix::sys::signal::Signal;
use tokio::sync::{Notify, mpsc};

use super::apply::Applier;
use super::master::Master;
use super::{Agent, ProxyError, ProxySignal};

/// Runs the engine until it ends: as it was told to, or unexpectedly.
pub(super) async fn supervise(agent: &Agent, mut signals: mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    let (master, first) = tokio::select! {
        started = agent.start_engine() => started?,
        // Nothing is served yet, so there is nothing to finish; the engine, if it is being started, goes with this process.
        () = drain_signal(&mut signals) => return Ok(()),
    };
    let told = Notify::new();
    let mut applier = pin!(Applier::new(agent, &master, first).run(&told));
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
            never = &mut applier => match never {},
        }
    }
    drain(agent, &master, &mut signals).await
}

/// Lets the engine finish its requests; told again, it ends at once. Swarm kills the container after its grace period anyway.
async fn drain(agent: &Agent, master: &Master, signals: &mut mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    tracing::info!("told to end; the engine finishes its requests");
    agent.state.send_modify(|state| state.serving = false);
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
