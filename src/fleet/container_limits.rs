//! What keeps our containers from harming their nodes: limits, a bound for logs, and no privileges. Our own programs are
//! always without privileges; limits are defaults at creation, because only an administrator knows what a node can spare.

use serde_json::{Value, json};

use super::ShapeInput;
use super::field::{DesiredValue, Equivalence, Field, Role, want, whole};
use crate::intent::cluster::{Logging, Resources, Workload};

/// Memory at creation. Testing 5,000 services by names takes nginx 0.4 GB, and it is tested beside what the extension holds itself.
const EXTENSION_MEMORY: i64 = 2 << 30;
/// Memory at creation. What exceeds it is killed, and with a proxy requests die: so it is what two dozen generations of 5,000
/// services take (0.14 GB each), or some 50,000 slow connections, and stands for the node's other containers, not for thrift.
const PROXY_MEMORY: i64 = 4 << 30;
/// Processes and threads at creation: the extension's own threads, and one engine that it tests with.
const EXTENSION_PIDS: i64 = 1024;
/// The same for a proxy: a worker for each processor, times the generations that finish their connections.
const PROXY_PIDS: i64 = 4096;
/// Docker's own default keeps everything for ever, and clients decide how much a proxy logs.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "5";
/// The first Docker release that knows `no-new-privileges` of services (API 1.44); older ones drop it.
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

/// Each amount on its own path, so that what else stands there (generic resources) stays.
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
    whole("logging", &["TaskTemplate", "LogDriver"], want, at_creation).compared(Equivalence::Exactly)
}

/// Who wrote the program of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// We did: it needs no privilege at all, ports below 1024 included (engines let every container's user bind them).
    Ours,
    /// Somebody else: a stock image may start as root and give up its privileges itself.
    Stock,
}

/// Without capabilities, and without a way to get any.
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

/// Whether the field would be kept: every manager knows it, or it is there already (then an older manager that joins is no
/// reason to take it away, and so to replace tasks). Asked for and dropped it would be put back for ever.
fn knows_no_new_privileges(input: &ShapeInput<'_>, workload: &Workload) -> bool {
    let existing = input.snapshot.services.values().find(|service| service.name == workload.service_name.as_str());
    let has_it = existing.is_some_and(|service| {
        service.spec.pointer("/TaskTemplate/ContainerSpec/Privileges/NoNewPrivileges").and_then(Value::as_bool) == Some(true)
    });
    has_it || input.snapshot.every_manager_is_at_least(NO_NEW_PRIVILEGES_SINCE)
}
