//! The endpoints behind one route, as its members have them together.

use super::host_settings::Members;
use crate::route::Backend;
use crate::types::ServiceId;

/// A pool, and which of its members' endpoints wait.
pub struct Pool {
    /// The pool.
    pub backend: Backend,
    /// Whether only endpoints that are where they shall be get requests.
    pub only_reachable: bool,
}

impl Pool {
    /// What proxies are told of it. Services that must stay closed are not in it at all, not even by name: a proxy that starts
    /// alone would ask for their tasks.
    pub fn open(self, members: &Members<'_>) -> Backend {
        let mut backend = self.backend;
        let closed = |id: &ServiceId| members.iter().any(|member| member.published.labels.closed && member.published.service.id == *id);
        backend.services.retain(|service| !closed(&service.id));
        backend
    }
}
