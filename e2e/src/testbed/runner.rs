//! Runs cases, on several labs side by side where the cases allow it, and prints results in the format of `cargo test`. It must
//! never report a case as passed that did not run, nor keep going forever when nothing works.

use std::env;
use std::fs::File;
use std::iter::repeat_n;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::unistd::Uid;

use super::lab_runner::{LabRunner, chain};
use super::schedule::{Demand, Schedule};
use super::timing_report::{self, Clock, Times};
use super::watchdog::Watchdog;
use super::{Testbed, repository};
use crate::lab::Lab;

/// Set to `required` to make tests that cannot run count as failed.
const REQUIRED: &str = "SWARMGATE_TESTS";

/// Set to a number to run every selected case that many times, to catch one that fails intermittently.
const REPEAT: &str = "SWARMGATE_E2E_REPEAT";

/// How many labs run side by side unless `--test-threads` says otherwise. One lab takes up to 1.5 cores while it runs quick cases; on
/// two cores, three labs leave so little that streams lose requests.
const LABS: usize = 2;

/// After this many failed cases, the rest fail without running: they share a cause that lies elsewhere, and each would run into
/// its time limit.
const FAILURES_MAX: usize = 10;

/// The kind of testbed that a case needs. Cases with the same setting share a testbed, one after the other.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Short; part of the lab's name.
    pub name: &'static str,
    /// How many nodes.
    pub nodes: usize,
    /// How many of them are managers.
    pub managers: usize,
    /// Runs once after the lab is up, for example to deploy Swarmgate.
    pub prepare: fn(&Testbed) -> Result<()>,
    /// Runs before each case, inside the lab's parent namespace, for example to wait until Swarmgate has settled after the
    /// previous case.
    pub before: fn(&Testbed) -> Result<()>,
}

impl Setting {
    /// Different for each checkout, so that two checkouts can be tested at the same time on one machine, and for each of the
    /// labs side by side.
    pub(super) fn lab_name(&self, stage: usize) -> String {
        format!("{}{}-{stage}", lab_prefix(), self.name)
    }
}

fn lab_prefix() -> String {
    let path = repository();
    let sum = path.to_string_lossy().bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("e2e-{:04x}-", sum & 0xffff)
}

/// Labs that an earlier run of this checkout left behind because it was killed or because it kept one for inspection.
pub(super) fn remove_leftovers() {
    for name in Lab::names().iter().filter(|name| name.starts_with(&lab_prefix())) {
        if let Err(reason) = Lab::down(name) {
            eprintln!("e2e: could not remove what is left of lab {name}: {reason:#}");
        }
    }
}

/// One promise and how it is checked.
#[derive(Clone, Copy)]
pub struct Case {
    /// `topic::the_promise_in_words`.
    pub name: &'static str,
    /// The testbed that it needs.
    pub setting: Setting,
    /// Runs inside the lab's parent namespace; may break anything, because [`Testbed::tidy`] runs after it.
    pub check: fn(&Testbed) -> Result<()>,
    /// What it demands of the machine.
    pub demand: Demand,
}

impl Case {
    /// A case that tolerates anything running alongside it.
    pub fn new(name: &'static str, setting: Setting, check: fn(&Testbed) -> Result<()>) -> Self {
        Self { name, setting, check, demand: Demand::Light }
    }

    /// Counts the lost requests of a steady stream.
    #[must_use]
    pub fn with_traffic(self) -> Self {
        Self { demand: Demand::Traffic, ..self }
    }
}

/// Everything that the cases of a run share.
struct Run {
    began: Instant,
    schedule: Schedule,
    stages: Vec<Mutex<LabRunner>>,
    failed: AtomicUsize,
    times: Mutex<Vec<Times>>,
}

