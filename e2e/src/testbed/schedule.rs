//! Decides which case runs next on which lab, and what may run alongside. It must never let two cases disturb each other that
//! declare they do not tolerate it, nor leave a case waiting while nothing stands in its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a case demands of the machine while it runs (its testbed exists all the time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It waits for changes; another lab alongside at most slows it down.
    Light,
    /// It counts the lost requests of a steady stream; a busy machine loses some by itself.
    Traffic,
    /// A new testbed is being built: engines start and unpack images.
    Raise,
}

impl Demand {
    fn bears(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Traffic, Self::Light) | (Self::Light, Self::Traffic) | (Self::Light | Self::Raise, Self::Light | Self::Raise)
        )
    }
}

/// A second lab with the same setting is built only if at least this many of its cases are left: building it takes as long as a
/// few cases.
const SHARE_MIN: usize = 6;

/// A case that waits for its turn.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    setting: &'static str,
    demand: Demand,
}

/// One of the labs side by side.
#[derive(Clone, Debug, Default)]
struct LabSlot {
    /// The setting whose testbed is up there.
    setting: &'static str,
    busy: bool,
    /// What happens there demands this of the machine.
    demand: Option<Demand>,
    /// What the current case there demands once its testbed has settled.
    case: Option<Demand>,
}

#[derive(Debug)]
struct ScheduleState {
    /// How many cases have not yet reported that they wait. None runs until all have, so that the order is always the same.
    missing: usize,
    waiting: BTreeMap<usize, Waiting>,
    labs: Vec<LabSlot>,
    /// Where a case may run.
    granted: BTreeMap<usize, usize>,
}

/// Assigns places to cases, each of which asks from its own thread.
pub(super) struct Schedule {
    state: Mutex<ScheduleState>,
    changed: Condvar,
}

