//! What the planner remembers about a cluster from one pass to the next: which rollouts were tried and failed, and which
//! names are taken by objects that a snapshot does not show. Losing it (by a restart) costs one early retry.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json_path::set;
use super::step::{OperationResult, Plan, PlanStep, RolloutNote, RolloutOutcome};
use crate::types::Digest;

/// The first wait after a failed rollout: long enough for a registry or a node to recover.
const RETRY_DELAY_FIRST: SignedDuration = SignedDuration::from_secs(30);
/// Waits double up to this one, so that a fixed cause is noticed within it.
const RETRY_DELAY_MAX: SignedDuration = SignedDuration::from_mins(10);
/// How long a name that is taken by an unseen object is left alone.
const TAKEN_RETRY_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// A snapshot may show a service as it was before an update, but hardly this many times in a row.
const WRITES_IN_VAIN_MAX: u32 = 3;

/// The memory of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannerState {
    /// Rollouts by service name.
    pub rollouts: BTreeMap<String, Attempt>,
    /// Names that Swarm refused as taken, and when.
    pub taken: BTreeMap<String, Timestamp>,
    /// The update that the last pass made, by service.
    pub written: BTreeMap<String, RepeatedUpdate>,
}

/// An update that consecutive passes have made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepeatedUpdate {
    /// What was written.
    pub spec: Digest,
    /// How many times in a row, from 1.
    pub times: u32,
}

/// A rollout that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The identity of the declaration.
    pub identity: Digest,
    /// The identity of the set of nodes.
    pub nodes: Digest,
    /// How many attempts were made, from 1.
    pub attempts: u32,
    /// When Swarm gave up, if it did.
    pub failed_at: Option<Timestamp>,
}

impl PlannerState {
    /// The memory after a plan was carried out (including an empty one, which also records failures): `applied` holds the
    /// outcome of each step, `None` for a failed or skipped one.
    #[must_use]
    pub fn after(&self, plan: &Plan, applied: &[Option<OperationResult>], now: Timestamp) -> Self {
        let mut next = self.clone();
        let updated: Vec<&str> = carried(plan, applied, OperationResult::Updated).map(PlanStep::name).collect();
        for note in &plan.rollouts {
            next.remember(note, updated.contains(&note.service.as_str()));
        }
        next.written = carried(plan, applied, OperationResult::Updated).filter_map(|step| self.written(step)).collect();
        let taken = carried(plan, applied, OperationResult::NameTaken).map(|step| (step.name().to_owned(), now));
        next.taken.retain(|_, since| is_recent(*since, now));
        next.taken.extend(taken);
        next
    }

    fn written(&self, step: &PlanStep) -> Option<(String, RepeatedUpdate)> {
        let PlanStep::UpdateService { name, spec, .. } = step else { return None };
        let mut spec = spec.clone();
        // Every update raises this counter.
        set(&mut spec, &["TaskTemplate", "ForceUpdate"], Value::Null);
        let spec = Digest::of_json(&spec);
        let before = self.written.get(name).filter(|before| before.spec == spec);
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        Some((name.clone(), RepeatedUpdate { spec, times }))
    }

    /// The service that was updated in the same way again and again without effect, because of a bug in Swarmgate or because
    /// something undoes the update each time. Continuing immediately would keep the managers busy and hold up every other
    /// change.
    pub fn repeated_update(&self) -> Option<&str> {
        self.written.iter().find(|(_, written)| written.times > WRITES_IN_VAIN_MAX).map(|(name, _)| name.as_str())
    }

    fn remember(&mut self, note: &RolloutNote, updated: bool) {
        let before = self.rollouts.remove(&note.service);
        let same = before.filter(|attempt| attempt.identity == note.identity && attempt.nodes == note.nodes);
        let attempts = same.as_ref().map_or(0, |attempt| attempt.attempts);
        let fresh = |attempts, failed_at| Attempt { identity: note.identity.clone(), nodes: note.nodes.clone(), attempts, failed_at };
        let attempt = match note.outcome {
            _ if updated => Some(fresh(attempts.saturating_add(1), None)),
            RolloutOutcome::Settled => None,
            RolloutOutcome::UnderWay => same,
            RolloutOutcome::Failed(at) => Some(same.map_or_else(|| fresh(1, Some(at)), |known| failed(known, at))),
        };
        if let Some(attempt) = attempt {
            self.rollouts.insert(note.service.clone(), attempt);
        }
    }

    /// When a failed rollout of the current declaration may be retried; `None`: immediately, because the declaration or the
    /// nodes are not those that failed.
    pub(super) fn retry_at(&self, note: &RolloutNote, failed_at: Timestamp) -> Option<Timestamp> {
        match (self.rollouts.get(&note.service), self.was_last_attempt(note)) {
            (Some(attempt), Some(true)) => later(attempt.failed_at.unwrap_or(failed_at), delay(attempt.attempts)),
            (_, None) => later(failed_at, RETRY_DELAY_FIRST),
            _ => None,
        }
    }

    /// Whether the last attempt was of this declaration on these nodes; `None`: no attempt is known.
    pub(super) fn was_last_attempt(&self, note: &RolloutNote) -> Option<bool> {
        let attempt = self.rollouts.get(&note.service)?;
        Some(attempt.identity == note.identity && attempt.nodes == note.nodes)
    }

    /// Whether Swarm recently refused the name as taken.
    pub(super) fn is_taken(&self, name: &str, now: Timestamp) -> bool {
        self.taken.get(name).is_some_and(|since| is_recent(*since, now))
    }
}

fn failed(mut known: Attempt, at: Timestamp) -> Attempt {
    known.failed_at.get_or_insert(at);
    known
}

fn carried<'a>(plan: &'a Plan, applied: &'a [Option<OperationResult>], what: OperationResult) -> impl Iterator<Item = &'a PlanStep> {
    plan.steps.iter().zip(applied).filter(move |(_, outcome)| **outcome == Some(what)).map(|(step, _)| step)
}

fn is_recent(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) < TAKEN_RETRY_DELAY
}

/// 30 s after the first failure, then twice as long each time, up to 10 min.
fn delay(attempts: u32) -> SignedDuration {
    let factor = 1_i32.checked_shl(attempts.saturating_sub(1).min(16)).unwrap_or(i32::MAX);
    RETRY_DELAY_FIRST.saturating_mul(factor).min(RETRY_DELAY_MAX)
}

fn later(at: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    at.checked_add(by).ok()
}
