//! What the schema cannot express about one ServiceCluster: fields that exclude or require each other, and values that Swarm
//! accepts but that make no sense. Works on plain values, so that its mistakes are reported together with those of the schema.

use std::time::Duration;

use serde_json::Value;

use super::super::formats::stop_signal;
use super::super::placement_constraint::Constraint;
use super::super::quantity::{parse_cpus, parse_duration, parse_memory};
use super::document_error::Mistakes;
use super::fields::{DocumentCheck, Fields};
use super::{config_quotas, hosts, networks, reference_grants, settings};
use crate::report::FindingCase;
use crate::report::cases::{ImpossibleCombination, InvalidValue, SingleEqualsConstraint};
use crate::types::{self, UpdateOrder};

/// Starting a container and its first health check take several seconds.
const NETWORK_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The checks of a ServiceCluster's fields against one another.
pub(super) const CHECKS: &[DocumentCheck] = &[
    tasks,
    ports,
    update,
    configuration_path,
    stopping,
    networks::check,
    constraints,
    resources,
    logging,
    hosts::check,
    reference_grants::check,
    config_quotas::check,
    settings::check,
];

fn tasks(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let replicas = "/spec/proxy/replicas";
    if fields.text("/spec/proxy/mode") == Some("global") && fields.any(replicas).is_some() {
        let message = "a global service has one task on every matching node, so it cannot have a number of replicas";
        mistakes.add(ImpossibleCombination::ReplicasOfGlobal, replicas, message);
    } else if fields.number(replicas) == Some(0) {
        mistakes.add(InvalidValue::NoProxies, replicas, "no proxy runs, so nothing is served");
    }
}

fn ports(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for side in ["published", "target"] {
        let (http, https) = (format!("/spec/proxy/publish/http/{side}"), format!("/spec/proxy/publish/https/{side}"));
        if fields.number(&http).is_some() && fields.number(&http) == fields.number(&https) {
            mistakes.add(ImpossibleCombination::SamePort, &https, format!("http and https must not have the same {side} port"));
        }
    }
}

fn update(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let order = "/spec/proxy/update/order";
    if fields.text(order) == Some(UpdateOrder::StartFirst.as_str()) && fields.text("/spec/proxy/publish/mode") == Some("host") {
        let message = "a new task cannot start before the old one has released its host port";
        mistakes.add(ImpossibleCombination::StartFirstWithHostPorts, order, message);
    }
    let parallelism = "/spec/proxy/update/parallelism";
    if fields.number(parallelism) == Some(0) {
        let case = InvalidValue::TooSmall { example: "1" };
        mistakes.add(case, parallelism, "0 replaces all proxies at once, and requests fail meanwhile");
    }
    let timeout = "/spec/proxy/update/networkTimeout";
    if fields.text(timeout).and_then(|text| parse_duration(text).ok()).is_some_and(|timeout| timeout < NETWORK_TIMEOUT_MIN) {
        let case = InvalidValue::TooSmall { example: "30s" };
        mistakes.add(case, timeout, "a proxy takes longer than this to start, so no network would ever be attached");
    }
}

fn configuration_path(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let path = "/spec/proxy/configPath";
    if fields.any(path).is_some() && fields.text("/spec/proxy/rollout") != Some("replace") {
        let message = "the path has an effect only with rollout: replace, where the configuration is mounted";
        mistakes.add(ImpossibleCombination::UnusedConfigPath, path, message);
    }
}

fn stopping(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let (signal, period) = ("/spec/proxy/stopSignal", "/spec/proxy/stopGracePeriod");
    let hard = fields
        .text(signal)
        .and_then(|text| stop_signal(text).ok())
        .is_some_and(|name| ["SIGKILL", "9", "SIGSTOP", "19"].contains(&name.as_str()));
    if hard {
        mistakes.add(InvalidValue::StopSignal, signal, "with this signal a proxy cannot finish open requests");
    }
    if fields.text(period).and_then(|text| parse_duration(text).ok()).is_some_and(|period| period.is_zero()) {
        let case = InvalidValue::TooSmall { example: "10s" };
        mistakes.add(case, period, "a proxy is killed immediately, and its open requests fail");
    }
}

fn constraints(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for workload in ["extension", "proxy"] {
        let pointer = format!("/spec/{workload}/constraints");
        for (at, text) in fields.list(&pointer).iter().enumerate() {
            let single = text.as_str().and_then(|text| Constraint::parse(text).ok()).filter(|constraint| constraint.single_equals);
            if let Some(constraint) = single {
                let case = FindingCase::from(SingleEqualsConstraint { constraint: &constraint.to_swarm() });
                mistakes.add(case, &format!("{pointer}/{at}"), "a single = is read as ==");
            }
        }
    }
}

/// Options belong to a driver; without one it is unknown whether they are supported, and tasks with an unsupported option never
/// start.
fn logging(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for workload in ["extension", "proxy"] {
        let options = format!("/spec/{workload}/logging/options");
        let has_options = fields.any(&options).and_then(Value::as_object).is_some_and(|options| !options.is_empty());
        if fields.text(&format!("/spec/{workload}/logging/driver")) == Some("default") && has_options {
            let message = "options have no effect without a named driver";
            mistakes.add(ImpossibleCombination::OptionsWithoutDriver, &options, message);
        }
    }
}

fn resources(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let amounts = [("cpus", parse_cpus as fn(&str) -> Result<i64, types::InvalidValue>), ("memory", parse_memory)];
    for workload in ["extension", "proxy"] {
        for (name, parse) in amounts {
            let of = |kind: &str| format!("/spec/{workload}/resources/{kind}/{name}");
            let amount = |kind: &str| fields.text(&of(kind)).and_then(|text| parse(text).ok());
            let (limit, reservation) = (amount("limits"), amount("reservations"));
            if limit.zip(reservation).is_some_and(|(limit, reservation)| reservation > limit) {
                let message = "the reservation is larger than the limit";
                mistakes.add(ImpossibleCombination::ReservationAboveLimit, &of("reservations"), message);
            }
        }
    }
}
