//! The combined endpoints behind one route.

use super::host_settings::Members;
use crate::route::Backend;
use crate::types::ServiceId;

/// A pool, and which of its members' endpoints wait.
pub struct Pool {
    /// The pool.
    pub backend: Backend,
    /// Whether only endpoints at their intended address get requests.
    pub only_reachable: bool,
}

impl Pool {
    /// The pool as the proxies get it, without services that must stay closed. Not even their names are in it: a proxy that
    /// starts alone would look up their tasks.
    pub fn open(self, members: &Members<'_>) -> Backend {
        let mut backend = self.backend;
        let closed = |id: &ServiceId| members.iter().any(|member| member.published.labels.closed && member.published.service.id == *id);
        backend.services.retain(|service| !closed(&service.id));
        backend
    }
}
