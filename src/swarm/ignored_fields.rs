//! Fields of services and tasks that are never read and that other users can make arbitrarily large: they are dropped before
//! they are stored. Nothing is dropped from the operator's own objects, because an update must return what it received, nor
//! from the spec of any service.

use std::collections::BTreeSet;

use serde_json::Value;

use super::config_references::OWNER_LABEL;
use super::redacted::{TASK, kept};

/// Kept of the previous spec: the objects that must exist if Swarm rolls back to it.
const PREVIOUS_SPEC: &[&str] = &["TaskTemplate.ContainerSpec.Configs", "TaskTemplate.ContainerSpec.Secrets", "TaskTemplate.Networks"];

/// Kept of every task, in addition to the fields that may be shared. Each task repeats the spec of its service and the specs of
/// its networks.
const MORE_OF_TASK: &[&str] = &["Version"];
/// Also kept of tasks that do not belong to the operator.
const SPEC_OF_TASK: &[&str] = &["Spec.ContainerSpec.Configs", "Spec.ContainerSpec.Secrets", "Spec.Networks"];

/// The ids of the services with an operator's label.
pub fn services_with_our_label(services: &[Value]) -> BTreeSet<String> {
    services.iter().filter(|service| is_ours(service)).filter_map(|service| Some(service.get("ID")?.as_str()?.to_owned())).collect()
}

/// A service of `GET /services`, reduced to the fields that are read.
pub fn strip_service(mut service: Value) -> Value {
    if !is_ours(&service)
        && let Some(previous) = service.get_mut("PreviousSpec").filter(|spec| spec.is_object())
    {
        *previous = kept(previous, PREVIOUS_SPEC);
    }
    service
}

/// A task of `GET /tasks`, reduced to the fields that are read. `ours`: the services whose tasks keep their specs.
pub fn strip_task(task: &Value, ours: &BTreeSet<String>) -> Value {
    let is_ours = task.get("ServiceID").and_then(Value::as_str).is_some_and(|service| ours.contains(service));
    let spec = if is_ours { &["Spec"] } else { SPEC_OF_TASK };
    kept(task, &[TASK, MORE_OF_TASK, spec].concat())
}

fn is_ours(service: &Value) -> bool {
    service.pointer("/Spec/Labels").is_some_and(|labels| labels.get(OWNER_LABEL).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(env: &str) -> Value {
        json!({"ContainerSpec": {"Env": [env], "Secrets": [{"SecretID": "s"}], "Configs": [{"ConfigID": "c"}]}, "Networks": [{"Target": "n"}]})
    }

    fn service(labels: &Value) -> Value {
        let spec = json!({"Name": "app", "Labels": labels, "TaskTemplate": template("now")});
        json!({"ID": "id", "Spec": spec, "PreviousSpec": {"Name": "app", "Labels": labels, "TaskTemplate": template("before")}})
    }

    #[test]
    fn a_service_keeps_its_spec_and_the_references_of_the_previous_one() {
        let spared = strip_service(service(&json!({"note": "x"})));
        assert_eq!(spared["Spec"], service(&json!({"note": "x"}))["Spec"]);
        let needed =
            json!({"ContainerSpec": {"Secrets": [{"SecretID": "s"}], "Configs": [{"ConfigID": "c"}]}, "Networks": [{"Target": "n"}]});
        assert_eq!(spared["PreviousSpec"], json!({"TaskTemplate": needed}));
        let ours = service(&json!({"swarmgate.owner": "o"}));
        assert_eq!(strip_service(ours.clone()), ours);
        for odd in [json!({"ID": "a", "PreviousSpec": null}), json!(null), json!([1])] {
            assert_eq!(strip_service(odd.clone()), odd);
        }
    }

    #[test]
    fn only_tasks_of_our_services_keep_their_specs() {
        let attached = json!([{"Addresses": ["10.0.0.2/24"], "Network": {"ID": "n", "Spec": {"Name": "net", "Labels": {"large": "x"}}, "IPAMOptions": {}}}]);
        let task = json!({"ID": "t", "ServiceID": "id", "Status": {"State": "running", "ContainerStatus": {"PID": 1}}, "Spec": template("now"), "NetworksAttachments": attached});
        let read = |task: &Value, ours: &[&str]| strip_task(task, &ours.iter().map(|id| (*id).to_owned()).collect());
        let (ours, others) = (read(&task, &["id"]), read(&task, &["other"]));
        assert_eq!(ours["Spec"], task["Spec"]);
        assert_eq!(others["Spec"]["ContainerSpec"], json!({"Secrets": [{"SecretID": "s"}], "Configs": [{"ConfigID": "c"}]}));
        let attached = json!([{"Addresses": ["10.0.0.2/24"], "Network": {"ID": "n", "Spec": {"Name": "net"}}}]);
        assert_eq!((&ours["NetworksAttachments"], &ours["Status"]), (&attached, &json!({"State": "running"})));
        // The model is the same, apart from the spec.
        let model = |task: &Value| crate::swarm::Task { spec: Value::Null, ..crate::swarm::Task::from_api(task).unwrap() };
        assert_eq!(model(&others), model(&task));
        assert_eq!(
            services_with_our_label(&[service(&json!({"swarmgate.owner": "o"})), json!({"ID": "x"})]),
            BTreeSet::from(["id".to_owned()])
        );
    }
}
