//! Logs and metrics, each metric named once. Shows the words of `report` and never decides anything. Imports only `report`.

pub(crate) mod finding_log;
pub(crate) mod logs;
pub(crate) mod metrics;
