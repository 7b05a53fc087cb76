//! Determines who owns an address: what a query of the engine means, and whether a container is a task of that service by the name
//! that Swarm gave it. Any container can have a service's DNS name as an alias, but not the name of another container. Pure.

use hickory_proto::op::Query;
use hickory_proto::rr::{Name, RecordType};

/// The prefix of a service's name for the addresses of its tasks, even if it has a virtual IP.
const TASKS: &[u8] = b"tasks";
/// The length of the ids that Swarm gives to tasks and nodes.
const ID_LENGTH: usize = 25;

/// The tasks of a service that the engine asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskNames {
    name: Name,
    service: Vec<u8>,
    /// The network of the tasks; `None`: any, for configurations that do not state it.
    network: Option<Vec<u8>>,
}

impl TaskNames {
    /// The tasks that a query asks for, if it asks for the addresses of a service's tasks.
    pub(super) fn queried(query: &Query) -> Option<Self> {
        if !matches!(query.query_type(), RecordType::A | RecordType::AAAA) {
            return None;
        }
        let labels: Vec<&[u8]> = query.name().iter().collect();
        let [tasks, service, ref network @ ..] = labels[..] else { return None };
        // Swarm has no networks with dots in their names, so nothing is on this one.
        let network = (!network.is_empty()).then(|| network.join(&b'.'));
        is(tasks, TASKS).then(|| Self { name: query.name().clone(), service: service.to_vec(), network })
    }

    /// The names by which Docker knows them. A container that has the first as an alias, on another network, hides the tasks there.
    pub(super) fn names(&self) -> Vec<Name> {
        let short = Name::from_labels([TASKS, &self.service]).ok();
        let short = short.filter(|_| self.network.is_some()).map(|mut name| {
            name.set_fqdn(true);
            name
        });
        [self.name.clone()].into_iter().chain(short).collect()
    }

    /// Whether this container is one of the tasks. Docker appends its network to its name: `SERVICE.SLOT.TASK.NETWORK`, or with the
    /// node in place of the slot. Swarm permits no dots in the names of services and networks.
    pub(super) fn include(&self, container: &Name) -> bool {
        let labels: Vec<&[u8]> = container.iter().collect();
        let [service, slot, task, network] = labels[..] else { return false };
        let is_slot = slot.iter().all(u8::is_ascii_digit) || is_id(slot);
        is(service, &self.service) && is_slot && is_id(task) && self.network.as_ref().is_none_or(|own| is(network, own))
    }
}

fn is(label: &[u8], other: &[u8]) -> bool {
    label.eq_ignore_ascii_case(other)
}

fn is_id(label: &[u8]) -> bool {
    label.len() == ID_LENGTH && label.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "0123456789abcdefghijklmno";

    fn queried(name: &str) -> Option<TaskNames> {
        TaskNames::queried(&Query::query(Name::from_ascii(name).unwrap(), RecordType::A))
    }

    #[test]
    fn only_questions_about_tasks_are_checked() {
        for (name, expected) in [
            ("tasks.shop_web.", Some(("shop_web", None))),
            ("Tasks.shop_web.shop_net.", Some(("shop_web", Some("shop_net")))),
            ("shop_web.", None),
            ("tasks.", None),
            ("tasks.a.b.c.", Some(("a", Some("b.c")))),
            ("0123456789ab.", None),
        ] {
            let tasks = queried(name);
            let parsed = tasks.as_ref().map(|tasks| (tasks.service.as_slice(), tasks.network.as_deref()));
            assert_eq!(parsed, expected.map(|(service, network)| (service.as_bytes(), network.map(str::as_bytes))), "{name}");
        }
        let query = Query::query(Name::from_ascii("tasks.a.").unwrap(), RecordType::PTR);
        assert_eq!(TaskNames::queried(&query), None);
    }

    #[test]
    fn docker_knows_names_with_and_without_the_network() {
        let parsed = |name: &str| queried(name).unwrap().names().iter().map(Name::to_ascii).collect::<Vec<_>>();
        assert_eq!(parsed("tasks.web.net."), ["tasks.web.net.", "tasks.web."]);
        assert_eq!(parsed("tasks.web."), ["tasks.web."]);
    }

    #[test]
    fn a_task_is_recognized_by_its_swarm_name() {
        let (tasks, anywhere) = (queried("tasks.web.net.").unwrap(), queried("tasks.web.").unwrap());
        let node = TASK.replace('0', "z");
        for (container, own, own_anywhere) in [
            (format!("web.1.{TASK}.net."), true, true),
            (format!("WEB.12.{TASK}.NET."), true, true),
            (format!("web.{node}.{TASK}.net."), true, true),
            (format!("web.1.{TASK}.other."), false, true),
            (format!("evil_web.1.{TASK}.net."), false, false),
            (format!("web.1.{TASK}.net.evil."), false, false),
            (format!("evil.web.1.{TASK}.net."), false, false),
            (format!("web.1.{}.net.", &TASK[1..]), false, false),
            (format!("web.one.{TASK}.net."), false, false),
            (format!("web.1.{TASK}."), false, false),
            ("web.net.".to_owned(), false, false),
            (".".to_owned(), false, false),
        ] {
            let name = Name::from_ascii(&container).unwrap();
            assert_eq!((tasks.include(&name), anywhere.include(&name)), (own, own_anywhere), "{container}");
        }
        // A dot within a part does not separate parts.
        let joined = Name::from_labels([format!("web.1.{TASK}").as_bytes(), b"net"]).unwrap();
        assert!(!tasks.include(&joined));
    }
}
