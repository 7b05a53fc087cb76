//! What the schema cannot express about one document: fields that exclude or require each other, and values that Swarm
//! accepts but that make no sense. Works on plain values, so that its mistakes are reported together with those of the
//! shape.

use std::time::Duration;

use serde_json::Value;

use super::super::constraint::Constraint;
use super::super::formats::stop_signal;
use super::super::quantity::{parse_cpus, parse_duration, parse_memory};
use super::document_error::Mistakes;
use super::{hosts, limits, material, networks, settings};
use crate::report::{FindingCode, Severity};
use crate::types::Refused;

/// Starting a container and its first health check take several seconds.
const NETWORK_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// Checks the document's fields against one another.
pub(super) fn check(value: &Value, mistakes: &mut Mistakes) {
    let checks = [
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
        material::check,
        limits::check,
        settings::check,
    ];
    for check in checks {
        check(&Look(value), mistakes);
    }
}

/// Reads single values; a value of the wrong type is treated as absent, because the shape check has reported it.
pub(super) struct Look<'a>(&'a Value);

impl<'a> Look<'a> {
    pub(super) fn any(&self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer)
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.any(pointer).and_then(Value::as_str)
    }

    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.any(pointer).and_then(Value::as_u64)
    }

    pub(super) fn list(&self, pointer: &str) -> &'a [Value] {
        self.any(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl Mistakes {
    pub(super) fn impossible(&mut self, pointer: &str, message: &str, remedy: &str) {
        self.add(FindingCode::ImpossibleCombination, pointer, message, remedy);
    }

    pub(super) fn doubtful(&mut self, pointer: &str, message: &str, remedy: &str) {
        self.add_as(Severity::Warning, FindingCode::InvalidValue, pointer, message, remedy);
    }
}

fn tasks(look: &Look<'_>, mistakes: &mut Mistakes) {
    let replicas = "/spec/proxy/replicas";
    if look.text("/spec/proxy/mode") == Some("global") && look.any(replicas).is_some() {
        mistakes.impossible(
            replicas,
            "a global service has one task on every fitting node, never a number of replicas",
            "Remove replicas, or write mode: replicated.",
        );
    } else if look.number(replicas) == Some(0) {
        mistakes.doubtful(replicas, "no proxy runs, so nothing is served", "Write 1 or more when this cluster is to carry traffic.");
    }
}

fn ports(look: &Look<'_>, mistakes: &mut Mistakes) {
    for side in ["published", "target"] {
        let (http, https) = (format!("/spec/proxy/publish/http/{side}"), format!("/spec/proxy/publish/https/{side}"));
        if look.number(&http).is_some() && look.number(&http) == look.number(&https) {
            mistakes.impossible(&https, &format!("http and https cannot have the same {side} port"), "Give one of them another port.");
        }
    }
}

fn update(look: &Look<'_>, mistakes: &mut Mistakes) {
    let order = "/spec/proxy/update/order";
    if look.text(order) == Some("start-first") && look.text("/spec/proxy/publish/mode") == Some("host") {
        let message = "a new task cannot start before the old one has given back its host port";
        mistakes.impossible(order, message, "Write stop-first, or publish.mode: ingress.");
    }
    let parallelism = "/spec/proxy/update/parallelism";
    if look.number(parallelism) == Some(0) {
        mistakes.doubtful(parallelism, "0 means all proxies at once: requests fail while they are replaced", "Write 1.");
    }
    let timeout = "/spec/proxy/update/networkTimeout";
    if look.text(timeout).and_then(|text| parse_duration(text).ok()).is_some_and(|timeout| timeout < NETWORK_TIMEOUT_MIN) {
        mistakes.doubtful(timeout, "a proxy takes longer to start, so that no network would ever be attached", "Write 30s or more.");
    }
}

fn configuration_path(look: &Look<'_>, mistakes: &mut Mistakes) {
    let path = "/spec/proxy/configPath";
    if look.any(path).is_some() && look.text("/spec/proxy/rollout") != Some("replace") {
        let message = "only a proxy with rollout: replace has its configuration mounted; with rollout: live the path has no effect";
        mistakes.impossible(path, message, "Remove configPath, or write rollout: replace.");
    }
}

fn stopping(look: &Look<'_>, mistakes: &mut Mistakes) {
    let (signal, period) = ("/spec/proxy/stopSignal", "/spec/proxy/stopGracePeriod");
    let hard = look
        .text(signal)
        .and_then(|text| stop_signal(text).ok())
        .is_some_and(|name| ["SIGKILL", "9", "SIGSTOP", "19"].contains(&name.as_str()));
    if hard {
        mistakes.doubtful(signal, "this signal leaves a proxy no chance to finish open requests", "Write SIGQUIT or SIGTERM.");
    }
    if look.text(period).and_then(|text| parse_duration(text).ok()).is_some_and(|period| period.is_zero()) {
        mistakes.doubtful(period, "a proxy is killed at once, with its open requests", "Write for example 10s.");
    }
}

fn constraints(look: &Look<'_>, mistakes: &mut Mistakes) {
    for workload in ["extension", "proxy"] {
        let pointer = format!("/spec/{workload}/constraints");
        for (at, text) in look.list(&pointer).iter().enumerate() {
            let single = text.as_str().and_then(|text| Constraint::parse(text).ok()).filter(|constraint| constraint.single_equals);
            if let Some(constraint) = single {
                let remedy = format!("Write {}.", constraint.to_swarm());
                let code = FindingCode::SingleEqualsConstraint;
                mistakes.add(code, &format!("{pointer}/{at}"), "a single = is understood as ==", remedy);
            }
        }
    }
}

/// Options belong to a driver; without one it is unknown whether they are supported, and tasks with an unsupported option never
/// start.
fn logging(look: &Look<'_>, mistakes: &mut Mistakes) {
    for workload in ["extension", "proxy"] {
        let options = format!("/spec/{workload}/logging/options");
        let has_options = look.any(&options).and_then(Value::as_object).is_some_and(|options| !options.is_empty());
        if look.text(&format!("/spec/{workload}/logging/driver")) == Some("default") && has_options {
            mistakes.impossible(
                &options,
                "options without a driver of their own",
                "Name the driver that has these options, or remove them.",
            );
        }
    }
}

fn resources(look: &Look<'_>, mistakes: &mut Mistakes) {
    let amounts = [("cpus", parse_cpus as fn(&str) -> Result<i64, Refused>), ("memory", parse_memory)];
    for workload in ["extension", "proxy"] {
        for (name, parse) in amounts {
            let of = |kind: &str| format!("/spec/{workload}/resources/{kind}/{name}");
            let amount = |kind: &str| look.text(&of(kind)).and_then(|text| parse(text).ok());
            let (limit, reservation) = (amount("limits"), amount("reservations"));
            if limit.zip(reservation).is_some_and(|(limit, reservation)| reservation > limit) {
                mistakes.impossible(&of("reservations"), "more is reserved than the limit lets the task use", "Reserve at most the limit.");
            }
        }
    }
}
