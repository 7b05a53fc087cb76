//! Decides who gets a connection: limits the total and the number per address, with a separate share for clients on this
//! machine. Never waits, and never looks at what a client wants.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Peer;

/// Refusals are logged once per interval, with their number: a flood of connections must not flood the log.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The unit for limits per client: of connections, and of whatever else one client must not do without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Loopback or a Unix socket.
    Here,
    /// One address.
    V4(Ipv4Addr),
    /// The /64 of an address: its holder has all of its addresses.
    V6([u16; 4]),
}

impl Origin {
    /// The origin of a peer.
    pub fn from_peer(peer: &Peer) -> Self {
        match peer.address.map(|address| address.ip()) {
            None => Self::Here,
            Some(ip) if ip.is_loopback() => Self::Here,
            Some(IpAddr::V4(ip)) => Self::V4(ip),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Counts open connections.
#[derive(Debug)]
pub(super) struct ConnectionAdmission {
    all: usize,
    per_peer: usize,
    inner: Mutex<AdmissionState>,
}

#[derive(Debug, Default)]
struct AdmissionState {
    /// From other machines.
    remote: usize,
    /// By origin, without zero entries.
    open: HashMap<Origin, usize>,
    refused: u64,
    reported_at: Option<Instant>,
}

/// The right to one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    admission: Arc<ConnectionAdmission>,
    origin: Origin,
}

impl ConnectionAdmission {
    pub(super) fn new(all: usize, per_peer: usize) -> Self {
        Self { all, per_peer, inner: Mutex::default() }
    }

    /// Grants a permit, if one is free.
    pub(super) fn enter(admission: &Arc<Self>, peer: &Peer) -> Option<ConnectionPermit> {
        let origin = Origin::from_peer(peer);
        let mut inner = admission.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = inner.open.get(&origin).copied().unwrap_or_default();
        let free = match origin {
            Origin::Here => of_peer < admission.all,
            Origin::V4(_) | Origin::V6(_) => inner.remote < admission.all && of_peer < admission.per_peer,
        };
        if !free {
            inner.refuse(peer);
            return None;
        }
        inner.open.insert(origin, of_peer + 1);
        inner.remote += usize::from(origin != Origin::Here);
        Some(ConnectionPermit { admission: admission.clone(), origin })
    }
}

impl AdmissionState {
    fn refuse(&mut self, peer: &Peer) {
        self.refused += 1;
        if self.reported_at.is_none_or(|reported_at| reported_at.elapsed() >= REPORT_EVERY) {
            let from = peer.address.map_or_else(|| "a Unix socket".to_owned(), |address| address.ip().to_string());
            tracing::warn!(refused = self.refused, open = self.remote, last = from, "too many connections; closing new ones");
            self.refused = 0;
            self.reported_at = Some(Instant::now());
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut inner = self.admission.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.remote -= usize::from(self.origin != Origin::Here);
        if let Some(left) = inner.open.get_mut(&self.origin) {
            *left -= 1;
            if *left == 0 {
                inner.open.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::Transport;
    use super::*;

    fn peer(address: &str) -> Peer {
        let address: Option<SocketAddr> = address.parse().ok();
        let transport = if address.is_some() { Transport::Tcp } else { Transport::Unix };
        Peer { address, transport, certificates: Arc::new([]) }
    }

    #[test]
    fn connections_per_address_are_limited() {
        let admission = Arc::new(ConnectionAdmission::new(4, 2));
        let enter = |address: &str| ConnectionAdmission::enter(&admission, &peer(address));
        let first = enter("192.0.2.1:1").unwrap();
        let _second = enter("192.0.2.1:2").unwrap();
        assert!(enter("192.0.2.1:3").is_none());
        let _v6 = enter("[2001:db8::1]:1").unwrap();
        let _same_net = enter("[2001:db8::ffff:1]:1").unwrap();
        assert!(enter("192.0.2.9:1").is_none(), "four are open");
        drop(first);
        assert!(enter("[2001:db8::2]:1").is_none(), "its /64 has two");
        let third = enter("192.0.2.1:3").unwrap();
        drop(third);
        assert!(enter("192.0.2.9:1").is_some());
    }

    #[test]
    fn loopback_is_served_during_a_flood_from_outside() {
        let admission = Arc::new(ConnectionAdmission::new(2, 2));
        let enter = |address: &str| ConnectionAdmission::enter(&admission, &peer(address));
        let _flood = [enter("192.0.2.1:1").unwrap(), enter("192.0.2.1:2").unwrap()];
        let _here = [enter("127.0.0.1:1").unwrap(), enter("unix").unwrap()];
        assert!(enter("[::1]:1").is_none(), "loopback is limited, too");
    }

    #[test]
    fn closed_connections_leave_no_state() {
        let admission = Arc::new(ConnectionAdmission::new(2, 2));
        for last in 0..100 {
            drop(ConnectionAdmission::enter(&admission, &peer(&format!("192.0.2.{last}:1"))).unwrap());
        }
        assert!(admission.inner.lock().unwrap().open.is_empty());
    }
}
