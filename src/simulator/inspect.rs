//! What tests observe and control: the clock, the faults, the true state without faults, and the log of writes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::SimSwarm;
use super::api_error::ApiError;
use super::fault::{FaultPoint, SwarmCall};
use super::model::Millis;
use super::options::FaultRates;
use super::spec;
use super::world::SimState;
use super::write_log::RecordedWrite;
use crate::swarm::RawSnapshot;

impl SimSwarm {
    /// The time in the simulated world.
    pub fn now(&self) -> Timestamp {
        SimState::timestamp(self.world().now)
    }

    /// Advances the clock; everything due in the meantime happens in order.
    pub fn advance(&self, by: Duration) {
        let world = &mut *self.world();
        let until = world.now + millis(by);
        world.advance_to(until);
    }

    /// Advances the clock until nothing more happens by itself, at most by `at_most`; returns the time that passed. If that is
    /// the whole time, something goes on forever, such as tasks that fail and are restarted.
    pub fn settle(&self, at_most: Duration) -> Duration {
        let world = &mut *self.world();
        let (from, limit) = (world.now, world.now + millis(at_most));
        world.advance_to(from);
        while let Some(due) = world.next_due().filter(|due| *due <= limit) {
            world.advance_to(due);
        }
        if world.next_due().is_some() {
            world.advance_to(limit);
        }
        Duration::from_millis(world.now - from)
    }

    /// The true state, without any fault: what an observation through a reliable API would return.
    pub fn truth(&self) -> RawSnapshot {
        self.world().raw_snapshot()
    }

    /// All tasks of a service that have not ended, including those that are stopping, API-shaped.
    pub fn tasks_of(&self, service: &str) -> Vec<Value> {
        let world = self.world();
        let id = world.services.values().find(|s| spec::name(&s.spec) == service).map(|s| s.id.clone());
        world.tasks.values().filter(|t| Some(&t.service) == id.as_ref() && !t.state.ended()).map(|t| world.task(t)).collect()
    }

    /// Changes how unreliable the API is.
    pub fn set_faults(&self, faults: FaultRates) {
        self.world().faults.rates = faults;
    }

    /// Makes the next call of this kind fail; can be called several times.
    pub fn fail_next(&self, call: SwarmCall, point: FaultPoint) {
        self.world().faults.plan(call, point);
    }

    /// Lets this many calls through and fails all later ones: simulates the loss of a manager, or an operator that dies between
    /// two calls.
    pub fn cut_off_after(&self, calls: u64) {
        self.world().faults.cut_off_after(Some(calls));
        if calls == 0 {
            self.break_hints();
        }
    }

    /// Ends the effect of `cut_off_after`.
    pub fn reconnect(&self) {
        self.world().faults.cut_off_after(None);
    }

    /// Breaks all streams of hints.
    pub fn break_hints(&self) {
        for listener in self.world().listeners.drain(..) {
            // A listener that is gone need not be notified.
            let _ = listener.unbounded_send(Err(ApiError::unavailable().while_doing("follow events")));
        }
    }

    /// How often a call of the port was made.
    pub fn calls(&self, call: SwarmCall) -> usize {
        self.world().faults.calls.get(&call).copied().unwrap_or_default()
    }

    /// All writes through the port since the log was last emptied.
    pub fn writes(&self) -> Vec<RecordedWrite> {
        self.world().writes.clone()
    }

    /// Returns the log of writes and empties it.
    pub fn take_writes(&self) -> Vec<RecordedWrite> {
        std::mem::take(&mut self.world().writes)
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
