//! Words for telling: findings, conditions, what is waited for, the status report. One type feeds the HTTP endpoint, the
//! command line, the logs and the metrics. Imports only `types`; decides nothing.

mod condition;
mod finding;
mod finding_catalog;
mod route_text;
mod status;
mod waiting;

pub use condition::{Condition, ConditionStatus, condition_types, reasons};
pub use finding::{Finding, Subject};
pub use finding_catalog::{CatalogEntry, FindingCode, Remedy, Severity};
pub use status::{
    ClusterStatus, EndpointReport, EndpointState, FindingCount, OperatorStatus, Phase, ProxyTaskReport, RolloutReport, RouteKind,
    RouteReport, RouteState, SOURCE_BOOT, SOURCE_NAMES, ServiceReport, StatusReport, TlsReport,
};
pub use waiting::WaitingOn;
