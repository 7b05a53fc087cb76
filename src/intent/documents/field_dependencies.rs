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
use crate::report::FindingCode;
use crate::types::{InvalidValue, UpdateOrder};

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
        mistakes.add_impossible(
            replicas,
            "a global service has one task on every matching node, so it cannot have a number of replicas",
            "Remove replicas, or set mode: replicated.",
        );
    } else if fields.number(replicas) == Some(0) {
        mistakes.add_implausible(
            replicas,
            "no proxy runs, so nothing is served",
            "Set it to 1 or more if this cluster is to serve traffic.",
        );
    }
}

fn ports(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for side in ["published", "target"] {
        let (http, https) = (format!("/spec/proxy/publish/http/{side}"), format!("/spec/proxy/publish/https/{side}"));
        if fields.number(&http).is_some() && fields.number(&http) == fields.number(&https) {
            mistakes.add_impossible(&https, &format!("http and https must not have the same {side} port"), "Change one of the two ports.");
        }
    }
}

fn update(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let order = "/spec/proxy/update/order";
    if fields.text(order) == Some(UpdateOrder::StartFirst.as_str()) && fields.text("/spec/proxy/publish/mode") == Some("host") {
        let message = "a new task cannot start before the old one has released its host port";
        mistakes.add_impossible(order, message, "Set it to stop-first, or set publish.mode: ingress.");
    }
    let parallelism = "/spec/proxy/update/parallelism";
    if fields.number(parallelism) == Some(0) {
        mistakes.add_implausible(parallelism, "0 replaces all proxies at once, and requests fail meanwhile", "Set it to 1.");
    }
    let timeout = "/spec/proxy/update/networkTimeout";
    if fields.text(timeout).and_then(|text| parse_duration(text).ok()).is_some_and(|timeout| timeout < NETWORK_TIMEOUT_MIN) {
        mistakes.add_implausible(
            timeout,
            "a proxy takes longer than this to start, so no network would ever be attached",
            "Set it to 30s or more.",
        );
    }
}

fn configuration_path(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let path = "/spec/proxy/configPath";
    if fields.any(path).is_some() && fields.text("/spec/proxy/rollout") != Some("replace") {
        let message = "the path has an effect only with rollout: replace, where the configuration is mounted";
        mistakes.add_impossible(path, message, "Remove configPath, or set rollout: replace.");
    }
}

fn stopping(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let (signal, period) = ("/spec/proxy/stopSignal", "/spec/proxy/stopGracePeriod");
    let hard = fields
        .text(signal)
        .and_then(|text| stop_signal(text).ok())
        .is_some_and(|name| ["SIGKILL", "9", "SIGSTOP", "19"].contains(&name.as_str()));
    if hard {
        mistakes.add_implausible(signal, "with this signal a proxy cannot finish open requests", "Use SIGQUIT or SIGTERM.");
    }
    if fields.text(period).and_then(|text| parse_duration(text).ok()).is_some_and(|period| period.is_zero()) {
        mistakes.add_implausible(period, "a proxy is killed immediately, and its open requests fail", "Set it to 10s, for example.");
    }
}

fn constraints(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    for workload in ["extension", "proxy"] {
        let pointer = format!("/spec/{workload}/constraints");
        for (at, text) in fields.list(&pointer).iter().enumerate() {
            let single = text.as_str().and_then(|text| Constraint::parse(text).ok()).filter(|constraint| constraint.single_equals);
            if let Some(constraint) = single {
                let data = ("constraint", constraint.to_swarm());
                mistakes.add_with_data(FindingCode::SingleEqualsConstraint, &format!("{pointer}/{at}"), "a single = is read as ==", data);
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
            mistakes.add_impossible(
                &options,
                "options have no effect without a named driver",
                "Name the driver that supports these options, or remove them.",
            );
        }
    }
}

fn resources(fields: &Fields<'_>, mistakes: &mut Mistakes) {
    let amounts = [("cpus", parse_cpus as fn(&str) -> Result<i64, InvalidValue>), ("memory", parse_memory)];
    for workload in ["extension", "proxy"] {
        for (name, parse) in amounts {
            let of = |kind: &str| format!("/spec/{workload}/resources/{kind}/{name}");
            let amount = |kind: &str| fields.text(&of(kind)).and_then(|text| parse(text).ok());
            let (limit, reservation) = (amount("limits"), amount("reservations"));
            if limit.zip(reservation).is_some_and(|(limit, reservation)| reservation > limit) {
                mistakes.add_impossible(&of("reservations"), "the reservation is larger than the limit", "Reserve at most the limit.");
            }
        }
    }
}
