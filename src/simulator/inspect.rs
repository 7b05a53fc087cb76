//! What tests see and steer: the clock, the faults, the truth without faults, and the log of writes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::SimSwarm;
use super::api_error::ApiError;
use super::fault::{Call, FaultPoint};
use super::model::Millis;
use super::options::Faults;
use super::spec;
use super::world::SimState;
use super::write_log::Write;
use crate::swarm::RawSnapshot;

impl SimSwarm {
    /// The time in the simulated world.
    pub fn now(&self) -> Timestamp {
        SimState::timestamp(self.world().now)
    }

    /// Lets time pass; whatever is due meanwhile happens in order.
    pub fn advance(&self, by: Duration) {
        let world = &mut *self.world();
        let until = world.now + millis(by);
        world.advance_to(until);
    }

    /// Lets time pass until nothing more happens by itself, at most that long; how long it took. The whole time means
    /// that something goes on for ever, such as tasks that fail and are started again.
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

    /// The truth, without any fault: what a look at a reliable API would give.
    pub fn truth(&self) -> RawSnapshot {
        self.world().look()
    }

    /// All tasks of a service that have not ended, those on their way out included, API-shaped.
    pub fn tasks_of(&self, service: &str) -> Vec<Value> {
        let world = self.world();
        let id = world.services.values().find(|s| spec::name(&s.spec) == service).map(|s| s.id.clone());
        world.tasks.values().filter(|t| Some(&t.service) == id.as_ref() && !t.state.ended()).map(|t| world.task(t)).collect()
    }

    /// Changes how unreliable the API is.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults.rates = faults;
    }

    /// Makes the next call of that kind fail; may be said several times.
    pub fn fail_next(&self, call: Call, point: FaultPoint) {
        self.world().faults.plan(call, point);
    }

    /// Lets that many calls through and none after: a manager that is lost, or an operator that dies between two calls.
    pub fn cut_off_after(&self, calls: u64) {
        self.world().faults.cut_off_after(Some(calls));
        if calls == 0 {
            self.break_hints();
        }
    }

    /// Ends what `cut_off_after` began.
    pub fn reconnect(&self) {
        self.world().faults.cut_off_after(None);
    }

    /// Breaks all streams of hints.
    pub fn break_hints(&self) {
        for listener in self.world().listeners.drain(..) {
            // A listener that is gone needs no news.
            let _ = listener.unbounded_send(Err(ApiError::unavailable().while_doing("follow events")));
        }
    }

    /// How often a call of the port was made.
    pub fn calls(&self, call: Call) -> usize {
        self.world().faults.calls.get(&call).copied().unwrap_or_default()
    }

    /// All writes that came through the port since the log was emptied.
    pub fn writes(&self) -> Vec<Write> {
        self.world().writes.clone()
    }

    /// Gives the log of writes out and empties it.
    pub fn take_writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.world().writes)
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
