//! Knowledge of a running operator that the Swarm does not show: routes that are left out because the engine refuses them,
//! and invalid certificates. Without an operator none of it is known, and nothing is assumed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sources, is_about};
use crate::intent::cluster::Cluster;
use crate::render::Materials;
use crate::report::{ClusterStatus, Finding, FindingCode, RouteKind, RouteReport, RouteState, Subject};
use crate::route::{QuarantineUnit, RouteTable, TlsBinding};
use crate::translate::backend_of;
use crate::types::HostKey;

/// All findings that the operator reports for the cluster, including those of its last translation.
pub(super) fn findings(sources: &Sources<'_>, cluster: &Cluster) -> Vec<Finding> {
    sources.status_of(&cluster.name).map_or_else(Vec::new, |status| status.findings.clone())
}

/// Whether the operator reports that the cluster's template is left out.
pub(super) fn is_template_left_out(sources: &Sources<'_>, cluster: &Cluster) -> bool {
    let is_template = |(field, value)| is_setting(&QuarantineUnit::Template, field, value);
    sources.status_of(&cluster.name).is_some_and(|status| settings_left_out(status, cluster).any(is_template))
}

/// The table in which routes that are left out have their actual answers.
pub(super) fn routes_in_force(sources: &Sources<'_>, cluster: &Cluster, table: RouteTable) -> RouteTable {
    let Some(status) = sources.status_of(&cluster.name) else { return table };
    let parts: BTreeSet<QuarantineUnit> = status.routes.iter().filter(|route| route.state == RouteState::Quarantined).map(part).collect();
    if parts.is_empty() { table } else { table.with_unavailable(&parts) }
}

/// The same without the settings that are left out, and the valid material: the input of the proxies' configuration.
pub(super) fn in_force(sources: &Sources<'_>, cluster: &Cluster, table: RouteTable) -> (RouteTable, Materials) {
    let mut table = routes_in_force(sources, cluster, table);
    let materials = materials(sources, cluster, &table);
    if let Some(status) = sources.status_of(&cluster.name) {
        let left_out: Vec<_> = settings_left_out(status, cluster).collect();
        let parts =
            table.quarantine_units().into_iter().filter(|part| left_out.iter().any(|(field, value)| is_setting(part, field, *value)));
        table = table.with_unavailable(&parts.collect());
    }
    (table, materials)
}

/// The material of a table that can be used, as far as is known.
pub(super) fn materials(sources: &Sources<'_>, cluster: &Cluster, table: &RouteTable) -> Materials {
    let mut materials = Materials::assumed(table);
    let Some(status) = sources.status_of(&cluster.name) else { return materials };
    let reports: BTreeMap<_, _> = status.routes.iter().filter_map(|route| Some((&route.host, route.tls.as_ref()?))).collect();
    let is_bad =
        |host: &HostKey, binding: &TlsBinding| reports.get(host).is_some_and(|tls| is_about(tls, binding) && !tls.state.is_usable());
    for (_, binding) in table.bindings().filter(|(host, binding)| is_bad(host, binding)) {
        materials.leave_out(binding);
    }
    let unverifiable = status.routes.iter().filter(|route| route.state == RouteState::Unverifiable);
    for verification in unverifiable.filter_map(|route| backend_of(table, route)?.protocol.tls.as_ref()) {
        materials.leave_out_verification(verification);
    }
    materials
}

fn part(route: &RouteReport) -> QuarantineUnit {
    let HostKey::Host(host) = &route.host else { return QuarantineUnit::DefaultBackend };
    let host = host.clone();
    match route.kind {
        RouteKind::Http => QuarantineUnit::Route { host, path: route.path.clone() },
        RouteKind::Passthrough => QuarantineUnit::Passthrough { host },
        RouteKind::Redirect => QuarantineUnit::Redirects { host },
    }
}

/// The settings that are left out: the field, and the line if the field is a list.
fn settings_left_out<'a>(status: &'a ClusterStatus, cluster: &Cluster) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let subject = Subject::Cluster(cluster.name.to_string());
    let reported =
        status.findings.iter().filter(move |finding| finding.code == FindingCode::RouteQuarantined && finding.subject == subject);
    reported.filter_map(|finding| Some((finding.field.as_deref()?.strip_prefix("spec.settings.")?, finding.value.as_deref())))
}

fn is_setting(part: &QuarantineUnit, field: &str, value: Option<&str>) -> bool {
    let has_value = match part {
        QuarantineUnit::Line { line, .. } => value == Some(line.to_string().as_str()),
        _ => true,
    };
    part.setting() == Some(field) && has_value
}
