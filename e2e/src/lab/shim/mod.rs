//! A stand-in for `ip_vs` on kernels without it: makes service VIPs and routing-mesh ports work with packet rules in the places
//! where the engine would program IPVS. It must never change a container's own namespace.

mod apply;
mod plan;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Lab;
use super::docker_client::{DockerClient, parsed};
use apply::AppliedRules;
use plan::BalancingPlan;

/// How often the Swarm is polled: a change takes effect after about twice this time.
const INTERVAL: Duration = Duration::from_millis(250);

/// Keeps the rules up to date from its own thread until it is dropped. The last rules then stay in place.
pub struct VipShim {
    stop: Arc<AtomicBool>,
    trouble: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl VipShim {
    pub(super) fn start(lab: Lab) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let trouble = Arc::new(Mutex::new(None));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&trouble));
        let work = move || follow(&lab, &stopped, &shared);
        let thread = thread::Builder::new().name("vip-shim".into()).spawn(work).context("start the VIP shim")?;
        Ok(Self { stop, trouble, thread: Some(thread) })
    }

    /// Why the last round failed, if it did. In a lab whose manager is down, rounds fail, and that is not an error.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok().and_then(|text| text.clone())
    }
}

impl Drop for VipShim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(lab: &Lab, stop: &AtomicBool, trouble: &Mutex<Option<String>>) {
    let mut applied = AppliedRules::default();
    let mut observer = PlanObserver::default();
    while !stop.load(Ordering::Relaxed) {
        let outcome = round(lab, &mut observer, &mut applied);
        if let Ok(mut reported) = trouble.lock() {
            *reported = outcome.err().map(|reason| format!("{reason:#}"));
        }
        thread::sleep(INTERVAL);
    }
}

fn round(lab: &Lab, observer: &mut PlanObserver, applied: &mut AppliedRules) -> Result<()> {
    let plan = observer.observe(lab)?;
    applied.begin(plan);
    let mut outcome = Ok(());
    for k in 1..=lab.nodes() {
        if let Some(first) = lab.node(k).first_process() {
            let written = applied.bring(lab.name(), k, first, plan);
            outcome = written.with_context(|| format!("write the rules of node{k}")).and(outcome);
        }
    }
    outcome
}

/// The lists from which a plan is computed: services, tasks whose desired state is running, overlay networks.
const LISTS: [&str; 3] = [
    "/services",
    "/tasks?filters=%7B%22desired-state%22%3A%5B%22running%22%5D%7D",
    "/networks?filters=%7B%22driver%22%3A%5B%22overlay%22%5D%7D",
];

/// Reads the Swarm's lists. They rarely change, so they are parsed only when they did.
#[derive(Default)]
struct PlanObserver {
    engines: BTreeMap<usize, DockerClient>,
    lists: [String; 3],
    plan: BalancingPlan,
}

impl PlanObserver {
    /// Queries the first node that knows: only managers do, and a stopped node must not hold up the others for long.
    fn observe(&mut self, lab: &Lab) -> Result<&BalancingPlan> {
        let lists = self.read(lab)?;
        if lists != self.lists {
            let [services, tasks, networks] = [parsed(&lists[0])?, parsed(&lists[1])?, parsed(&lists[2])?];
            self.plan = BalancingPlan::of(&services, &tasks, &networks);
            self.lists = lists;
        }
        Ok(&self.plan)
    }

    fn read(&mut self, lab: &Lab) -> Result<[String; 3]> {
        let mut last = anyhow::anyhow!("the lab has no manager");
        for k in 1..=lab.nodes() {
            let engine = match self.engines.entry(k) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(lab.engine(k)?),
            };
            match engine.ping(Duration::from_secs(1)).and_then(|()| lists(engine)) {
                Ok(lists) => return Ok(lists),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }
}

fn lists(engine: &DockerClient) -> Result<[String; 3]> {
    let [services, tasks, networks] = LISTS.map(|path| engine.get_text(path));
    Ok([services?, tasks?, networks?])
}
