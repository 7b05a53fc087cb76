//! The networks that routes need: their names, their teams, and those that are neither attached nor known to fail.

use std::collections::BTreeSet;

use super::observation::ObservedProxies;
use super::{AttachmentState, NetworkInput, RecentAttachments};
use crate::types::NetworkId;

/// The name of a network, or its id if the snapshot does not know it.
pub(super) fn name<'a>(input: &'a NetworkInput<'_>, id: &'a NetworkId) -> &'a str {
    input.snapshot.networks.get(id).map_or(id.0.as_str(), |network| network.name.as_str())
}

/// Wanted networks that are neither attached nor known to fail.
pub(super) fn new_networks(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &AttachmentState) -> BTreeSet<NetworkId> {
    let is_new = |id: &&NetworkId| !seen.declared.contains(*id) && !memory.settled.contains(*id) && !memory.quarantine.contains_key(*id);
    input.wanted.iter().filter(is_new).cloned().collect()
}

/// The teams whose routes need a network. A network that no route needs belongs to no particular team.
pub(super) fn teams(input: &NetworkInput<'_>, id: &NetworkId) -> BTreeSet<String> {
    input.teams.get(id).filter(|teams| !teams.is_empty()).cloned().unwrap_or_else(|| BTreeSet::from([String::new()]))
}

/// Records which teams' networks are attached and which have left: each departure replaced the proxies of all teams.
pub(super) fn note_teams(input: &NetworkInput<'_>, seen: &ObservedProxies<'_>, memory: &mut AttachmentState) {
    let left: BTreeSet<NetworkId> = memory.declared.difference(&seen.declared).cloned().collect();
    let teams: BTreeSet<String> = left.iter().filter_map(|id| memory.teams.remove(id)).flatten().collect();
    for team in teams.into_iter().filter(|team| !team.is_empty() && seen.service.is_some()) {
        let visits = memory.team_visits.entry(team).or_insert(RecentAttachments { count: 0, gone_at: input.now });
        *visits = RecentAttachments { count: visits.count.saturating_add(1), gone_at: input.now };
    }
    memory.teams.retain(|id, _| seen.declared.contains(id));
    for id in &seen.declared {
        if let Some(teams) = input.teams.get(id).filter(|teams| !teams.is_empty()) {
            memory.teams.insert(id.clone(), teams.clone());
        }
    }
}
