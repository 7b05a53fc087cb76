//! `spec.limits`: converts it to numbers, with the defaults of [`ConfigQuotas`], and reports limits that make no sense.

use super::document_error::{Mistakes, path_of};
use super::fields::Fields;
use crate::intent::config_quotas::{ConfigQuotas, LabelUpdates, share_of_team, three_quarters};
use crate::intent::config_quotas_spec::{ConfigQuotasSpec, LabelUpdatesSpec};
use crate::intent::quantity::parse_size;
use crate::report::cases::{self, InvalidValue::AboveLimit};
use crate::route::{Dimension, Footprint};
use crate::types::InvalidValue;

/// The checked limits.
pub(super) fn checked(spec: &ConfigQuotasSpec) -> Result<ConfigQuotas, InvalidValue> {
    let default = ConfigQuotas::default();
    let (service, team) = (spec.service.clone().unwrap_or_default(), spec.team.clone().unwrap_or_default());
    let cluster = spec.cluster.clone().unwrap_or_default();
    let cluster = footprint((cluster.routes, cluster.locations, cluster.bytes.as_deref()), default.cluster)?;
    Ok(ConfigQuotas {
        service: footprint((service.routes, service.locations, service.bytes.as_deref()), default.service)?,
        team: footprint((team.routes, team.locations, team.bytes.as_deref()), share_of_team(cluster))?,
        cluster,
        label_updates: label_updates(&service.label_updates.unwrap_or_default(), default.label_updates),
    })
}

fn footprint((routes, locations, bytes): (Option<u32>, Option<u32>, Option<&str>), default: Footprint) -> Result<Footprint, InvalidValue> {
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
            let message = "hardly any route fits; a number without a unit is in bytes";
            mistakes.add(cases::InvalidValue::TooSmall { example: "4m" }, &pointer, message);
        }
    }
    let of_cluster = "/spec/limits/cluster/bytes";
    if stated(fields, of_cluster).is_some_and(|bytes| bytes > MESSAGE_BYTES_MAX) {
        let message = "a message with a configuration for the proxies may have at most 64 MiB, so a larger configuration would not be sent \
                       (MessageTooLarge) before this limit takes effect";
        mistakes.add(cases::InvalidValue::AboveMessage, of_cluster, message);
    }
    let default = ConfigQuotas::default().cluster;
    for dimension in Dimension::ALL {
        narrower(fields, dimension, dimension.value_in(&default), mistakes);
    }
}

/// A service may use less than a team, and a team less than the cluster; limits that are not stated have their defaults.
fn narrower(fields: &Fields<'_>, dimension: Dimension, default: u64, mistakes: &mut Mistakes) {
    let [service, team, cluster] = ["service", "team", "cluster"].map(|scope| format!("/spec/limits/{scope}/{dimension}"));
    let of_cluster = stated(fields, &cluster).unwrap_or(default);
    let of_team = stated(fields, &team).unwrap_or(three_quarters(of_cluster));
    let is_more = |pointer: &str, all: u64| stated(fields, pointer).is_some_and(|one| one > all);
    let (limit_of_team, limit_of_cluster) = (path_of(&team), path_of(&cluster));
    let (above_team, above_cluster) = (AboveLimit { limit: &limit_of_team }, AboveLimit { limit: &limit_of_cluster });
    if is_more(&service, of_cluster) {
        let message = "this limit for one service is higher than the limit for the whole cluster, so it has no effect";
        mistakes.add(above_cluster, &service, message);
    } else if is_more(&service, of_team) {
        let message = "this limit for one service is higher than the limit for a team (three quarters of the cluster's, unless \
                       spec.limits.team is set), so it has no effect";
        mistakes.add(above_team, &service, message);
    }
    if is_more(&team, of_cluster) {
        let message = "this limit for one team is higher than the limit for the whole cluster, so it has no effect";
        mistakes.add(above_cluster, &team, message);
    }
}

fn stated(fields: &Fields<'_>, pointer: &str) -> Option<u64> {
    fields.text(pointer).and_then(|text| parse_size(text).ok()).or_else(|| fields.number(pointer))
}

#[cfg(test)]
mod tests {
    use super::MESSAGE_BYTES_MAX;

    #[test]
    fn the_message_limit_is_the_one_of_the_protocol() {
        assert_eq!(usize::try_from(MESSAGE_BYTES_MAX), Ok(crate::protocol::size_limits::MESSAGE_BYTES_MAX));
    }
}
