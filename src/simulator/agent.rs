//! What happens to a task over time: it gets addresses and a node, starts, runs, fails, ends.

use rand::Rng as _;
use serde_json::Value;

use super::model::{DesiredTaskState, ImageBehaviour, Millis, NetworkBehaviour, SimTask, TaskState};
use super::spec::{self, FileKind};
use super::world::SimState;

/// Milliseconds between the request to stop and the signal, for tasks on networks.
const LEAVES_NETWORKS: Millis = 2_000;
/// Milliseconds from the signal to the end.
const STOPS: Millis = 1_300;
/// Milliseconds from one health check to the next.
const UNHEALTHY: Millis = 3_000;
/// Milliseconds until the allocator tries again on a full network.
const FULL_NETWORK: Millis = 1_000;

impl SimState {
    /// Advances all tasks that are due; returns whether there were any.
    pub fn run_agents(&mut self) -> bool {
        let now = self.now;
        let passed = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        let due: Vec<String> = self.tasks.values().filter(|t| passed(t.due) || passed(t.start_at)).map(|t| t.id.clone()).collect();
        for id in &due {
            if self.tasks.get(id).is_some_and(|t| passed(t.start_at)) {
                self.promote(id);
            }
            if self.tasks.get(id).is_some_and(|t| passed(t.due)) {
                self.step(id);
            }
        }
        !due.is_empty()
    }

    /// Lets a task that was only wanted `ready` start running.
    pub fn promote(&mut self, id: &str) {
        let (now, version) = (self.now, self.bump());
        let Some(task) = self.tasks.get_mut(id) else { return };
        (task.start_at, task.version) = (None, version);
        if task.desired == DesiredTaskState::Ready {
            task.desired = DesiredTaskState::Running;
            if task.state == TaskState::Ready {
                task.due = Some(now);
            }
        }
    }

    fn step(&mut self, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.due = None;
        if !task.desired.wanted() && task.state > TaskState::Pending {
            return self.end(id, TaskState::Shutdown, "");
        }
        match task.state {
            TaskState::New => self.allocate_task(id),
            TaskState::Pending => self.schedule(id),
            TaskState::Assigned => self.enter(id, TaskState::Preparing, Some(100)),
            TaskState::Preparing => self.prepared(id),
            TaskState::Ready => self.start(id),
            TaskState::Starting => self.started(id),
            TaskState::Running => self.exit(id),
            TaskState::Complete | TaskState::Shutdown | TaskState::Failed | TaskState::Rejected => {}
        }
    }

    /// The container exits by itself.
    fn exit(&mut self, id: &str) {
        let done = self.tasks.get(id).is_some_and(|task| matches!(self.behaviour(task), ImageBehaviour::EndsAfter(_)));
        if done { self.end(id, TaskState::Complete, "") } else { self.end(id, TaskState::Failed, "task: non-zero exit (1)") }
    }

    fn enter(&mut self, id: &str, state: TaskState, next: Option<Millis>) {
        let (now, version) = (self.now, self.bump());
        if let Some(task) = self.tasks.get_mut(id) {
            (task.state, task.since, task.version, task.due) = (state, now, version, next.map(|d| now + d));
            task.message = state.word();
            let service = task.service.clone();
            self.dirty.insert(service);
        }
    }

    fn allocate_task(&mut self, id: &str) {
        let Some(service) = self.tasks.get(id).map(|t| t.service.clone()) else { return };
        if let Some(addresses) = self.take_addresses(&service) {
            if let Some(task) = self.tasks.get_mut(id) {
                task.addresses = addresses;
            }
            self.enter(id, TaskState::Pending, Some(10));
        } else if let Some(task) = self.tasks.get_mut(id) {
            // The reason appears only in a manager's log.
            task.due = Some(self.now + FULL_NETWORK);
        }
    }

    fn schedule(&mut self, id: &str) {
        let Some(choice) = self.tasks.get(id).map(|t| self.choose_node(t)) else { return };
        let (delay, version) = (self.rng.random_range(50..150), self.bump());
        let chosen = choice.is_ok();
        if chosen && self.tasks.get(id).is_some_and(|t| !t.desired.wanted()) {
            return self.end(id, TaskState::Shutdown, "");
        }
        if let Some(task) = self.tasks.get_mut(id) {
            match choice {
                Ok(node) => (task.node, task.error) = (Some(node), String::new()),
                Err(reason) => task.error = reason,
            }
            task.version = version;
        }
        if chosen {
            self.balance(id);
            self.enter(id, TaskState::Assigned, Some(delay));
        }
    }

    /// Makes the scheduler reconsider all tasks without a node.
    pub fn wake_pending(&mut self) {
        let now = self.now;
        for task in self.tasks.values_mut().filter(|t| t.state == TaskState::Pending && t.due.is_none()) {
            task.due = Some(now);
        }
    }

    fn prepared(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        if let Some(error) = self.missing(task) {
            return self.end(id, TaskState::Rejected, &error);
        }
        let next = (task.desired != DesiredTaskState::Ready).then_some(10);
        self.enter(id, TaskState::Ready, next);
    }

