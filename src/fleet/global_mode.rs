//! `mode: global`, one proxy on each node that fits, implemented as a replicated service whose number of replicas follows
//! the nodes. Swarm's own global mode replaces a node's outdated tasks whenever anything about that node changes, outside of
//! the rollout and its rules, so one broken network of a neighbour could stop all proxies at once
//! (`docs/decisions/proxies-on-every-node.md`). Must never request fewer proxies than there are nodes with one: Swarm would
//! stop a proxy that serves traffic.

use serde_json::{Value, json};

use super::spec_field::{DesiredValue, Field, MAX_REPLICAS, REPLICAS, want, whole};
use crate::intent::cluster::{CONSTRAINT_AT_CREATION, PROXIES_AT_CREATION, Proxy};
use crate::intent::cluster_spec::Mode;
use crate::report::{Finding, Subject, cases};
use crate::swarm::{Service, Snapshot, one_on_each};

/// If new proxies start before old ones have stopped, a node briefly has two.
const MOST_IF_STARTING_FIRST: u64 = 2;

/// How the proxy service gets the declared number of proxies.
pub(super) struct ProxyCount {
    /// Swarm's mode of the service.
    pub mode: Mode,
    /// The fields with the number of tasks, and the maximum per node.
    pub fields: Vec<Field>,
    /// The number, if it follows the nodes.
    pub follows_nodes: Option<u64>,
    /// A finding about it, if any.
    pub finding: Option<Finding>,
}

/// Combines the declaration with the existing service, because Swarm cannot change the mode of a service.
pub(super) fn proxy_count(proxy: &Proxy, existing: Option<&Service>, snapshot: &Snapshot, starts_first: bool) -> ProxyCount {
    let name = proxy.workload.service_name.as_str();
    let existing_replicas = existing.and_then(|service| service.replicas);
    let is_global = existing.is_some_and(|service| service.spec.pointer("/Mode/Global").is_some());
    let constraints = constraints(proxy, existing);
    let most = if starts_first { MOST_IF_STARTING_FIRST } else { 1 };
    let nodes = || one_on_each(&constraints, existing, snapshot);
    match (proxy.mode, nodes().map(|nodes| nodes.len() as u64)) {
        (Mode::Replicated, _) => ProxyCount {
            mode: Mode::Replicated,
            fields: fields(want(proxy.replicas), DesiredValue::Free),
            follows_nodes: None,
            finding: None,
        },
        (Mode::Global, number) if is_global || (number.is_none() && existing_replicas.is_none()) => {
            let finding = existing.filter(|_| is_global).map(|_| replaced_together(name, number.is_some()));
            ProxyCount { mode: Mode::Global, fields: Vec::new(), follows_nodes: None, finding }
        }
        (Mode::Global, number) => {
            // Without a node, zero replicas would gain nothing: the existing number takes effect again with the first node.
            let kept = existing_replicas.filter(|replicas| *replicas > 0).unwrap_or(1);
            let finding = number.is_none().then(|| undecided(name, kept));
            let number = number.filter(|number| *number > 0).unwrap_or(kept);
            let fields = fields(want(Some(number)), want(Some(most)));
            ProxyCount { mode: Mode::Replicated, fields, follows_nodes: Some(number), finding }
        }
    }
}

fn fields(replicas: DesiredValue, most_on_a_node: DesiredValue) -> Vec<Field> {
    vec![
        whole(REPLICAS, &["Mode", "Replicated", "Replicas"], replicas, json!(PROXIES_AT_CREATION)).absent_means(json!(1)),
        whole(MAX_REPLICAS, &["TaskTemplate", "Placement", "MaxReplicas"], most_on_a_node, Value::Null).absent_means(json!(0)),
    ]
}

/// The constraints after this pass: those of the document, otherwise those of the service.
pub(super) fn constraints<'a>(proxy: &'a Proxy, existing: Option<&'a Service>) -> Vec<&'a str> {
    let declared = proxy.workload.constraints.as_ref().map(|list| list.iter().map(String::as_str).collect());
    let written = || {
        let list = existing?.spec.pointer("/TaskTemplate/Placement/Constraints").and_then(Value::as_array);
        Some(list.into_iter().flatten().filter_map(Value::as_str).collect())
    };
    declared.or_else(written).unwrap_or_else(|| vec![CONSTRAINT_AT_CREATION])
}

fn replaced_together(service: &str, can_be_counted: bool) -> Finding {
    let case = if can_be_counted {
        cases::ProxiesReplacedTogether::CountedNodes { service }
    } else {
        cases::ProxiesReplacedTogether::UncountedNodes { service }
    };
    let message = "the service uses Swarm's own global mode; while its proxies are being replaced, any change to a node, such as a \
                   network that another service's task brings there, makes Swarm replace that node's proxy immediately, so all proxies can \
                   be down at once";
    Finding::new(case, Subject::Service(service.to_owned()), message)
}

fn undecided(name: &str, kept: u64) -> Finding {
    Finding::new(
        cases::ProxyNodesUnknown,
        Subject::Service(name.to_owned()),
        format!("the operator cannot tell which nodes meet the proxies' constraints, so their number stays {kept}: new nodes get no proxy"),
    )
}
