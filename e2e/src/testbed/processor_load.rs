//! How much processor time the machine has left. It must not count work that gives way to everything else (positive nice values,
//! the idle policy): tests that only compute run beside the Swarms like that.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is measured is the average of at least so long.
const WINDOW: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(1);
/// With less than one in so many parts of the processors' time left, steady streams lose requests beside other cases.
const SPARE_SHARE: u64 = 10;

/// Jiffies since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jiffies {
    spare: u64,
    total: u64,
}

/// Measures whenever somebody asks.
#[derive(Default)]
pub(super) struct ProcessorLoad {
    samples: Mutex<VecDeque<(Instant, Jiffies)>>,
}

impl ProcessorLoad {
    /// Whether processor time was left recently. Unknown load is no obstacle.
    pub fn has_spare(&self) -> bool {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_none_or(|(at, _)| at.elapsed() >= INTERVAL)
            && let Some(now) = fs::read_to_string("/proc/stat").ok().and_then(|text| parse(&text))
        {
            samples.push_back((Instant::now(), now));
        }
        while samples.get(1).is_some_and(|(at, _)| at.elapsed() >= WINDOW) {
            samples.pop_front();
        }
        match (samples.front(), samples.back()) {
            (Some((_, first)), Some((_, last))) => is_spare(*first, *last),
            _ => true,
        }
    }
}

fn is_spare(first: Jiffies, last: Jiffies) -> bool {
    let (spare, total) = (last.spare.saturating_sub(first.spare), last.total.saturating_sub(first.total));
    spare * SPARE_SHARE >= total
}

/// Reads the line of all processors: `cpu user nice system idle iowait irq softirq steal`, then time that is counted already.
fn parse(stat: &str) -> Option<Jiffies> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let jiffies: Vec<u64> = line.split_whitespace().map_while(|number| number.parse().ok()).take(8).collect();
    let &[_, nice, _, idle, iowait, ..] = jiffies.as_slice() else { return None };
    Some(Jiffies { spare: nice + idle + iowait, total: jiffies.iter().sum() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_nice_processes_is_spare() {
        let jiffies = parse("cpu  60 20 15 4 1 0 0 0 7 7\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(jiffies, Jiffies { spare: 25, total: 100 });
        assert_eq!((parse("cpu0 1 2 3 4 5\n"), parse("cpu 1 2 3\n"), parse("")), (None, None, None));
    }

    #[test]
    fn less_than_a_tenth_is_not_spare() {
        let start = Jiffies { spare: 500, total: 1000 };
        let after = |spare: u64| Jiffies { spare: 500 + spare, total: 2000 };
        assert_eq!([0, 99, 100, 1000].map(|spare| is_spare(start, after(spare))), [false, false, true, true]);
        assert!(is_spare(start, start), "nothing is known yet");
    }

    #[test]
    fn this_machine_is_measured() {
        let load = ProcessorLoad::default();
        load.has_spare();
        assert_eq!(load.samples.lock().unwrap().len(), usize::from(cfg!(target_os = "linux")));
    }
}
