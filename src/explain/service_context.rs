//! A published service with everything that its labels are compared with, and the texts that all label effects share.

use super::Sources;
use super::pool_membership::{PoolMembership, ServicePool};
use crate::intent::cluster::Cluster;
use crate::intent::labels::ServiceLabels;
use crate::report::RouteReport;
use crate::translate::Translation;

/// A published service and everything that its labels are compared with.
pub struct ServiceContext<'a> {
    /// Clusters and Swarm.
    pub sources: &'a Sources<'a>,
    /// Its cluster.
    pub cluster: &'a Cluster,
    /// The translation of the cluster's services.
    pub translation: &'a Translation,
    /// What its labels ask for.
    pub requested: &'a ServiceLabels,
    /// What it gets.
    pub membership: PoolMembership<'a>,
    /// Its routes, as the operator reports them if there is one.
    pub routes: &'a [RouteReport],
}

/// The effective setting of a pool, and the service that it comes from if this service asks for something else.
pub(super) fn describe_decision(context: &ServiceContext<'_>, pool: &ServicePool<'_>, followed: bool, effect: String) -> String {
    match context.membership.decider(pool).filter(|_| !followed) {
        Some(oldest) => format!("overruled by {oldest}: {effect}"),
        None => effect,
    }
}
