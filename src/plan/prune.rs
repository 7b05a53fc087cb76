//! What a cluster has and no longer needs: services under a former name, and configs of former generations.

use std::collections::BTreeSet;

use super::cluster_of_service::cluster_of;
use super::plan_builder::PlanBuilder;
use super::references::{self, ReferencedIds};
use super::rollout_gate;
use super::step::PlanStep;
use crate::fleet::{ObjectKind, Role, SealedObject, ServiceShape, whole_of};
use crate::report::{Finding, Subject, WaitingOn, cases};
use crate::swarm::{Config, Secret, Service};

/// Unused configs that are kept per role in addition to those in use: for a manual rollback, and for a reader in between.
const SPARE_CONFIGS: usize = 2;

fn renamed_with_a_gap(shape: &ServiceShape, old: &Service) -> Finding {
    let message = format!("{} has the ports that {} needs, so it is removed first; requests fail in the meantime.", old.name, shape.name);
    Finding::new(cases::UpdateGap::Renamed, Subject::Service(shape.name.clone()), message)
}

impl<'a> PlanBuilder<'a> {
    /// Our services of the same role under another name: the document has renamed the service.
    pub(super) fn stale(&self, shape: &ServiceShape) -> Vec<&'a Service> {
        // The role label may be wrong: a service with the name of the other role's service is that service.
        let declared = [&self.fleet.extension.name, &self.fleet.proxy.name];
        let services = self.snapshot.services.values();
        let other = services.filter(|service| !declared.contains(&&service.name) && self.owns(&service.labels, shape.role));
        other.filter(|service| cluster_of(service) == Some(self.fleet.cluster.as_str())).collect()
    }

    /// Removes the former services: immediately if they are in the way, otherwise once the new one runs.
    pub(super) fn retire(&mut self, shape: &ServiceShape, stale: Vec<&Service>) {
        let new = self.snapshot.services.values().find(|service| service.name == shape.name && self.owns_service(service));
        let runs = new.is_some_and(|service| rollout_gate::tasks(service, self.snapshot).is_none());
        for service in stale {
            let in_the_way = new.is_none() && !self.creates(&shape.name) && !self.blocked.contains(&shape.name);
            if let Some(hold) = shape.contested.as_ref().filter(|_| !runs && in_the_way) {
                self.waiting.push(hold.clone());
            } else if runs || (in_the_way && shape.hold_creation.is_none()) {
                if !runs {
                    self.findings.push(renamed_with_a_gap(shape, service));
                }
                let reason = format!("its name in the document is now {}", shape.name);
                self.steps.push(PlanStep::RemoveService { id: service.id.clone(), name: service.name.clone(), reason });
            } else {
                let object = format!("service {}", service.name);
                self.waiting.push(WaitingOn::InUse { object, by: format!("clients, which use it until {} runs", shape.name) });
            }
        }
    }

    fn creates(&self, name: &str) -> bool {
        self.steps.iter().any(|step| matches!(step, PlanStep::CreateService { name: planned, .. } if planned == name))
    }

    /// Removes configs that nothing refers to, except the newest few, but not while a rollout could still return to one.
    pub(super) fn prune_configs(&mut self) {
        if self.a_rollout_is_under_way() {
            return;
        }
        let used = ReferencedIds::new(self.snapshot);
        let planned = self.planned_ids();
        for role in [Role::Boot, Role::Live] {
            let mut unused: Vec<&Config> = self.snapshot.configs.values().filter(|config| self.owns(&config.labels, role)).collect();
            unused.retain(|config| !used.has(&config.id.0) && !planned.contains(&config.id.0));
            unused.sort_by_key(|config| std::cmp::Reverse((config.created_at, config.id.clone())));
            // A config that this operator did not create is useless for a rollback.
            let genuine = unused.iter().filter(|config| self.sealed_here(config, role));
            let mut spare: Vec<&str> = genuine.map(|config| whole_of(config)).collect();
            let mut seen = BTreeSet::new();
            spare.retain(|whole| seen.insert(*whole));
            spare.truncate(SPARE_CONFIGS);
            let old = unused.into_iter().filter(|config| !spare.contains(&whole_of(config)));
            self.steps.extend(old.map(|config| PlanStep::RemoveConfig { id: config.id.clone(), name: config.name.clone() }));
        }
        self.sweep_tokens(&used, &planned);
    }

    fn sealed_here(&self, config: &Config, role: Role) -> bool {
        let (instance, cluster) = (self.fleet.instance.as_str(), self.fleet.cluster.as_str());
        let described = SealedObject { kind: ObjectKind::Config, instance, cluster, role: role.as_str(), name: &config.name };
        described.is_sealed(&self.fleet.seals, &config.labels)
    }

    /// Removes tokens of an authority that no longer exists, and tokens that no service needs any more.
    fn sweep_tokens(&mut self, used: &ReferencedIds, planned: &BTreeSet<String>) {
        let needed = |secret: &Secret| self.fleet.tokens.iter().any(|token| token.name == secret.name);
        let ours = |secret: &Secret| {
            let labels = &secret.labels;
            [Role::ExtensionToken, Role::ProxyToken].iter().any(|role| self.owns(labels, *role)) || self.fleet.owns_former_token(labels)
        };
        let secrets = self.snapshot.secrets.values().filter(|secret| ours(secret) && !needed(secret));
        let unused = secrets.filter(|secret| !used.has(&secret.id.0) && !planned.contains(&secret.id.0));
        let steps: Vec<PlanStep> =
            unused.map(|secret| PlanStep::RemoveSecret { id: secret.id.clone(), name: secret.name.clone() }).collect();
        self.steps.extend(steps);
    }

    fn a_rollout_is_under_way(&self) -> bool {
        let ours = |service: &&Service| [Role::Extension, Role::Proxy].into_iter().any(|role| self.owns(&service.labels, role));
        let statuses = self.snapshot.services.values().filter(ours).filter_map(|service| service.update_status.as_ref());
        statuses.into_iter().any(rollout_gate::is_under_way)
    }

    /// Ids that the specs of this plan name.
    fn planned_ids(&self) -> BTreeSet<String> {
        let specs = self.steps.iter().filter_map(|step| match step {
            PlanStep::CreateService { spec, .. } | PlanStep::UpdateService { spec, .. } => spec.get("TaskTemplate"),
            _ => None,
        });
        specs.flat_map(|template| references::ids(template, self.snapshot)).collect()
    }
}
