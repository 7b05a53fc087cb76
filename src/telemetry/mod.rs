//! Logs and metrics; each metric is named in one place. Shows the wording of `report` and never decides anything. Imports
//! only `report`.

pub(crate) mod finding_log;
pub(crate) mod logs;
pub(crate) mod metrics;
