//! Runs cases one after the other, in groups that share a world, and prints their results like `cargo test` does. It must
//! never count a case as passed that did not run, nor go on without an end where nothing works.

use std::env;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::unistd::Uid;

use super::{World, report, repository};
use crate::command;
use crate::lab::Lab;

/// Set to anything to leave the lab of a failed run up, for a look at it.
const KEEP: &str = "SWARMGATE_E2E_KEEP";
/// Set to `required` where tests that cannot run shall count as failed.
const REQUIRED: &str = "SWARMGATE_TESTS";

/// How many of the slowest cases are listed.
const SLOWEST: usize = 10;

/// After so many failed cases the others fail unplayed: the cause is none of theirs, and each would wait for it in vain.
const FAILURES_MAX: usize = 10;
/// The slowest case takes a minute or two; one that takes this long waits for something that has no limit of its own.
const CASE_MAX: Duration = Duration::from_secs(600);

/// What kind of world a case needs. Cases with the same setting share one world, so they stand one after the other.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Short; part of the lab's name.
    pub name: &'static str,
    /// How many nodes.
    pub nodes: usize,
    /// How many of them are managers.
    pub managers: usize,
    /// What happens once after the lab is up, such as deploying Swarmgate.
    pub prepare: fn(&World) -> Result<()>,
    /// What happens before each case, inside the lab's parent namespace, such as waiting until Swarmgate has settled after
    /// the case before.
    pub before: fn(&World) -> Result<()>,
}

impl Setting {
    /// Different for each checkout, so that two of them can be tested at the same time on one machine.
    pub(super) fn lab_name(&self) -> String {
        format!("{}{}", lab_prefix(), self.name)
    }
}

fn lab_prefix() -> String {
    let path = repository();
    let sum = path.to_string_lossy().bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("e2e-{:04x}-", sum & 0xffff)
}

/// Labs of an earlier run of this checkout that was killed, or that left one up for a look.
fn remove_leftovers() {
    for name in Lab::names().iter().filter(|name| name.starts_with(&lab_prefix())) {
        if let Err(reason) = Lab::down(name) {
            eprintln!("e2e: could not remove what is left of lab {name}: {reason:#}");
        }
    }
}

/// One promise and how it is checked.
pub struct Case {
    /// `topic::the_promise_in_words`.
    pub name: &'static str,
    /// The world that it needs.
    pub setting: Setting,
    /// Runs inside the lab's parent namespace; may break anything, since [`World::tidy`] comes after it.
    pub check: fn(&World) -> Result<()>,
}

