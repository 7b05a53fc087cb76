//! The names that Docker did not answer lately, while it answered others. Docker forwards names that it does not know to name
//! servers that may not answer, and each such query has to wait. A team that publishes hundreds of services without tasks would
//! make the names of other teams wait too; so a name that Docker left unanswered twice is answered from here for some seconds.
//! Pure, except for the lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

/// How long an unanswered query is remembered: a service that gets tasks is found later by as much.
pub(super) const HOLD: Duration = Duration::from_secs(5);
/// A name that was not queried for this long is forgotten.
const FORGET: Duration = Duration::from_secs(30);
/// A single unanswered query may be due to a busy moment of Docker or to two lost datagrams, so the name is queried again as usual.
const TIMES: u32 = 2;
/// How many names are remembered: two record types for each route that a cluster may have. Further names are queried as if they
/// were new.
const NAMES_MAX: usize = 20_000;

/// A query to Docker, with its name as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NameQuery(String, RecordType);

impl NameQuery {
    pub(super) fn new(name: &Name, kind: RecordType) -> Self {
        Self(name.to_ascii(), kind)
    }
}

/// How to handle a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryDecision {
    /// Query Docker and wait for the answer.
    Query,
    /// Docker did not answer just now: do not query it.
    Spare,
    /// Docker did not answer some seconds ago: query it again, in the queue of renewals, and report the result.
    Renew,
}

/// The unanswered names. Clones share their content.
#[derive(Debug, Clone)]
pub(super) struct UnresolvedNames {
    hold: Duration,
    names: Arc<Mutex<HashMap<NameQuery, Silence>>>,
}

#[derive(Debug)]
struct Silence {
    times: u32,
    noted: Instant,
    renewed: bool,
}

impl UnresolvedNames {
    pub(super) fn new(hold: Duration) -> Self {
        Self { hold, names: Arc::default() }
    }

    pub(super) fn decide(&self, key: &NameQuery, now: Instant) -> QueryDecision {
        let mut names = self.names();
        let Some(silence) = names.get_mut(key).filter(|silence| silence.times >= TIMES) else { return QueryDecision::Query };
        let age = now.saturating_duration_since(silence.noted);
        if silence.renewed || age < self.hold {
            return QueryDecision::Spare;
        }
        if age >= FORGET {
            names.remove(key);
            return QueryDecision::Query;
        }
        silence.renewed = true;
        QueryDecision::Renew
    }

    /// Docker answered, whatever the answer.
    pub(super) fn record_answer(&self, key: &NameQuery) {
        self.names().remove(key);
    }

    /// Docker did not answer a query of that time, although it answered others. Queries that waited at the same time count once.
    pub(super) fn record_silence(&self, key: NameQuery, queried_at: Instant, now: Instant) {
        let mut names = self.names();
        if names.len() >= NAMES_MAX && !names.contains_key(&key) {
            names.retain(|_, silence| silence.renewed || now.saturating_duration_since(silence.noted) < FORGET);
            if names.len() >= NAMES_MAX {
                return;
            }
        }
        let silence = names.entry(key).or_insert(Silence { times: 0, noted: queried_at, renewed: false });
        if silence.times == 0 || queried_at >= silence.noted {
            silence.times = silence.times.saturating_add(1);
        }
        (silence.noted, silence.renewed) = (now, false);
    }

    /// Docker did not answer anything, which says nothing about this name.
    pub(super) fn record_unclear(&self, key: &NameQuery) {
        if let Some(silence) = self.names().get_mut(key) {
            silence.renewed = false;
        }
    }

    /// Nothing panics while it holds the lock.
    fn names(&self) -> MutexGuard<'_, HashMap<NameQuery, Silence>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> NameQuery {
        NameQuery::new(&Name::from_ascii(name).unwrap(), RecordType::A)
    }

    /// Silent about `web` at the first and the second second.
    fn silent_twice() -> (UnresolvedNames, Instant) {
        let (silences, start) = (UnresolvedNames::new(HOLD), Instant::now());
        for queried_at in [start, start + SECOND] {
            assert_eq!(silences.decide(&key("web"), queried_at), QueryDecision::Query);
            silences.record_silence(key("web"), queried_at, queried_at + SECOND);
        }
        (silences, start + 2 * SECOND)
    }

    #[test]
    fn the_second_silence_is_remembered_for_some_seconds_and_each_further_one_renews_it() {
        let (silences, noted) = silent_twice();
        assert_eq!(silences.decide(&key("web"), noted + HOLD - SECOND), QueryDecision::Spare);
        assert_eq!(silences.decide(&key("WEB"), noted), QueryDecision::Query, "Docker compares names with case");
        assert_eq!(silences.decide(&NameQuery::new(&Name::from_ascii("web").unwrap(), RecordType::AAAA), noted), QueryDecision::Query);
        assert_eq!(silences.decide(&key("web"), noted + HOLD), QueryDecision::Renew);
        assert_eq!(silences.decide(&key("web"), noted + HOLD), QueryDecision::Spare, "another question is already open");
        silences.record_silence(key("web"), noted + HOLD, noted + HOLD + SECOND);
        assert_eq!(silences.decide(&key("web"), noted + 2 * HOLD), QueryDecision::Spare);
        assert_eq!(silences.decide(&key("web"), noted + 2 * HOLD + SECOND), QueryDecision::Renew);
        silences.record_unclear(&key("web"));
        assert_eq!(silences.decide(&key("web"), noted + 2 * HOLD + SECOND), QueryDecision::Renew, "Docker did not answer for a while");
    }

    #[test]
    fn a_name_with_a_recent_answer_is_queried_again() {
        let (silences, noted) = silent_twice();
        silences.record_answer(&key("web"));
        assert_eq!(silences.decide(&key("web"), noted), QueryDecision::Query);
        silences.record_silence(key("web"), noted, noted + SECOND);
        assert_eq!(silences.decide(&key("web"), noted + SECOND), QueryDecision::Query, "one silence is not remembered");
    }

    #[test]
    fn simultaneous_questions_are_one_silence() {
        let (silences, start) = (UnresolvedNames::new(HOLD), Instant::now());
        for ended in [SECOND, 2 * SECOND] {
            silences.record_silence(key("web"), start, start + ended);
        }
        assert_eq!(silences.decide(&key("web"), start + 2 * SECOND), QueryDecision::Query);
    }

    #[test]
    fn an_old_silence_is_forgotten() {
        let (silences, noted) = silent_twice();
        assert_eq!(silences.decide(&key("web"), noted + FORGET), QueryDecision::Query);
        for number in 0..=NAMES_MAX {
            silences.record_silence(key(&format!("n{number}")), noted, noted);
        }
        assert_eq!(silences.names().len(), NAMES_MAX);
        silences.record_silence(key("new"), noted + FORGET, noted + FORGET);
        assert_eq!(silences.names().len(), 1);
    }
}
