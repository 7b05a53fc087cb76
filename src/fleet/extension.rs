//! The extension service: one replica on the control network, without published ports. Without a control network it has a
//! host port that Swarm chooses, so that the extensions of several clusters can share a node. It carries no traffic, so it
//! mounts the certificates and keys of the routes: replacing it costs no request.

use serde_json::{Value, json};

use super::ShapeInput;
use super::common_service_fields::{self, ServiceNetworks};
use super::container_limits::{self, Program};
use super::enrolment_tokens;
use super::peer_addresses;
use super::service_shape::ServiceShape;
use super::spec_field::{Equivalence, Field, Role, want, whole};
use super::tls_mounts;
use crate::intent::cluster_spec::Mode;
use crate::pki::ChannelRole;
use crate::protocol::container_contract::{EXTENSION_PORT, RUN_DIR, USER};
use crate::report::WaitingOn;
use crate::types::UpdateOrder;

/// The extension service of the cluster.
pub(super) fn shape(input: &ShapeInput<'_>) -> ServiceShape {
    let workload = &input.cluster.extension;
    let (own, environment) = (common_service_fields::channel_env(input), peer_addresses::environment(input, workload));
    let env: Vec<_> = own.iter().chain(&environment.now).cloned().collect();
    let mut fields = common_service_fields::fields(input, workload, Role::Extension, &env);
    fields.extend([
        common_service_fields::args(workload, Some("extension")),
        common_service_fields::user(Some(USER)),
        common_service_fields::read_only(Some(true)),
        common_service_fields::mounts(vec![common_service_fields::tmpfs(RUN_DIR), common_service_fields::tmpfs("/tmp")]),
        common_service_fields::networks(input, ServiceNetworks::Control, &[]),
        whole("replicas", &["Mode", "Replicated", "Replicas"], want(Some(1)), json!(1)).absent_means(json!(1)),
        // Proxies find it as `tasks.NAME`; a VIP would only become stale.
        whole("endpointMode", &["EndpointSpec", "Mode"], want(Some("dnsrr")), Value::Null).absent_means(json!("vip")),
        whole("ports", &["EndpointSpec", "Ports"], want(Some(ports(input))), Value::Null)
            .with_equivalence(Equivalence::Ports)
            .absent_means(json!([])),
    ]);
    fields.extend(container_limits::privileges(input, workload, Program::Ours));
    fields.extend(tls_mounts::route_mounts(input, vec![enrolment_tokens::mount(input, ChannelRole::Extension)]));
    fields.extend(update());
    ServiceShape {
        name: workload.service_name.to_string(),
        role: Role::Extension,
        mode: Mode::Replicated,
        follows_nodes: None,
        fields,
        when_replaced: peer_addresses::newer_env(workload, &own, &environment).into_iter().collect(),
        configs: Vec::new(),
        hold_creation: peer_addresses::unknown_operator_address(input).map(|_| WaitingOn::ManagerAddress),
        hold_update: None,
        hold_replacement: peer_addresses::unknown_operator_address(input).map(|_| WaitingOn::ManagerAddress),
        contested: None,
        first_alone: false,
        goes_back: false,
    }
}

fn ports(input: &ShapeInput<'_>) -> Vec<Value> {
    let chosen = json!({"Protocol": "tcp", "TargetPort": EXTENSION_PORT, "PublishedPort": 0, "PublishMode": "host"});
    if input.channel.network().is_some() { Vec::new() } else { vec![chosen] }
}

/// Set at creation, then unmanaged. Start-first, because every secret that a label names for the first time replaces the
/// extension, and endpoint updates must not stop meanwhile. If two extensions report for a moment, the hub merges their
/// messages.
fn update() -> [Field; 1] {
    let policy = json!({"Parallelism": 1, "Order": UpdateOrder::StartFirst, "FailureAction": "rollback", "Monitor": 5_000_000_000_u64});
    [whole("update", &["UpdateConfig"], super::spec_field::DesiredValue::Free, policy)]
}