impl Schedule {
    /// Creates a schedule for this many cases on this many labs.
    pub fn new(cases: usize, labs: usize) -> Self {
        let state =
            ScheduleState { missing: cases, waiting: BTreeMap::new(), labs: vec![LabSlot::default(); labs], granted: BTreeMap::new() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, ScheduleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<T>(&self, mut poll: impl FnMut(&mut ScheduleState) -> Option<T>) -> T {
        let mut state = self.state();
        loop {
            if let Some(answer) = poll(&mut state) {
                self.changed.notify_all();
                return answer;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the turn of the case with this index in the order of cases. Returns the place where it runs.
    pub fn enter(&self, case: usize, setting: &'static str, demand: Demand) -> usize {
        let mut state = self.state();
        state.missing = state.missing.saturating_sub(1);
        state.waiting.insert(case, Waiting { setting, demand });
        drop(state);
        self.wait_until(|state| {
            // Another case's thread waits to learn that it got a place.
            if state.grant() {
                self.changed.notify_all();
            }
            state.granted.remove(&case)
        })
    }

    /// The testbed is up. While it settles it waits for its Swarm, and demands nothing yet that the case itself will demand.
    pub fn settle(&self, lab: usize) {
        self.state().labs[lab].demand = Some(Demand::Light);
        self.changed.notify_all();
    }

    /// Waits until the machine can take what the case demands, once its testbed has settled.
    pub fn begin(&self, lab: usize, demand: Demand) {
        self.wait_until(|state| {
            state.labs[lab].demand = None;
            // A lab that needs a testbed gets it before the next stream, beside which none is built.
            if state.grant() {
                self.changed.notify_all();
            }
            state.is_borne(demand).then(|| state.labs[lab].demand = Some(demand))
        });
    }

    /// The case is over, and leaves a testbed with this setting.
    pub fn leave(&self, lab: usize, setting: &'static str) {
        self.state().labs[lab] = LabSlot { setting, ..LabSlot::default() };
        self.changed.notify_all();
    }
}

impl ScheduleState {
    /// Gives every free place the case that suits it best, if there is one. Returns whether it gave any.
    fn grant(&mut self) -> bool {
        let before = self.granted.len();
        for lab in self.those_that_need_a_testbed_first() {
            if self.missing > 0 || self.labs[lab].busy {
                continue;
            }
            let Some(case) = self.choose(lab) else { continue };
            let Some(Waiting { setting, demand }) = self.waiting.remove(&case) else { continue };
            let now = if self.labs[lab].setting == setting { Demand::Light } else { Demand::Raise };
            self.labs[lab] = LabSlot { setting, busy: true, demand: Some(now), case: Some(demand) };
            self.granted.insert(case, lab);
        }
        self.granted.len() > before
    }

    /// All places. No testbed is built beside a steady stream, so a lab that needs one comes before a lab that would begin the next
    /// stream; otherwise it would stay idle until the last stream has ended.
    fn those_that_need_a_testbed_first(&self) -> Vec<usize> {
        let has_cases = |lab: &usize| self.waiting.values().any(|case| case.setting == self.labs[*lab].setting);
        let (at_home, without): (Vec<_>, Vec<_>) = (0..self.labs.len()).partition(has_cases);
        without.into_iter().chain(at_home).collect()
    }

    fn is_borne(&self, demand: Demand) -> bool {
        self.labs.iter().filter_map(|lab| lab.demand).all(|other| demand.bears(other))
    }

    /// The next case in the testbed that is up there, preferably one that need not wait for a stream; otherwise the first case of
    /// another testbed.
    fn choose(&self, lab: usize) -> Option<usize> {
        let here = self.labs[lab].setting;
        let mut at_home = self.waiting.iter().filter(|(_, case)| case.setting == here);
        let has_stream = self.labs.iter().any(|other| other.case == Some(Demand::Traffic));
        let next = at_home.clone().find(|(_, case)| !has_stream || case.demand != Demand::Traffic).or_else(|| at_home.next());
        if let Some((case, _)) = next {
            return Some(*case);
        }
        let setting = self.is_borne(Demand::Raise).then(|| self.next_setting(lab)).flatten()?;
        self.waiting.iter().find(|(_, case)| case.setting == setting).map(|(case, _)| *case)
    }

    /// The setting with the most cases left among those that no lab runs; otherwise the one with the most left for each lab.
    fn next_setting(&self, lab: usize) -> Option<&'static str> {
        let settings: BTreeSet<_> = self.waiting.values().map(|case| case.setting).collect();
        let left = |setting: &str| self.waiting.values().filter(|case| case.setting == setting).count();
        let others = |setting: &str| self.labs.iter().enumerate().filter(|(at, other)| *at != lab && other.setting == setting).count();
        let unplayed = settings.iter().filter(|setting| others(setting) == 0).max_by_key(|setting| left(setting));
        let share = |setting: &str| left(setting) / (others(setting) + 1);
        let shared = || settings.iter().filter(|setting| share(setting) >= SHARE_MIN).max_by_key(|setting| share(setting));
        unplayed.or_else(shared).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(labs: usize, waiting: &[(&'static str, Demand)]) -> ScheduleState {
        let waiting = waiting.iter().map(|(setting, demand)| Waiting { setting, demand: *demand }).enumerate().collect();
        ScheduleState { missing: 0, waiting, labs: vec![LabSlot::default(); labs], granted: BTreeMap::new() }
    }

    fn grant(state: &mut ScheduleState) -> BTreeMap<usize, usize> {
        state.grant();
        std::mem::take(&mut state.granted)
    }

    #[test]
    fn between_two_streams_an_idle_lab_gets_its_testbed() {
        let mut state = state(2, &[("streams", Demand::Traffic), ("other", Demand::Light), ("streams", Demand::Traffic)]);
        state.labs[0].setting = "streams";
        state.labs[1].setting = "done";
        let first = state.waiting.remove(&0).unwrap();
        state.labs[0] = LabSlot { setting: "streams", busy: true, demand: Some(first.demand), case: Some(first.demand) };
        assert_eq!(grant(&mut state), BTreeMap::new(), "no lab may be prepared during a steady stream");
        state.labs[0] = LabSlot { setting: "streams", ..LabSlot::default() };
        assert_eq!(grant(&mut state), BTreeMap::from([(1, 1), (2, 0)]), "the lab is prepared while the next stream settles");
        assert!(!state.is_borne(Demand::Traffic), "and the stream begins afterwards");
    }

    #[test]
    fn labs_begin_with_different_testbeds_and_share_what_is_left_of_the_largest() {
        let mut waiting = vec![("small", Demand::Light)];
        waiting.extend([("large", Demand::Light); 14]);
        let mut state = state(2, &waiting);
        assert_eq!(grant(&mut state), BTreeMap::from([(1, 0), (0, 1)]));
        state.labs[1] = LabSlot { setting: "small", ..LabSlot::default() };
        assert_eq!(grant(&mut state), BTreeMap::from([(2, 1)]), "a second lab must take the remaining 13 cases");
        state.waiting.retain(|case, _| *case < 6);
        state.labs[1] = LabSlot { setting: "", ..LabSlot::default() };
        assert_eq!(grant(&mut state), BTreeMap::new(), "not for three");
    }

    #[test]
    fn one_steady_stream_at_a_time_and_no_testbed_is_made_beside_it() {
        let mut state = state(2, &[("a", Demand::Traffic), ("a", Demand::Traffic), ("a", Demand::Light), ("b", Demand::Light)]);
        for lab in &mut state.labs {
            lab.setting = "a";
        }
        assert_eq!(grant(&mut state), BTreeMap::from([(0, 0), (2, 1)]), "a case without a stream comes before a second stream");
        state.labs[0].demand = Some(Demand::Traffic);
        state.labs[1] = LabSlot { setting: "a", ..LabSlot::default() };
        assert_eq!(grant(&mut state), BTreeMap::from([(1, 1)]), "the second stream's testbed settles beside the first stream");
        assert!(!state.is_borne(Demand::Traffic), "the second stream begins when the first has ended");
        state.labs[1] = LabSlot { setting: "a", ..LabSlot::default() };
        assert_eq!(grant(&mut state), BTreeMap::new(), "a new lab must wait until the stream ends");
        state.labs[0] = LabSlot { setting: "a", ..LabSlot::default() };
        assert_eq!(grant(&mut state).len(), 1);
    }

    #[test]
    fn a_lab_that_needs_a_testbed_gets_it_before_a_stream_that_waits_begins() {
        let schedule = Schedule::new(0, 2);
        {
            let mut state = schedule.state();
            state.waiting.insert(7, Waiting { setting: "new", demand: Demand::Light });
            let settled = Some(Demand::Light);
            state.labs[0] = LabSlot { setting: "streams", busy: true, demand: settled, case: Some(Demand::Traffic) };
        }
        std::thread::scope(|scope| {
            let stream = scope.spawn(|| schedule.begin(0, Demand::Traffic));
            let lab = schedule.enter(7, "new", Demand::Light);
            assert_eq!(lab, 1);
            assert!(!stream.is_finished(), "the stream waits while the testbed is built");
            schedule.leave(lab, "new");
            stream.join().unwrap();
        });
    }

    #[test]
    fn every_case_gets_its_turn_once() {
        let schedule = Schedule::new(40, 3);
        let turns = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for case in 0..40 {
                let (schedule, turns) = (&schedule, &turns);
                scope.spawn(move || {
                    let setting = ["a", "b", "c"][case % 3];
                    let demand = [Demand::Light, Demand::Traffic, Demand::Light, Demand::Traffic][case % 4];
                    let lab = schedule.enter(case, setting, demand);
                    schedule.settle(lab);
                    schedule.begin(lab, demand);
                    turns.lock().unwrap().push(case);
                    schedule.leave(lab, setting);
                });
            }
        });
        let mut turns = turns.into_inner().unwrap();
        turns.sort_unstable();
        assert_eq!(turns, (0..40).collect::<Vec<_>>());
    }
}
