//! Ends a run in which a case never finishes. It must never end one that is only slow.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::runner::remove_leftovers;
use crate::command;

/// The slowest case takes a minute or two; one that takes this long waits for something without a limit of its own.
const CASE_MAX: Duration = Duration::from_secs(600);

/// Ends the whole run unless dropped in time: a case that hangs cannot be stopped from outside, but it can be named.
pub(super) struct Watchdog {
    _alive: Option<Sender<()>>,
}

impl Watchdog {
    pub fn over(name: &'static str) -> Self {
        let (alive, dropped) = channel();
        let work = move || {
            if dropped.recv_timeout(CASE_MAX) == Err(RecvTimeoutError::Timeout) {
                println!("\n==== {name} did not end within {} s; what runs below it:", CASE_MAX.as_secs());
                let own = std::process::id().to_string();
                println!("{}", command::run("ps", &["--forest", "-o", "pid,etime,wchan:20,args", "--ppid", &own]).unwrap_or_default());
                println!("test result: FAILED. 0 passed; 1 failed; 0 ignored (the run was ended)");
                remove_leftovers();
                std::process::exit(1);
            }
        };
        // Without a watch the case runs all the same.
        let watched = thread::Builder::new().name("watch".into()).spawn(work).is_ok();
        Self { _alive: watched.then_some(alive) }
    }
}
