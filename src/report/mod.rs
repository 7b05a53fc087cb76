//! The vocabulary of reports: findings, conditions, reasons for waiting, the status report. The same types feed the HTTP
//! endpoint, the command line, the logs and the metrics. Imports only `types`; decides nothing.

mod condition;
mod finding;
mod finding_catalog;
mod route_display;
mod share;
mod status;
mod tls_state;
mod waiting_reason;

pub use condition::{Condition, ConditionReason, ConditionStatus, ConditionType};
pub use finding::{Finding, Subject};
pub use finding_catalog::{CatalogEntry, CatalogRemedy, FindingCase, FindingCode, Severity, cases};
pub use share::{Noun, PROXIES, ROUTES, number, share};
pub use status::{
    ClusterStatus, EndpointReport, EndpointState, OperatorStatus, Phase, ProxyTaskReport, ProxyTaskState, RolloutReport, RouteKind,
    RouteReport, RouteState, ServiceReport, StatusReport, TlsReport,
};
pub use tls_state::TlsState;
pub use waiting_reason::WaitingOn;
