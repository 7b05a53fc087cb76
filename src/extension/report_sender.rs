//! Reports to the operator the result of the pipeline and what the proxies run: on every change, and as a heartbeat. A report that
//! cannot be delivered is dropped: the next one has the newer state.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::pipeline::PipelineResult;
use super::proxy_registry::ProxyRegistry;
use crate::channel::{ChannelClient, ClientError};
use crate::protocol::messages::{Accepted, ExtensionReport, WIRE_VERSION};
use crate::protocol::timings::{EXTENSION_HEARTBEAT, EXTENSION_REPORT_RETRY, REPORT_GATHER};
use crate::retry::Retry;
use crate::types::ClusterName;

/// How many characters remain of a message when a report must be smaller.
const MESSAGE_CHARS_MIN: usize = 120;

/// The reports of one extension.
pub(super) struct Reporter<'a> {
    pub(super) client: &'a ChannelClient,
    pub(super) cluster: ClusterName,
    pub(super) task: String,
    pub(super) engine_version: String,
    pub(super) outcome: watch::Receiver<Arc<PipelineResult>>,
    pub(super) proxies: ProxyRegistry,
}

impl Reporter<'_> {
    /// Reports forever.
    pub(super) async fn run(mut self) -> Infallible {
        let mut news = self.proxies.news();
        let mut retry = Retry::new(EXTENSION_REPORT_RETRY);
        let mut delivered: Option<Accepted> = None;
        loop {
            news.mark_unchanged();
            let outcome = self.outcome.borrow_and_update().clone();
            let pause = self.deliver(&outcome, &mut delivered, &mut retry).await;
            let next_silence = self.proxies.next_silence(jiff::Timestamp::now()).unwrap_or(pause);
            let until = Instant::now() + pause.min(next_silence);
            tokio::select! {
                _ = self.outcome.changed() => {}
                _ = news.changed() => {}
                () = tokio::time::sleep_until(until) => continue,
            }
            tokio::time::sleep(REPORT_GATHER).await;
        }
    }

    /// Tries to deliver a report, and returns the time until the next attempt or heartbeat.
    async fn deliver(&self, outcome: &PipelineResult, delivered: &mut Option<Accepted>, retry: &mut Retry) -> Duration {
        match self.send(outcome, delivered.as_ref()).await {
            Ok(()) => {
                delivered.clone_from(&outcome.accepted);
                retry.reset();
                EXTENSION_HEARTBEAT
            }
            Err(error) if error.status() == Some(StatusCode::CONFLICT) => {
                // The operator was restarted and no longer has the bundles.
                *delivered = None;
                Duration::ZERO
            }
            Err(error) => {
                tracing::debug!(%error, "cannot deliver the report to the operator");
                retry.next()
            }
        }
    }

    /// Sends a report, without the bundles if the operator already has them.
    async fn send(&self, outcome: &PipelineResult, delivered: Option<&Accepted>) -> Result<(), ClientError> {
        let short = outcome.accepted.is_some() && outcome.accepted.as_ref() == delivered;
        let bundle = |bundle: &Option<_>| if short { None } else { bundle.clone() };
        let report = ExtensionReport {
            version: WIRE_VERSION,
            cluster: self.cluster.clone(),
            task: self.task.clone(),
            engine_version: self.engine_version.clone(),
            accepted: outcome.accepted.clone(),
            refused: outcome.refused.clone(),
            boot: bundle(&outcome.boot),
            live: bundle(&outcome.mounted),
            proxies: self.proxies.recent(jiff::Timestamp::now()),
            material: outcome.material.clone(),
            quarantined: outcome.quarantined.clone(),
        };
        let path = format!("/v1/clusters/{}/report", self.cluster);
        match self.client.send(&path, &report).await {
            Err(ClientError::Oversized(fault)) => {
                tracing::warn!(%fault, "the report is too large; sending it with shortened messages");
                self.client.send(&path, &shortened(report)).await
            }
            sent => sent,
        }
    }
}

/// The same report with shortened messages and without the names of certificates: everything that decisions depend on stays.
fn shortened(mut report: ExtensionReport) -> ExtensionReport {
    let shorten = |message: &mut String| *message = message.chars().take(MESSAGE_CHARS_MIN).collect();
    for proxy in &mut report.proxies {
        proxy.rejected.iter_mut().for_each(|refusal| shorten(&mut refusal.message));
        proxy.activity.iter_mut().for_each(|activity| shorten(&mut activity.message));
    }
    for material in &mut report.material {
        material.more_names += std::mem::take(&mut material.names).len();
        shorten(&mut material.message);
    }
    report.quarantined.iter_mut().for_each(|held| shorten(&mut held.message));
    report
}
