//! The pure middle of a pass: translate → shape → plan. Shared by the pass that acts and by the preview that only tells.

use jiff::Timestamp;

use super::surroundings::Surroundings;
use crate::channel::Received;
use crate::channel::wire::{Delivery, Desired};
use crate::fleet::{ShapeInput, shape};
use crate::intent::cluster::Cluster;
use crate::intent::cluster_spec::Rollout;
use crate::plan::{Memory, Plan, plan};
use crate::swarm::Snapshot;
use crate::translate::{Translation, translate};

/// What the proxies of a cluster must say, before anybody asks which fleet that needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Routes {
    /// The translation.
    pub translation: Translation,
    /// The same as a message to the extension.
    pub desired: Desired,
}

/// What services ask for.
pub fn routes(cluster: &Cluster, snapshot: &Snapshot) -> Routes {
    let delivery = match cluster.proxy.rollout {
        Rollout::Live => Delivery::Live,
        Rollout::Replace => Delivery::Replace,
    };
    let translation = translate(cluster, snapshot);
    let desired = Desired::new(delivery, translation.table.clone());
    Routes { translation, desired }
}

/// What must be done so that the fleet is as declared.
pub fn fleet_plan(
    around: &Surroundings,
    cluster: &Cluster,
    snapshot: &Snapshot,
    routes: &Routes,
    report: Option<&Received>,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let fleet = shape(&ShapeInput {
        instance: &around.instance,
        cluster,
        snapshot,
        networks: &routes.translation.networks,
        boot: report.and_then(|received| received.report.boot.as_ref()),
        live: report.and_then(|received| received.report.live.as_ref()),
        control_network: &around.control_network,
        operator_url: &around.operator_url,
        now,
    });
    plan(&fleet, snapshot, memory)
}
