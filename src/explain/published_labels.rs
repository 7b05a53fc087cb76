//! A published service with everything that its labels are held against, and the words that all effects of labels share.

use super::Sources;
use super::pool_membership::{Pool, Standing};
use crate::intent::cluster::Cluster;
use crate::intent::labels::ServiceLabels;
use crate::report::RouteReport;
use crate::translate::Translation;

/// A published service and everything that its labels are held against.
pub struct Effects<'a> {
    /// Clusters and Swarm.
    pub sources: &'a Sources<'a>,
    /// Its cluster.
    pub cluster: &'a Cluster,
    /// What the cluster's services come to.
    pub translation: &'a Translation,
    /// What its labels ask for.
    pub asked: &'a ServiceLabels,
    /// What it has.
    pub standing: Standing<'a>,
    /// Its routes, as the operator reports them if there is one.
    pub routes: &'a [RouteReport],
}

/// What holds at a pool, and whose setting it is if it is not what this service asks for.
pub(super) fn decided(effects: &Effects<'_>, pool: &Pool<'_>, followed: bool, words: String) -> String {
    match effects.standing.decider(pool).filter(|_| !followed) {
        Some(oldest) => format!("overruled by {oldest}: {words}"),
        None => words,
    }
}
