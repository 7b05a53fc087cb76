//! The queue's rules, one claim each, in a time that only the test moves.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{PassEnd, QueueLimits, WorkQueue, WritePermission};
use crate::retry::RetryLimits;

const MS: Duration = Duration::from_millis(1);

fn queue() -> (WorkQueue<&'static str>, Instant) {
    let retry = RetryLimits { initial: 100 * MS, max: 1000 * MS };
    (WorkQueue::new(QueueLimits { debounce: 50 * MS, max_delay: 500 * MS, retry }), Instant::now())
}

fn request(queue: &mut WorkQueue<&'static str>, key: &'static str, now: Instant) {
    queue.enqueue(&key, now, now);
}

fn due(queue: &mut WorkQueue<&'static str>, now: Instant) -> Vec<&'static str> {
    queue.take_due(now).into_iter().map(|ticket| ticket.key).collect()
}

#[test]
fn the_first_request_of_a_quiet_key_is_due_at_once() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    assert_eq!(due(&mut queue, start), ["a"]);
}

#[test]
fn two_requests_cause_one_pass() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    request(&mut queue, "a", start);
    assert_eq!(due(&mut queue, start), ["a"]);
    queue.finished(&"a", start + MS, PassEnd::Done);
    assert_eq!(queue.next_due(), None);
}

#[test]
fn a_key_never_runs_twice_at_once_and_a_request_in_the_meantime_is_kept() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    assert_eq!(due(&mut queue, start), ["a"]);
    request(&mut queue, "a", start + 100 * MS);
    assert_eq!(queue.next_due(), None);
    assert!(due(&mut queue, start + 200 * MS).is_empty());
    queue.finished(&"a", start + 300 * MS, PassEnd::Done);
    assert_eq!(due(&mut queue, start + 300 * MS), ["a"]);
}

#[test]
fn requests_shortly_after_a_pass_are_combined() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    due(&mut queue, start);
    queue.finished(&"a", start, PassEnd::Done);
    request(&mut queue, "a", start + 10 * MS);
    request(&mut queue, "a", start + 40 * MS);
    assert_eq!(queue.next_due(), Some(start + 90 * MS));
}

#[test]
fn no_stream_of_requests_delays_a_pass_beyond_the_maximum() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    due(&mut queue, start);
    queue.finished(&"a", start, PassEnd::Done);
    (1..1000).for_each(|i| request(&mut queue, "a", start + 10 * MS * i));
    assert_eq!(queue.next_due(), Some(start + 510 * MS));
}

#[test]
fn a_ticket_needs_a_snapshot_as_fresh_as_the_most_demanding_request() {
    let (mut queue, start) = queue();
    queue.enqueue(&"a", start, start + 7 * MS);
    queue.enqueue(&"a", start + 8 * MS, start);
    assert_eq!(queue.take_due(start + 9 * MS)[0].since, start + 7 * MS);
    queue.finished(&"a", start + 9 * MS, PassEnd::Again(100 * MS));
    assert_eq!(queue.take_due(start + 200 * MS)[0].since, start + 200 * MS, "no request: a new snapshot");
}

#[test]
fn a_failure_delays_writes_but_not_reads() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    due(&mut queue, start);
    queue.finished(&"a", start, PassEnd::Failed);
    let until = queue.held_until(&"a").expect("a failed key is held back");
    assert!(until >= start + 50 * MS && until <= start + 150 * MS);
    request(&mut queue, "a", start + 10 * MS);
    let ticket = queue.take_due(start + 60 * MS - 10 * MS + 10 * MS);
    assert_eq!(ticket.len(), 1, "requests proceed while writes are held back");
    if start + 60 * MS < until {
        assert_eq!(ticket[0].acting, WritePermission::HeldUntil(until));
    }
    queue.finished(&"a", start + 60 * MS, PassEnd::Held);
    assert_eq!(queue.next_due(), Some(until), "the retry time does not change");
    assert_eq!(queue.take_due(until)[0].acting, WritePermission::Allowed);
}

#[test]
fn repeated_failures_wait_longer_and_a_success_starts_over() {
    let (mut queue, start) = queue();
    let mut now = start;
    for _ in 0..8 {
        request(&mut queue, "a", now);
        now += 10_000 * MS;
        due(&mut queue, now);
        queue.finished(&"a", now, PassEnd::Failed);
    }
    assert!(queue.held_until(&"a").expect("held") - now >= 400 * MS);
    now += 10_000 * MS;
    due(&mut queue, now);
    queue.finished(&"a", now, PassEnd::Done);
    assert_eq!(queue.held_until(&"a"), None);
    request(&mut queue, "a", now + 100 * MS);
    due(&mut queue, now + 100 * MS);
    queue.finished(&"a", now + 100 * MS, PassEnd::Failed);
    assert!(queue.held_until(&"a").expect("held") - now <= 250 * MS);
}

#[test]
fn a_failing_key_delays_no_other_key() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    due(&mut queue, start);
    queue.finished(&"a", start, PassEnd::Failed);
    request(&mut queue, "b", start);
    let tickets = queue.take_due(start);
    assert_eq!((tickets[0].key, tickets[0].acting), ("b", WritePermission::Allowed));
}

#[test]
fn a_pass_that_wrote_is_followed_by_another() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    due(&mut queue, start);
    queue.finished(&"a", start, PassEnd::Again(200 * MS));
    assert_eq!(queue.next_due(), Some(start + 200 * MS));
}

#[test]
fn removed_keys_are_forgotten() {
    let (mut queue, start) = queue();
    request(&mut queue, "a", start);
    request(&mut queue, "b", start);
    queue.retain(&BTreeSet::from(["b"]));
    assert_eq!(due(&mut queue, start), ["b"]);
}