/// Runs the cases that the command line selects.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let labs = arguments.test_threads.unwrap_or(LABS).max(1);
    let obstacle = obstacle();
    if let Some(reason) = obstacle.as_ref().filter(|_| !arguments.list) {
        println!("\n******** e2e: NOT RUN because {reason} ********");
    }
    let _only_one = obstacle.is_none().then(take_turn);
    if obstacle.is_none() && !arguments.list {
        remove_leftovers();
    }
    let times = env::var(REPEAT).ok().and_then(|number| number.parse().ok()).unwrap_or(1);
    let cases: Vec<_> = cases.into_iter().flat_map(|case| repeat_n(case, times)).collect();
    let named = |case: &Case| Trial::test(case.name, || Ok(()));
    let selected = cases.iter().filter(|case| !arguments.is_filtered_out(&named(case))).count();
    // Each case waits for its turn in its own thread.
    arguments.test_threads = Some(selected.max(1));
    let run = Arc::new(Run::new(selected, labs));
    let trials = cases.into_iter().enumerate();
    let trials = trials.map(|(number, case)| trial(number, case, &run).with_ignored_flag(obstacle.is_some())).collect();
    let mut conclusion = libtest_mimic::run(&arguments, trials);
    for lab in 0..labs {
        if let Err(reason) = run.stage(lab).clear() {
            eprintln!("e2e: {reason:#}");
            conclusion.num_failed += 1;
        }
    }
    timing_report::print(&run.times.lock().unwrap_or_else(PoisonError::into_inner), labs, run.began);
    if obstacle.is_some() && env::var_os(REQUIRED).is_some_and(|value| value == "required") {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// The reason why real Swarms cannot run here, if there is one.
fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("this is not Linux".to_owned());
    }
    if !Uid::effective().is_root() {
        return Some("it creates network namespaces, which requires root".to_owned());
    }
    let lacks = |tool: &&str| {
        let path = env::var_os("PATH").unwrap_or_default();
        !env::split_paths(&path).any(|directory| directory.join(tool).is_file())
    };
    let tools = ["dockerd", "docker", "containerd", "ip", "iptables", "nsenter", "unshare", "tini", "curl"];
    tools.iter().find(|tool| lacks(tool)).map(|tool| format!("there is no {tool}: run `make setup`"))
}

/// Two runs of one checkout would tear down each other's labs.
fn take_turn() -> Result<File> {
    let file = File::create(repository().join("target/e2e.lock")).context("make a lock file")?;
    file.lock().context("wait for another run to end")?;
    Ok(file)
}

fn trial(number: usize, case: Case, run: &Arc<Run>) -> Trial {
    let run = Arc::clone(run);
    Trial::test(case.name, move || run.play(number, &case).map_err(|reason| Failed::from(chain(&reason))))
}

impl Run {
    fn new(cases: usize, labs: usize) -> Self {
        let stages = (0..labs).map(|number| Mutex::new(LabRunner::new(number))).collect();
        let (failed, times) = (AtomicUsize::new(0), Mutex::default());
        Self { began: Instant::now(), schedule: Schedule::new(cases, labs), stages, failed, times }
    }

    fn stage(&self, lab: usize) -> MutexGuard<'_, LabRunner> {
        self.stages[lab].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play(&self, number: usize, case: &Case) -> Result<()> {
        let lab = self.schedule.enter(number, case.setting.name, case.demand);
        let mut stage = self.stage(lab);
        let mut clock = Clock::start(case.name, lab, self.began);
        let outcome = self.play_at(lab, &mut stage, case, &mut clock);
        self.failed.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(clock.stop());
        timing_report::write(&times);
        drop(times);
        self.schedule.leave(lab, stage.setting());
        outcome
    }

    fn play_at(&self, lab: usize, stage: &mut LabRunner, case: &Case, clock: &mut Clock) -> Result<()> {
        ensure!(self.failed.load(Ordering::Relaxed) < FAILURES_MAX, "not played: {FAILURES_MAX} cases have failed before");
        let watch = Watchdog::over(case.name);
        stage.raise(case)?;
        clock.raised();
        self.schedule.settle(lab);
        let ready = stage.settle(case);
        clock.settled();
        drop(watch);
        self.schedule.begin(lab, case.demand);
        clock.waited();
        let _watch = Watchdog::over(case.name);
        stage.run(case, ready, clock)
    }
}
