//! Limits hosts with equal hashes, which the engine's tables keep in one bucket. For every request the engine searches the
//! bucket of its host from the beginning, and a bucket has no room for more than some hundreds of hosts. Such collisions do
//! not happen by chance; a team that makes them on purpose gets a few, so that they never cost others the whole table.
//! Depends only on the hosts, oldest services first.

use std::collections::BTreeMap;

use super::TranslationContext;
use super::published_service::{PublishedService, label_key};
use super::service_team::Team;
use crate::intent::hosts::listed;
use crate::render;
use crate::report::{Finding, cases};
use crate::types::{EngineKind, HostPattern};

/// The most hosts of one team in a bucket. The limit is per team, so that no team can take the place of another team's
/// host.
const OF_TEAM_MAX: usize = 16;

/// The hosts of each bucket, each with the team that had it first.
type Buckets<'a> = BTreeMap<u64, Vec<(HostPattern, Team<'a>)>>;

/// Returns the services with those of their hosts for which there is room. Reports a finding for each service that loses
/// any.
pub fn drop_colliding_hosts<'a>(
    context: &TranslationContext<'a>,
    mut services: Vec<PublishedService<'a>>,
    findings: &mut Vec<Finding>,
) -> Vec<PublishedService<'a>> {
    let mut buckets = Buckets::new();
    for service in &mut services {
        let team = Team::new(service.service);
        let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut service.labels.hosts)
            .into_iter()
            .partition(|host| has_room(&mut buckets, context.cluster.engine, host, team));
        service.labels.hosts = kept;
        if !lost.is_empty() {
            service.labels.redirects.retain(|redirect| !lost.contains(&redirect.source.host));
            findings.push(finding_of(context, service, &lost));
        }
    }
    services.retain(|service| service.labels.default_backend || !service.labels.hosts.is_empty());
    services
}

/// Whether there is room for a host; if so, takes it.
fn has_room<'a>(buckets: &mut Buckets<'a>, engine: EngineKind, host: &HostPattern, team: Team<'a>) -> bool {
    let Some(slot) = render::host_slot(engine, host) else { return true };
    let bucket = buckets.entry(slot).or_default();
    if bucket.iter().any(|(known, _)| known == host) {
        return true;
    }
    let own = bucket.iter().filter(|(_, other)| other.is_same(&team)).count();
    let has_room = own < OF_TEAM_MAX && bucket.len() < render::hosts_per_slot_max(engine);
    if has_room {
        bucket.push((host.clone(), team));
    }
    has_room
}

fn finding_of(context: &TranslationContext<'_>, service: &PublishedService<'_>, lost: &[HostPattern]) -> Finding {
    let lost: Vec<&HostPattern> = lost.iter().collect();
    let engine = context.cluster.engine;
    let most = render::hosts_per_slot_max(engine);
    let message = format!(
        "the cluster {} does not publish this for the service: {engine} looks hosts up by hash, and these hosts have the same hash as \
         {OF_TEAM_MAX} other hosts of the same team or {most} in total; with too many hosts of one hash, no host would be served",
        context.cluster.name
    );
    Finding::new(cases::LimitExceeded::SameHash, service.subject(), message).with_field(label_key("hosts"), &listed(&lost))
}
