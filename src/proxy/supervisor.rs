//! Runs the engine from its first configuration to its last request. Nothing else ends it.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::apply::Applier;
use super::candidate::Candidate;
use super::dns_bootstrap::DeferredConfig;
use super::worker_monitor::monitor;
use super::{Agent, ProxyError, ProxySignal};
use crate::runtime::{EngineError, EngineProcess};

/// Runs the engine until it exits: because of a signal, or unexpectedly.
pub(super) async fn supervise(agent: &Agent, mut signals: mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    let accept = async {
        let first = agent.first_accepted().await?;
        let later = agent.resolve_first(&first).await;
        Ok::<_, EngineError>((first, later))
    };
    let (first, later) = tokio::select! {
        accepted = accept => accepted?,
        // Nothing is served yet, so there is nothing to drain.
        () = drain_signal(&mut signals) => return Ok(()),
    };
    let hidden = vec![agent.configs.current(), agent.options.run_dir.clone()];
    // From here on there may be open requests: however the agent ends, it must drain the engine.
    let process = agent.engine.start(&agent.configs.current(), hidden)?;
    let reload = Notify::new();
    let mut work = pin!(serve(agent, &process, (first, later), &reload));
    loop {
        tokio::select! {
            biased;
            status = process.exited() => {
                agent.state.send_modify(|state| state.serving = false);
                return Err(ProxyError::EngineEnded { status, message: process.clean_up() });
            }
            signal = next_signal(&mut signals) => match signal {
                ProxySignal::Reload => reload.notify_one(),
                ProxySignal::Drain => break,
            },
            Err(error) = &mut work => return Err(error),
        }
    }
    drain(process.as_ref(), &mut signals).await
}

/// Once the engine is ready: resolves names before it serves, reports that it serves, then applies offers and monitors workers.
async fn serve(
    agent: &Agent,
    process: &Arc<dyn EngineProcess>,
    (first, later): (Candidate, Option<DeferredConfig>),
    reload: &Notify,
) -> Result<Infallible, ProxyError> {
    process.ready().await.map_err(|error| match error {
        EngineError::Exited { status, message } => ProxyError::EngineEnded { status, message },
        other => other.into(),
    })?;
    if let Some(later) = later {
        agent.serve_after_resolving(process.as_ref(), later).await?;
    }
    agent.state.send_modify(|state| state.serving = true);
    agent.now_running(&first).await;
    tracing::info!(
        config = first.bundle.digest.short(),
        source = first.source.as_str(),
        by_name = !first.addressed,
        "the engine is serving"
    );
    tokio::select! {
        never = Applier::new(agent, process.as_ref(), first).run(reload) => match never {},
        never = agent.fallback.run(agent) => match never {},
        never = monitor(agent, Arc::clone(process), reload) => match never {},
    }
}

/// Lets the engine finish its requests; a second signal ends it at once. Swarm kills the container after its grace period anyway.
async fn drain(process: &dyn EngineProcess, signals: &mut mpsc::Receiver<ProxySignal>) -> Result<(), ProxyError> {
    tracing::info!("draining: the engine is finishing its requests");
    process.drain();
    loop {
        tokio::select! {
            biased;
            status = process.exited() => {
                tracing::info!(%status, "the engine has exited");
                return if status.success() { Ok(()) } else { Err(ProxyError::DrainFailed(status)) };
            }
            () = drain_signal(signals) => {
                tracing::warn!("second signal: stopping the engine immediately");
                process.stop();
            }
        }
    }
}

async fn drain_signal(signals: &mut mpsc::Receiver<ProxySignal>) {
    while next_signal(signals).await != ProxySignal::Drain {}
}

/// Waits forever once no more signals can arrive.
async fn next_signal(signals: &mut mpsc::Receiver<ProxySignal>) -> ProxySignal {
    match signals.recv().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}
