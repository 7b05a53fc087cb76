//! Compares what one service asks for with the limits: its own, then what its team and the cluster have left.

use super::ExceededLimit;
use crate::intent::config_quotas::ConfigQuotas;
use crate::route::{Dimension, Footprint};

/// The account of one service.
pub struct RemainingBudget<'l> {
    limits: &'l ConfigQuotas,
    /// What older services of its team use.
    of_team: Footprint,
    /// What all older services use.
    of_all: Footprint,
    /// What fits.
    pub own: Footprint,
    /// Everything that it asks for.
    pub wanted: Footprint,
    /// Whether `wanted` includes an estimate.
    pub estimated: bool,
    /// The exceeded limit.
    pub beyond: Option<ExceededLimit>,
}

impl<'l> RemainingBudget<'l> {
    /// The account of a service that has nothing yet.
    pub fn new(limits: &'l ConfigQuotas, of_team: Footprint, of_all: Footprint) -> Self {
        Self { limits, of_team, of_all, own: Footprint::default(), wanted: Footprint::default(), estimated: false, beyond: None }
    }

    /// Adds an item and returns whether the service gets it: it does if the item fits and everything before it fitted.
    pub fn charge(&mut self, due: &Footprint) -> bool {
        self.wanted = self.wanted.plus(*due);
        self.beyond = self.beyond.or_else(|| self.exceeded(self.own.plus(*due)));
        let fits = self.beyond.is_none();
        if fits {
            self.own = self.own.plus(*due);
        }
        fits
    }

    /// Assumes that `count` more items are like this one; the service gets none of them.
    pub fn estimate(&mut self, due: &Footprint, count: usize) {
        self.wanted = self.wanted.plus(due.times(count));
        self.estimated |= count > 0;
    }

    /// What older services use of a limit.
    pub fn before(&self, limit: ExceededLimit) -> Footprint {
        match limit {
            ExceededLimit::Service(_) => Footprint::default(),
            ExceededLimit::Team { .. } => self.of_team,
            ExceededLimit::Cluster(_) => self.of_all,
        }
    }

    /// The narrowest limit that is exceeded.
    fn exceeded(&self, own: Footprint) -> Option<ExceededLimit> {
        let service = own.exceeds(&self.limits.service).map(ExceededLimit::Service);
        let cluster = self.of_all.plus(own).exceeds(&self.limits.cluster);
        let team = self.of_team.plus(own).exceeds(&self.limits.team).filter(|dimension| binds(self.limits, *dimension));
        let team = team.map(|dimension| ExceededLimit::Team { dimension, cluster });
        service.or(team).or(cluster.map(ExceededLimit::Cluster))
    }
}

/// Whether a team's limit is lower than the cluster's. Otherwise the cluster's limit is the one that is reached and has to
/// be raised.
pub fn binds(limits: &ConfigQuotas, dimension: Dimension) -> bool {
    dimension.value_in(&limits.team) < dimension.value_in(&limits.cluster)
}
