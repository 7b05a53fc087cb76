//! `spec.limits`: converts it to numbers, with the defaults of [`Limits`], and reports limits that make no sense.

use super::document_error::Mistakes;
use super::fields::Fields;
use crate::intent::config_quotas::{LabelUpdates, Limits, share_of_team, three_quarters};
use crate::intent::config_quotas_spec::{LabelUpdatesSpec, LimitsSpec};
use crate::intent::quantity::parse_size;
use crate::route::{Dimension, Footprint};
use crate::types::Refused;

/// The checked limits.
pub(super) fn checked(spec: &LimitsSpec) -> Result<Limits, Refused> {
    let default = Limits::default();
    let (service, team) = (spec.service.clone().unwrap_or_default(), spec.team.clone().unwrap_or_default());
    let cluster = spec.cluster.clone().unwrap_or_default();
    let cluster = footprint((cluster.routes, cluster.locations, cluster.bytes.as_deref()), default.cluster)?;
    Ok(Limits {
        service: footprint((service.routes, service.locations, service.bytes.as_deref()), default.service)?,
        team: footprint((team.routes, team.locations, team.bytes.as_deref()), share_of_team(cluster))?,
        cluster,
        label_updates: label_updates(&service.label_updates.unwrap_or_default(), default.label_updates),
    })
}

fn footprint((routes, locations, bytes): (Option<u32>, Option<u32>, Option<&str>), default: Footprint) -> Result<Footprint, Refused> {
    Ok(Footprint {
        routes: routes.map_or(default.routes, u64::from),
        locations: locations.map_or(default.locations, u64::from),
        bytes: bytes.map_or(Ok(default.bytes), parse_size)?,
    })
}

fn label_updates(spec: &LabelUpdatesSpec, default: LabelUpdates) -> LabelUpdates {
    LabelUpdates { burst: spec.burst.unwrap_or(default.burst).max(1), per_minute: spec.per_minute.unwrap_or(default.per_minute).max(1) }
}

/// Below this no service fits, whatever its name.
const BYTES_LEAST: u64 = 4096;

/// The maximum for messages between operator, extension and proxies: `protocol::size_limits`, which must not be imported
/// here.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Reports parts that may use more than the whole, and limits within which nothing fits.
pub(super) fn check(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for scope in ["service", "team", "cluster"] {
        let pointer = format!("/spec/limits/{scope}/bytes");
        if stated(fields, &pointer).is_some_and(|bytes| bytes < BYTES_LEAST) {
            mistakes.doubtful(&pointer, "hardly any route fits; a number without unit is bytes", "Write for example 4m.");
        }
    }
    let of_cluster = "/spec/limits/cluster/bytes";
    if stated(fields, of_cluster).is_some_and(|bytes| bytes > MESSAGE_BYTES_MAX) {
        let message = "a message that brings a configuration to the proxies may have 64 MiB at most, so that nothing of it would be handed out \
                       (MessageTooLarge) before this limit stops anybody";
        let remedy = "Make it at most 24m, because a message holds two configurations, or leave it out: the default is 16m.";
        mistakes.doubtful(of_cluster, message, remedy);
    }
    let default = Limits::default().cluster;
    for dimension in Dimension::ALL {
        narrower(fields, dimension, dimension.of(&default), mistakes);
    }
}

/// A service may use less than a team, and a team less than the cluster; limits that are not stated have their defaults.
fn narrower(fields: &Fields<'_>, dimension: Dimension, default: u64, mistakes: &mut Mistakes) {
    let [service, team, cluster] = ["service", "team", "cluster"].map(|scope| format!("/spec/limits/{scope}/{dimension}"));
    let of_cluster = stated(fields, &cluster).unwrap_or(default);
    let of_team = stated(fields, &team).unwrap_or(three_quarters(of_cluster));
    let is_more = |pointer: &str, all: u64| stated(fields, pointer).is_some_and(|one| one > all);
    if is_more(&service, of_cluster) {
        let message = "one service may take more than all services of the cluster together, so this limit has no effect";
        mistakes.doubtful(&service, message, "Make it at most the cluster's.");
    } else if is_more(&service, of_team) {
        let message = "one service may take more than all services of a team together (three quarters of the cluster's, unless spec.limits.team says otherwise), so this limit has no effect";
        mistakes.doubtful(&service, message, "Make it at most the team's, or state the team's.");
    }
    if is_more(&team, of_cluster) {
        let message = "one team may take more than all services of the cluster together, so this limit has no effect";
        mistakes.doubtful(&team, message, "Make it at most the cluster's, or raise that as well.");
    }
}

fn stated(fields: &Fields<'_>, pointer: &str) -> Option<u64> {
    fields.text(pointer).and_then(|text| parse_size(text).ok()).or_else(|| fields.number(pointer))
}

#[cfg(test)]
mod tests {
    use super::MESSAGE_BYTES_MAX;

    #[test]
    fn messages_have_as_many_bytes_as_is_said_here() {
        assert_eq!(usize::try_from(MESSAGE_BYTES_MAX), Ok(crate::protocol::size_limits::MESSAGE_BYTES_MAX));
    }
}
