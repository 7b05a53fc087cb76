//! `spec.limits`: from what was typed to numbers, with the defaults of [`Limits`], and limits that cannot be meant.

use super::combinations::Look;
use super::mistake::Mistakes;
use crate::intent::limits::{LabelUpdates, Limits};
use crate::intent::limits_spec::{LabelUpdatesSpec, LimitsSpec};
use crate::intent::quantity::parse_size;
use crate::route::Footprint;
use crate::types::Refused;

/// The limits as they are meant.
pub(super) fn checked(spec: &LimitsSpec) -> Result<Limits, Refused> {
    let default = Limits::default();
    let (service, cluster) = (spec.service.clone().unwrap_or_default(), spec.cluster.clone().unwrap_or_default());
    Ok(Limits {
        service: footprint((service.routes, service.locations, service.bytes.as_deref()), default.service)?,
        cluster: footprint((cluster.routes, cluster.locations, cluster.bytes.as_deref()), default.cluster)?,
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

/// Below this no service with any name fits.
const BYTES_LEAST: u64 = 4096;

/// A service that may take more than the whole cluster, and limits within which nothing fits.
pub(super) fn check(look: &Look<'_>, mistakes: &mut Mistakes) {
    let bytes = |pointer: &str| look.text(pointer).and_then(|text| parse_size(text).ok()).or_else(|| look.number(pointer));
    for scope in ["service", "cluster"] {
        let pointer = format!("/spec/limits/{scope}/bytes");
        if bytes(&pointer).is_some_and(|bytes| bytes < BYTES_LEAST) {
            mistakes.doubtful(&pointer, "hardly any route fits; a number without unit is bytes", "Write for example 4m.");
        }
    }
    for name in ["routes", "locations", "bytes"] {
        let [of_service, of_cluster] = ["service", "cluster"].map(|scope| format!("/spec/limits/{scope}/{name}"));
        if bytes(&of_service).zip(bytes(&of_cluster)).is_some_and(|(service, cluster)| service > cluster) {
            let message = "one service may take more than all services of the cluster together, so this limit has no effect";
            mistakes.doubtful(&of_service, message, "Make it at most the cluster's.");
        }
    }
}
