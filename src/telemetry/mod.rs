//! Logs and metrics, each metric named once. Shows the words of `report` and never decides anything. Imports only `report`.

pub mod finding_log;
pub mod logs;
pub mod metrics;
