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

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorOptions {
    /// The operator's name on its owner labels; two operators of one Swarm need two.
    pub instance: String,
    /// The operator's own service, if it is one.
    pub own_service: Option<ServiceId>,
    /// Spec files and folders.
    pub spec: Vec<PathBuf>,
    /// How extensions and proxies reach the operator and each other.
    pub channel: ChannelMode,
    /// Where status, page and metrics are served.
    pub listen: SocketAddr,
    /// To whom, and how else.
    pub status: StatusPort,
    /// Where the channel is served.
    pub channel_listen: SocketAddr,
    /// The time from one complete look at the Swarm to the next, if nothing asks for one earlier.
    pub poll_interval: Duration,
    /// The time from one quick look at the tasks to the next, while services are routed.
    pub task_poll_interval: Duration,
    /// The same while something moves.
    pub task_poll_interval_fast: Duration,
    /// The same while nothing is routed.
    pub task_poll_interval_idle: Duration,
    /// The time from one reading of the spec files to the next, if nothing notifies earlier.
    pub spec_interval: Duration,
    /// The least time from one look at the Swarm for people's questions to the next.
    pub question_interval: Duration,
    /// For how long asks for a pass are held together.
    pub debounce: Duration,
    /// The longest time that an ask is held.
    pub debounce_max: Duration,
}

/// Who gets in at the status port. The default: monitoring is open to all, the rest only to this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusPort {
    /// What is open, and to whom the rest is. `access.token` is the one that was given, or that the operator derives.
    pub access: Access,
    /// A Unix socket with the same, for whoever may open its file.
    pub socket: Option<PathBuf>,
    /// With these files the port speaks TLS.
    pub tls: Option<TlsFiles>,
}

/// Mounted files, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that signed it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl OperatorOptions {
    /// The rules of the queue.
    pub fn queue(&self) -> QueueLimits {
        // After a failure the first retry comes soon, because most are races with somebody else's write; the ceiling keeps
        // a repaired Swarm from waiting for minutes.
        let retry = RetryLimits { initial: Duration::from_millis(500), max: Duration::from_secs(30) };
        QueueLimits { debounce: self.debounce, max_delay: self.debounce_max, retry }
    }

    /// The periods of the quick look.
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
