//! Determines which cluster one of our services belongs to. The environment comes first, because it is rarely edited by
//! accident; the labels are the fallback, for stock images. A changed label must not move a proxy to another cluster, whose
//! pass would remove it.

use serde_json::Value;

use super::json_path::get;
use crate::protocol::container_contract::{ENV_CLUSTER, LABEL_CLUSTER};
use crate::swarm::Service;

/// The name of the cluster, if the service states one.
pub(super) fn cluster_of(service: &Service) -> Option<&str> {
    let env = get(&service.spec, &["TaskTemplate", "ContainerSpec", "Env"]).and_then(Value::as_array);
    let mut entries = env.into_iter().flatten().filter_map(Value::as_str);
    let in_env = entries.find_map(|entry| entry.strip_prefix(ENV_CLUSTER)?.strip_prefix('='));
    in_env.or_else(|| service.labels.get(LABEL_CLUSTER).map(String::as_str))
}
