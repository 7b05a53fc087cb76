//! The planner against a small static world.

mod boot;
mod channel;
mod convergence;
mod each_node;
mod effects;
mod foreign;
mod hosts;
mod limits;
mod material;
mod networks;
mod ownership;
mod ports;
mod removal;
mod rollouts;
mod trust;
pub(crate) mod world;

use serde_json::Value;

use super::Plan;
use super::json_path;

/// The proxy service of cluster `dev`.
const PROXY: &str = "swarmgate-proxy-dev";
/// The extension service of cluster `dev`.
const EXTENSION: &str = "swarmgate-extension-dev";

/// The titles of a plan's steps.
fn titles(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(super::PlanStep::title).collect()
}

/// The change lines of the plan's only step.
fn lines(plan: &Plan) -> Vec<String> {
    assert_eq!(plan.steps.len(), 1, "{plan}");
    plan.steps[0].to_string().lines().map(|line| line.trim().to_owned()).collect()
}

/// The value at a dotted path of a spec; null = absent.
fn at(spec: &Value, path: &str) -> Value {
    json_path::get(spec, &path.split('.').collect::<Vec<_>>()).cloned().unwrap_or(Value::Null)
}

/// The codes of a plan's findings.
fn codes(plan: &Plan) -> Vec<String> {
    plan.findings.iter().map(|finding| finding.code.to_string()).collect()
}
