//! When a call fails: by chance, by plan, or because the API is cut off.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::options::FaultRates;

/// A call of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SwarmCall {
    /// `observe`
    Observe,
    /// `running_tasks`
    RunningTasks,
    /// `stopping_tasks`
    StoppingTasks,
    /// `create_network`
    CreateNetwork,
    /// `create_config`
    CreateConfig,
    /// `create_secret`
    CreateSecret,
    /// `create_service`
    CreateService,
    /// `update_service`
    UpdateService,
    /// `remove_service`
    RemoveService,
    /// `remove_config`
    RemoveConfig,
    /// `remove_secret`
    RemoveSecret,
    /// `remove_network`
    RemoveNetwork,
}

/// The point at which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Before it has any effect.
    Before,
    /// After it has taken effect, but the caller does not learn of it.
    After,
}

/// The current faults.
pub struct FaultState {
    pub rates: FaultRates,
    /// How often each call was made, including failed ones.
    pub calls: BTreeMap<SwarmCall, usize>,
    planned: Vec<(SwarmCall, FaultPoint)>,
    /// How many more calls succeed; `None` means all.
    calls_left: Option<u64>,
}

impl FaultState {
    pub fn new(rates: FaultRates) -> Self {
        Self { rates, calls: BTreeMap::new(), planned: Vec::new(), calls_left: None }
    }

    /// Makes the next call of this kind fail.
    pub fn plan(&mut self, call: SwarmCall, point: FaultPoint) {
        self.planned.push((call, point));
    }

    /// Lets this many calls through and fails all later ones.
    pub fn cut_off_after(&mut self, calls: Option<u64>) {
        self.calls_left = calls;
    }

    pub fn cut_off(&self) -> bool {
        self.calls_left == Some(0)
    }

    /// Whether and at which point this call fails.
    pub fn verdict(&mut self, call: SwarmCall, rng: &mut StdRng) -> Option<FaultPoint> {
        *self.calls.entry(call).or_default() += 1;
        match &mut self.calls_left {
            Some(0) => return Some(FaultPoint::Before),
            Some(left) => *left -= 1,
            None => {}
        }
        if let Some(found) = self.planned.iter().position(|(c, _)| *c == call) {
            return Some(self.planned.remove(found).1);
        }
        let chance = |rng: &mut StdRng, rate: f64| rate > 0.0 && rng.random_bool(rate.min(1.0));
        if chance(rng, self.rates.fails_before) {
            Some(FaultPoint::Before)
        } else if chance(rng, self.rates.fails_after) {
            Some(FaultPoint::After)
        } else {
            None
        }
    }

    /// How many times a hint is delivered.
    pub fn hint_copies(&self, rng: &mut StdRng) -> usize {
        if self.rates.hint_lost > 0.0 && rng.random_bool(self.rates.hint_lost.min(1.0)) {
            0
        } else if self.rates.hint_doubled > 0.0 && rng.random_bool(self.rates.hint_doubled.min(1.0)) {
            2
        } else {
            1
        }
    }
}
