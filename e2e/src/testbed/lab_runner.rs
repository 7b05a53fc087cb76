//! One laboratory on which cases run one after the other, and which is rebuilt when a case needs another testbed. It must never
//! report a case as passed that did not run, nor give a case a testbed that the previous one left broken.

use std::any::Any;
use std::env;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::runner::Case;
use super::timing_report::Clock;
use super::{Testbed, report};

/// Set to anything to keep the lab of a failed run for inspection.
const KEEP: &str = "SWARMGATE_E2E_KEEP";

/// The testbed that is up, or the reason why the last one did not come up.
pub(super) struct LabRunner {
    /// Which of the labs side by side, from 0.
    number: usize,
    setting: &'static str,
    testbed: Option<Testbed>,
    broken: Option<String>,
    /// Whether a case has run in this testbed.
    used: bool,
    failed: bool,
}

impl LabRunner {
    pub fn new(number: usize) -> Self {
        Self { number, setting: "", testbed: None, broken: None, used: false, failed: false }
    }

    /// The setting whose testbed is up; empty if the next case needs a new one in any case.
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Builds the testbed that the case needs unless it is up already. If that fails, the case reports it when it runs.
    pub fn raise(&mut self, case: &Case) -> Result<()> {
        if self.setting == case.setting.name {
            return Ok(());
        }
        self.clear()?;
        (self.setting, self.used) = (case.setting.name, false);
        match Testbed::up(&case.setting, self.number) {
            Ok(testbed) => self.testbed = Some(testbed),
            Err(reason) => self.broken = Some(format!("{reason:#}")),
        }
        Ok(())
    }

    /// Waits until the testbed is as each case may expect it. The case reports the error when it runs.
    pub fn settle(&self, case: &Case) -> Result<()> {
        match (&self.broken, &self.testbed) {
            (None, Some(testbed)) => guarded(testbed, case, case.setting.before).context("before the case began"),
            (reason, _) => Err(anyhow!("the testbed did not come up: {}", reason.as_deref().unwrap_or("?"))),
        }
    }

    /// Runs a case in the testbed that is up, if it is ready, and removes what it left there.
    pub fn run(&mut self, case: &Case, ready: Result<()>, clock: &mut Clock) -> Result<()> {
        let outcome = self.run_and_clean_up(case, ready, clock);
        self.failed |= outcome.is_err();
        outcome
    }

    fn run_and_clean_up(&mut self, case: &Case, ready: Result<()>, clock: &mut Clock) -> Result<()> {
        let Some(testbed) = self.testbed.as_ref().filter(|_| self.broken.is_none()) else {
            return ready.and_then(|()| Err(anyhow!("no testbed is up")));
        };
        let begun = ready.is_ok();
        let outcome = ready.and_then(|()| guarded(testbed, case, case.check)).and(nothing_refused(testbed));
        clock.checked();
        let tidied = testbed.tidy().inspect_err(|reason| eprintln!("e2e: could not tidy up after {}: {reason:#}", case.name));
        // A new testbed in which its first case cannot begin is not rebuilt for each case; otherwise the next case gets a fresh
        // one.
        if let (false, false, Err(reason)) = (begun, self.used, &outcome) {
            self.broken = Some(format!("{reason:#}"));
        } else if !begun || tidied.is_err() {
            self.setting = "";
        }
        self.used = true;
        outcome
    }

    /// Removes the testbed, unless a case failed and the testbed is kept for inspection.
    pub fn clear(&mut self) -> Result<()> {
        self.broken = None;
        match self.testbed.take() {
            Some(testbed) if self.failed && env::var_os(KEEP).is_some() => {
                eprintln!("e2e: lab {} is left up because {KEEP} is set", testbed.lab.name());
                Ok(())
            }
            Some(testbed) => testbed.down(),
            None => Ok(()),
        }
    }
}

/// An API call by the operator that is not on the published list fails the case during which it happened.
fn nothing_refused(testbed: &Testbed) -> Result<()> {
    let refused = testbed.lab.take_refused_calls()?;
    ensure!(refused.is_empty(), "calls that charts/swarmgate/docker-api.txt does not name:\n{}", refused.join("\n"));
    Ok(())
}

/// Runs part of a case where it can reach only the lab, and prints the state of the testbed if it fails.
fn guarded(testbed: &Testbed, case: &Case, work: fn(&Testbed) -> Result<()>) -> Result<()> {
    testbed.lab.inside(|| {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(testbed)));
        let outcome = outcome.unwrap_or_else(|panic| Err(anyhow!("panicked: {}", panic_message(&*panic))));
        outcome.inspect_err(|reason| {
            print_at_once(&format!(
                "\n==== {} failed on lab {}:\n{}\n==== the testbed then:\n{}\n",
                case.name,
                testbed.lab.name(),
                chain(reason),
                report(testbed)
            ));
        })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)")
}

/// Written in one piece: cases on other labs write, too, and the results of cases go to the other stream.
fn print_at_once(text: &str) {
    let _results_wait = io::stdout().lock();
    // A closed stream is no reason to fail.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// An error with all its causes.
pub(super) fn chain(reason: &anyhow::Error) -> String {
    reason.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because: ")
}