    /// The error for something that a task needs and its node cannot get.
    fn missing(&self, task: &SimTask) -> Option<String> {
        if self.behaviour(task) == ImageBehaviour::Missing {
            return Some(format!("No such image: {}", image(task)));
        }
        if self.is_on(task, NetworkBehaviour::Rejected) {
            return Some("network sandbox join failed: error creating vxlan interface: file exists".to_owned());
        }
        [FileKind::Config, FileKind::Secret].into_iter().find_map(|kind| {
            let word = kind.word();
            let lost = spec::references(&task.spec, kind).find(|(id, _, _)| !self.files(kind).contains_key(*id))?;
            Some(format!("unable to get {word} from {word} store: {word} {} not found", lost.0))
        })
    }

    /// Whether one of the task's networks has this behaviour.
    fn is_on(&self, task: &SimTask, behaviour: NetworkBehaviour) -> bool {
        spec::attached(&task.spec).any(|id| self.networks.get(id).is_some_and(|network| network.behaviour == behaviour))
    }

    fn behaviour(&self, task: &SimTask) -> ImageBehaviour {
        self.images.get(image(task)).copied().unwrap_or(ImageBehaviour::Healthy)
    }

    fn start(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        let time = match self.behaviour(task) {
            ImageBehaviour::StartsSlowly(time) => time,
            _ => self.rng.random_range(600..1_200),
        };
        self.enter(id, TaskState::Starting, Some(time));
    }

    fn started(&mut self, id: &str) {
        let Some(task) = self.tasks.get(id) else { return };
        if self.is_on(task, NetworkBehaviour::NeverReached) {
            // Its health check is repeated again and again.
            let again = self.now + UNHEALTHY;
            if let Some(task) = self.tasks.get_mut(id) {
                task.due = Some(again);
            }
            return;
        }
        let next = match self.behaviour(task) {
            ImageBehaviour::NeverStarts => return self.end(id, TaskState::Failed, "task: non-zero exit (1)"),
            ImageBehaviour::CrashesAfter(time) | ImageBehaviour::EndsAfter(time) => Some(time),
            _ => None,
        };
        self.bind_host_ports(id);
        self.enter(id, TaskState::Running, next);
    }

    /// The engine binds each port of a container once, for the last publication that names it, and chooses port numbers that
    /// are free on the node, for IPv4 and IPv6 separately. On a new engine the two are equal; here they differ from the start.
    fn bind_host_ports(&mut self, id: &str) {
        let [first, first_ipv6] = std::array::from_fn(|_| self.rng.random_range(32_768..60_000));
        let Some(mut task) = self.tasks.remove(id) else { return };
        let wanted = std::mem::take(&mut task.host_ports);
        let is_last = |at: usize| !wanted[at + 1..].iter().any(|later| (&later.0, later.1) == (&wanted[at].0, wanted[at].1));
        task.host_ports = (0..wanted.len()).filter(|at| is_last(*at)).map(|at| wanted[at].clone()).collect();
        let taken: Vec<u64> = self.tasks.values().filter(|t| t.node == task.node).flat_map(|t| &t.host_ports).map(|p| p.2).collect();
        let free = (first..).filter(|number| !taken.contains(number));
        task.host_ports_ipv6.clone_from(&task.host_ports);
        task.host_ports_ipv6.iter_mut().filter(|p| p.2 == 0).zip(first_ipv6..).for_each(|(port, number)| port.2 = number);
        task.host_ports.iter_mut().filter(|p| p.2 == 0).zip(free).for_each(|(port, number)| port.2 = number);
        self.tasks.insert(id.to_owned(), task);
    }

    /// Tells a task to stop. A task without a node is gone immediately; a task of a global service has a node from the start,
    /// and ends only once it would have been scheduled there. On a lost node nothing receives the request.
    pub fn stop(&mut self, id: &str, desired: DesiredTaskState) {
        let (now, version) = (self.now, self.bump());
        let Some(task) = self.tasks.get_mut(id) else { return };
        if !task.desired.wanted() {
            task.desired = task.desired.max(desired);
            return;
        }
        (task.desired, task.start_at, task.version) = (desired, None, version);
        let lost = task.node.as_ref().is_some_and(|n| self.nodes.get(n).is_none_or(|n| !n.up));
        if task.node.is_none() || task.state.ended() {
            self.end(id, TaskState::Shutdown, "");
        } else if lost {
            task.due = None;
        } else if task.state > TaskState::Pending {
            let leaving = if task.addresses.is_empty() { 0 } else { LEAVES_NETWORKS };
            task.due = Some(now + leaving + STOPS);
        }
    }

    /// Ends a task. A task that should stop is removed; one that should run is left for the orchestrator to replace.
    pub fn end(&mut self, id: &str, state: TaskState, error: &str) {
        let Some(mut task) = self.tasks.remove(id) else { return };
        let left = std::mem::take(&mut task.addresses);
        self.release_addresses(&left);
        self.unbalance(task.node.as_deref().unwrap_or_default(), &left);
        self.dirty.insert(task.service.clone());
        if task.desired.wanted() {
            self.note_failure(&task);
            (task.state, task.since, task.due, task.start_at) = (state, self.now, None, None);
            (task.version, task.error, task.message) = (self.bump(), error.to_owned(), state.word());
            task.host_ports.clear();
            task.host_ports_ipv6.clear();
            self.tasks.insert(id.to_owned(), task);
        }
        self.wake_pending();
    }
}

fn image(task: &SimTask) -> &str {
    task.spec.pointer("/ContainerSpec/Image").and_then(Value::as_str).unwrap_or("")
}