/// The world that is up, or why the last one did not come up.
#[derive(Default)]
struct Stage {
    setting: &'static str,
    world: Option<World>,
    broken: Option<String>,
    /// Whether a case has been played in this world.
    used: bool,
    failed: usize,
    times: Vec<(f64, &'static str)>,
}

/// Runs the cases that the command line selects.
pub fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let obstacle = obstacle();
    if let Some(reason) = obstacle.as_ref().filter(|_| !arguments.list) {
        println!("\n******** e2e: NOT RUN because {reason} ********");
    }
    let _only_one = obstacle.is_none().then(take_turn);
    if obstacle.is_none() && !arguments.list {
        remove_leftovers();
    }
    let stage = Arc::new(Mutex::new(Stage::default()));
    let trials = cases.into_iter().map(|case| trial(case, &stage).with_ignored_flag(obstacle.is_some()));
    let trials = trials.collect();
    let mut conclusion = libtest_mimic::run(&arguments, trials);
    if let Err(reason) = stage.lock().unwrap_or_else(PoisonError::into_inner).clear() {
        eprintln!("e2e: {reason:#}");
        conclusion.num_failed += 1;
    }
    print_slowest(&stage.lock().unwrap_or_else(PoisonError::into_inner).times);
    if obstacle.is_some() && env::var_os(REQUIRED).is_some_and(|value| value == "required") {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Where the time went: a run that takes too long is run less often.
fn print_slowest(times: &[(f64, &str)]) {
    let mut slowest = times.to_vec();
    slowest.sort_by(|one, other| other.0.total_cmp(&one.0));
    let shown: Vec<_> = slowest.iter().take(SLOWEST).map(|(time, name)| format!("  {time:6.1} s  {name}")).collect();
    if !shown.is_empty() {
        let sum: f64 = times.iter().map(|(time, _)| time).sum();
        println!("e2e: {sum:.0} s in all; the slowest:\n{}\n", shown.join("\n"));
    }
}

/// Why real Swarms cannot be made here, if they cannot.
fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("this is not Linux".to_owned());
    }
    if !Uid::effective().is_root() {
        return Some("it makes network namespaces, which needs root".to_owned());
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

fn trial(case: Case, stage: &Arc<Mutex<Stage>>) -> Trial {
    let stage = Arc::clone(stage);
    Trial::test(case.name, move || {
        let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        let _watch = Watch::over(case.name);
        let outcome = stage.play_unless_pointless(&case);
        stage.failed += usize::from(outcome.is_err());
        stage.times.push((started.elapsed().as_secs_f64(), case.name));
        outcome.map_err(|reason| Failed::from(chain(&reason)))
    })
}

/// Ends the whole run when it is not dropped in time: a case that hangs cannot be stopped from outside, but it can be named.
struct Watch {
    _alive: Option<Sender<()>>,
}

impl Watch {
    fn over(name: &'static str) -> Self {
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
        // Without a watch the case is played all the same.
        let watched = thread::Builder::new().name("watch".into()).spawn(work).is_ok();
        Self { _alive: watched.then_some(alive) }
    }
}

impl Stage {
    fn play_unless_pointless(&mut self, case: &Case) -> Result<()> {
        ensure!(self.failed < FAILURES_MAX, "not played: {FAILURES_MAX} cases have failed before");
        self.play(case)
    }

    fn play(&mut self, case: &Case) -> Result<()> {
        if self.setting != case.setting.name {
            self.raise(case)?;
        }
        let broken = self.broken.as_deref().unwrap_or("?");
        let world =
            self.world.as_ref().filter(|_| self.broken.is_none()).with_context(|| format!("the world did not come up: {broken}"))?;
        let ready = guarded(world, case, case.setting.before).context("before the case began");
        let begun = ready.is_ok();
        let outcome = ready.and_then(|()| guarded(world, case, case.check)).and(nothing_refused(world));
        let tidied = world.tidy().inspect_err(|reason| eprintln!("e2e: could not tidy up after {}: {reason:#}", case.name));
        // A world that is not right for any case is not made again for each; otherwise the next case gets a fresh one.
        if let (false, false, Err(reason)) = (begun, self.used, &outcome) {
            self.broken = Some(format!("{reason:#}"));
        } else if !begun || tidied.is_err() {
            self.setting = "";
        }
        self.used = true;
        outcome
    }

    fn raise(&mut self, case: &Case) -> Result<()> {
        self.clear()?;
        (self.setting, self.used) = (case.setting.name, false);
        match World::up(&case.setting) {
            Ok(world) => self.world = Some(world),
            Err(reason) => self.broken = Some(format!("{reason:#}")),
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.broken = None;
        match self.world.take() {
            Some(world) if self.failed > 0 && env::var_os(KEEP).is_some() => {
                eprintln!("e2e: lab {} is left up because {KEEP} is set", world.lab.name());
                Ok(())
            }
            Some(world) => world.down(),
            None => Ok(()),
        }
    }
}

/// A call of the operator that is not on the published list fails the case in which it was tried.
fn nothing_refused(world: &World) -> Result<()> {
    let refused = world.lab.take_refused_calls()?;
    ensure!(refused.is_empty(), "calls that charts/swarmgate/docker-api.txt does not name:\n{}", refused.join("\n"));
    Ok(())
}

/// Runs part of a case where it can reach the lab and nothing else, and shows the world if it fails.
fn guarded(world: &World, case: &Case, work: fn(&World) -> Result<()>) -> Result<()> {
    world.lab.inside(|| {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(world)));
        let outcome = outcome.unwrap_or_else(|_| Err(anyhow!("panicked (the message is above)")));
        outcome.inspect_err(|reason| {
            eprintln!("\n==== {} failed:\n{}", case.name, chain(reason));
            eprintln!("==== the world then:\n{}", report(world));
        })
    })
}

fn chain(reason: &anyhow::Error) -> String {
    reason.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because: ")
}
