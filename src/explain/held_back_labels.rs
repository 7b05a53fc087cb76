//! Label changes that are held back: the settings that a service requests now and does not get yet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::explanation::{LabelEffect, TraceStep, TraceSubject};
use super::{Sources, labels, step};
use crate::report::Finding;
use crate::swarm::Service;

/// A service whose labels change again and again, so that its earlier ones are used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HeldBackLabels {
    /// The service.
    pub service: String,
    /// Its current Swarmgate labels.
    pub labels: BTreeMap<String, String>,
    /// When they take effect, if they do not change again.
    pub until: Timestamp,
    /// Why they have no effect yet.
    pub finding: Finding,
}

impl HeldBackLabels {
    /// Until when they are held back, in words.
    pub(super) fn message(&self) -> String {
        held_until_text(self.until)
    }
}

/// Until when changes are held back, in words.
pub(super) fn held_until_text(until: Timestamp) -> String {
    format!("the labels change too often: their current values take effect at {until:.0}, or later if they change again")
}

/// Describes what is held back of a service.
pub(super) fn find_held_back<'a>(sources: &Sources<'a>, service: &str) -> Option<&'a HeldBackLabels> {
    sources.held.iter().find(|held| held.service == service)
}

/// One step for each of these services that is held back.
pub(super) fn steps<'a>(sources: &Sources<'_>, services: impl Iterator<Item = &'a String>) -> Vec<TraceStep> {
    let held = services.filter_map(|service| find_held_back(sources, service));
    held.map(|held| step(TraceSubject::Held, format!("{}: {}", held.service, held.message()))).collect()
}

/// Adds the service's current labels to the effects of those in use.
pub(super) fn merge_effects(label_effects: Vec<LabelEffect>, counts: &Service, held: &HeldBackLabels) -> Vec<LabelEffect> {
    let changed = |key: &str| held.labels.get(key).filter(|now| counts.labels.get(key) != Some(now));
    let mut all = Vec::new();
    for label_effect in label_effects {
        let now = changed(&label_effect.key).map(|now| waiting(&label_effect.key, now, "held back: the value above is used"));
        let gone = is_gone(&label_effect.key, counts, held).then_some("; its removal from the service is held back");
        all.push(LabelEffect { effect: label_effect.effect + gone.unwrap_or_default(), ..label_effect });
        all.extend(now);
    }
    let new = held.labels.iter().filter(|(key, _)| !counts.labels.contains_key(*key));
    all.extend(new.map(|(key, now)| waiting(key, now, "held back: no effect yet")));
    all
}

fn is_gone(key: &str, counts: &Service, held: &HeldBackLabels) -> bool {
    key.starts_with(crate::intent::labels::PREFIX) && counts.labels.contains_key(key) && !held.labels.contains_key(key)
}

fn waiting(key: &str, value: &str, effect: &str) -> LabelEffect {
    let (key, value) = labels::shown(key, value);
    LabelEffect { key, value, effect: effect.to_owned(), findings: Vec::new() }
}
