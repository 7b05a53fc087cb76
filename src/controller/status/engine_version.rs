//! Known faults of the engine's version. Pure.

use super::StatusInput;
use crate::render;
use crate::report::{Finding, FindingCase, Subject, cases};

/// How many names are listed; an old version has dozens.
const NAMES_SHOWN: usize = 4;

/// An engine with publicly known faults.
pub fn vulnerable(seen: &StatusInput<'_>) -> Option<Finding> {
    let engine = seen.cluster.engine;
    let version = seen.report?.report.engine_version.as_str();
    let faults = render::faults(engine, version)?;
    let shown: Vec<&str> = faults.cves.iter().take(NAMES_SHOWN).copied().collect();
    let more = faults.cves.len().saturating_sub(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} older ones") } else { String::new() };
    let message =
        format!("The engine has known vulnerabilities ({}{more}); clients or applications may be able to exploit them.", shown.join(", "));
    let case = FindingCase::from(cases::EngineVulnerable { engine: engine.as_str(), version: &faults.fixed_in.join(" or ") });
    let finding = Finding::new(case, Subject::Cluster(seen.cluster.name.to_string()), message);
    Some(finding.with_field("spec.extension.image", version))
}
