//! Keeps our containers from harming their nodes: resource limits, a bound for logs, and no privileges. Our own programs
//! never have privileges; limits are defaults at creation, because only an administrator knows what a node can spare.

use serde_json::{Value, json};

use super::ShapeInput;
use super::spec_field::{DesiredValue, Equivalence, Field, Role, want, whole};
use crate::intent::cluster::{Logging, Resources, Workload};

/// Memory at creation. Testing a configuration with 5,000 services by name takes nginx 0.4 GB, in addition to the
/// extension's own memory.
const EXTENSION_MEMORY: i64 = 2 << 30;
/// Memory at creation. A container that exceeds it is killed, and a killed proxy loses its requests. So the limit has room
/// for two dozen generations of 5,000 services (0.14 GB each), or for some 50,000 slow connections; it protects the node's
/// other containers and is not meant to save memory.
const PROXY_MEMORY: i64 = 4 << 30;
/// Processes and threads at creation: the extension's own threads, and one engine for tests.
const EXTENSION_PIDS: i64 = 1024;
/// The same for a proxy: one worker for each processor, times the generations that are finishing their connections.
const PROXY_PIDS: i64 = 4096;
/// Docker's own default keeps logs forever, and clients determine how much a proxy logs.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "5";
/// The first Docker release that supports `no-new-privileges` for services (API 1.44); older ones drop it.
const NO_NEW_PRIVILEGES_SINCE: u32 = 25;

/// Limits, reservations and logging.
pub(super) fn fields(workload: &Workload, role: Role) -> Vec<Field> {
    let (memory, pids) = match role {
        Role::Proxy => (PROXY_MEMORY, PROXY_PIDS),
        _ => (EXTENSION_MEMORY, EXTENSION_PIDS),
    };
    let mut fields = resources(workload, memory);
    let declared_pids = workload.resources.as_ref().and_then(|resources| resources.pids_limit);
    fields.push(
        whole("limits.pids", &["TaskTemplate", "Resources", "Limits", "Pids"], want(declared_pids), json!(pids)).absent_means(json!(0)),
    );
    fields.push(logging(workload.logging.as_ref()));
    fields
}

/// Each amount has its own path, so that other values (generic resources) stay.
fn resources(workload: &Workload, memory: i64) -> Vec<Field> {
    let declared = |amount: fn(&Resources) -> Option<i64>| match workload.resources.as_ref() {
        Some(resources) => DesiredValue::Stated(amount(resources).map_or(Value::Null, |number| json!(number))),
        None => DesiredValue::Free,
    };
    let field = |name, path, want, default| whole(name, path, want, default).absent_means(json!(0));
    vec![
        field("limits.cpus", &["TaskTemplate", "Resources", "Limits", "NanoCPUs"], declared(|r| r.limits.nano_cpus), Value::Null),
        field("limits.memory", &["TaskTemplate", "Resources", "Limits", "MemoryBytes"], declared(|r| r.limits.memory_bytes), json!(memory)),
        field(
            "reservations.cpus",
            &["TaskTemplate", "Resources", "Reservations", "NanoCPUs"],
            declared(|r| r.reservations.nano_cpus),
            Value::Null,
        ),
        field(
            "reservations.memory",
            &["TaskTemplate", "Resources", "Reservations", "MemoryBytes"],
            declared(|r| r.reservations.memory_bytes),
            Value::Null,
        ),
    ]
}

fn logging(declared: Option<&Logging>) -> Field {
    let want = match declared {
        None => DesiredValue::Free,
        Some(Logging::EngineDefault) => DesiredValue::Stated(Value::Null),
        Some(Logging::Driver { name, options }) => DesiredValue::Stated(json!({"Name": name, "Options": options})),
    };
    let at_creation = json!({"Name": "json-file", "Options": {"max-size": LOG_FILE_SIZE, "max-file": LOG_FILES}});
    whole("logging", &["TaskTemplate", "LogDriver"], want, at_creation).with_equivalence(Equivalence::Exactly)
}

/// The origin of a container's program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// Our own program: it needs no privileges, not even for ports below 1024 (engines let every container's user bind
    /// them).
    Ours,
    /// A foreign program: a stock image may start as root and drop its privileges itself.
    Stock,
}

/// Removes all capabilities, and prevents the container from gaining any.
pub(super) fn privileges(input: &ShapeInput<'_>, workload: &Workload, program: Program) -> [Field; 3] {
    let ours = program == Program::Ours;
    let (drop, add) = if ours {
        (DesiredValue::Stated(json!(["ALL"])), DesiredValue::Stated(Value::Null))
    } else {
        (DesiredValue::Free, DesiredValue::Free)
    };
    let no_new = if ours && knows_no_new_privileges(input, workload) { DesiredValue::Stated(json!(true)) } else { DesiredValue::Free };
    [
        whole("capabilityDrop", &["TaskTemplate", "ContainerSpec", "CapabilityDrop"], drop, Value::Null).absent_means(json!([])),
        whole("capabilityAdd", &["TaskTemplate", "ContainerSpec", "CapabilityAdd"], add, Value::Null).absent_means(json!([])),
        whole("noNewPrivileges", &["TaskTemplate", "ContainerSpec", "Privileges", "NoNewPrivileges"], no_new, Value::Null)
            .absent_means(json!(false)),
    ]
}

/// Whether Swarm would keep the field: every manager supports it, or it is already set (an older manager that joins is then
/// no reason to remove it and thereby replace tasks). A field that managers drop would be written again forever.
fn knows_no_new_privileges(input: &ShapeInput<'_>, workload: &Workload) -> bool {
    let existing = input.snapshot.services.values().find(|service| service.name == workload.service_name.as_str());
    let has_it = existing.is_some_and(|service| {
        service.spec.pointer("/TaskTemplate/ContainerSpec/Privileges/NoNewPrivileges").and_then(Value::as_bool) == Some(true)
    });
    has_it || input.snapshot.every_manager_is_at_least(NO_NEW_PRIVILEGES_SINCE)
}
