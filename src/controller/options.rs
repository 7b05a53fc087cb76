//! The settings of the operator: its names, addresses and periods. Checked by the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::poll_interval::PollIntervals;
use super::work_queue::QueueLimits;
use crate::api::authorization::Access;
use crate::protocol::ChannelMode;
use crate::retry::RetryLimits;
use crate::types::ServiceId;

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorOptions {
    /// The operator's name on its owner labels; two operators in one Swarm need different names.
    pub instance: String,
    /// The operator's own service, if it is one.
    pub own_service: Option<ServiceId>,
    /// Spec files and folders.
    pub spec: Vec<PathBuf>,
    /// How extensions and proxies reach the operator and each other.
    pub channel: ChannelMode,
    /// Where status, page and metrics are served.
    pub listen: SocketAddr,
    /// Who may access them, and by which other means.
    pub status: StatusPort,
    /// Where the channel is served.
    pub channel_listen: SocketAddr,
    /// The interval between complete snapshots of the Swarm, if nothing requests one earlier.
    pub poll_interval: Duration,
    /// The interval between polls of the tasks while services are routed.
    pub task_poll_interval: Duration,
    /// The same while something is changing.
    pub task_poll_interval_fast: Duration,
    /// The same while nothing is routed.
    pub task_poll_interval_idle: Duration,
    /// The interval between readings of the spec files, if no notification comes earlier.
    pub spec_interval: Duration,
    /// The minimum interval between snapshots of the Swarm for users' queries.
    pub query_interval: Duration,
    /// How long requests for a pass are batched.
    pub debounce: Duration,
    /// The longest time that a request is delayed.
    pub debounce_max: Duration,
}

/// Access to the status port. By default monitoring is open to all, and the rest only to this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusPort {
    /// What is open, and who may access the rest. `access.token` is the configured token, or the one that the operator
    /// derives.
    pub access: Access,
    /// A Unix socket that serves the same to anyone who may open its file.
    pub socket: Option<PathBuf>,
    /// If set, the port uses TLS with these files.
    pub tls: Option<TlsFiles>,
}

/// Mounted files, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its intermediates.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl OperatorOptions {
    /// The queue's limits.
    pub fn queue(&self) -> QueueLimits {
        // After a failure the first retry comes soon, because most failures are races with another write; the maximum keeps
        // a repaired Swarm from waiting for minutes.
        let retry = RetryLimits { initial: Duration::from_millis(500), max: Duration::from_secs(30) };
        QueueLimits { debounce: self.debounce, max_delay: self.debounce_max, retry }
    }

    /// The intervals between polls of the tasks.
    pub fn poll_intervals(&self) -> PollIntervals {
        PollIntervals {
            fast: self.task_poll_interval_fast.min(self.task_poll_interval),
            normal: self.task_poll_interval,
            slow: self.task_poll_interval_idle.max(self.task_poll_interval),
            after_change: Duration::from_secs(5),
            after_change_unsettled: Duration::from_secs(60),
        }
    }
}
