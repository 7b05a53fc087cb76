//! The disk space of request bodies on the volume, and whether it is too much. Engines do not limit the sum, and a full disk
//! affects every container of the node. Decides only; `worker_monitor` frees the space.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::protocol::agent_settings::BODY_SPOOL_MAX;
use crate::runtime::{EngineProcess, Worker};

/// A disk is nearly full when less than a twentieth of it, and less than this, is free.
const RESERVE_MAX: u64 = 1 << 30;

/// The file system of the bodies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    free: u64,
    total: u64,
}

/// The disk space of request bodies.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct BodySpool {
    /// All of them together, in bytes.
    pub(super) taken: u64,
    /// The workers that have any bodies on disk.
    pub(super) holders: Vec<Worker>,
    /// Why that is too much, if it is.
    pub(super) fault: Option<String>,
}

/// Measures the workers' request bodies in `directory`. `stated`: how many bytes are allowed; 0 = no limit.
pub(super) fn measure(process: &dyn EngineProcess, workers: &[Worker], directory: &Path, stated: Option<u64>) -> BodySpool {
    let held = workers.iter().map(|worker| (*worker, process.request_bodies_of(*worker))).filter(|(_, taken)| *taken > 0);
    let (holders, taken): (Vec<Worker>, Vec<u64>) = held.unzip();
    let taken = taken.into_iter().sum();
    BodySpool { taken, holders, fault: fault(taken, stated.unwrap_or(BODY_SPOOL_MAX), disk(directory)) }
}

fn disk(directory: &Path) -> Option<Disk> {
    let about = statvfs(directory).ok()?;
    let size = about.fragment_size();
    Some(Disk { free: about.blocks_available().saturating_mul(size), total: about.blocks().saturating_mul(size) })
}

/// Bodies are the cause of a full disk only if there would be room without them: ending workers does not free space that others
/// use.
fn fault(taken: u64, most: u64, disk: Option<Disk>) -> Option<String> {
    if most > 0 && taken > most {
        return Some(format!(
            "request bodies take {} MiB on the volume, more than the maximum of {} MiB (requestBodySpoolMax)",
            taken >> 20,
            most >> 20
        ));
    }
    let Disk { free, total } = disk?;
    let reserve = (total / 20).min(RESERVE_MAX);
    let blame = free < reserve && taken >= reserve / 4;
    blame.then(|| format!("the volume's disk has {} MiB left, and request bodies take {} MiB of it", free >> 20, taken >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake_engine::FakeProcess;

    const GIB: u64 = 1 << 30;

    fn is_too_much(taken: u64, most: u64, free: u64) -> bool {
        fault(taken, most, Some(Disk { free, total: 100 * GIB })).is_some()
    }

    #[test]
    fn bodies_take_too_much_space_above_the_maximum_or_if_they_fill_the_disk() {
        assert!(!is_too_much(8 * GIB, 8 * GIB, 50 * GIB));
        assert!(is_too_much(8 * GIB + 1, 8 * GIB, 50 * GIB));
        assert!(!is_too_much(8 * GIB, 0, 50 * GIB), "without a maximum");
        assert!(is_too_much(GIB, 0, GIB - 1), "the disk is nearly full");
        assert!(!is_too_much(1 << 20, 8 * GIB, 0), "the disk was filled by something else");
        assert!(fault(GIB, 8 * GIB, None).is_none());
    }

    #[test]
    fn a_small_disk_is_nearly_full_when_one_twentieth_is_left() {
        let disk = |free| Some(Disk { free, total: GIB });
        assert!(fault(100 << 20, 0, disk(51 << 20)).is_some());
        assert!(fault(100 << 20, 0, disk(52 << 20)).is_none());
    }

    #[test]
    fn workers_with_open_bodies_are_found() {
        let process = FakeProcess::default();
        let [holder, other] = [1, 2].map(|started| Worker { pid: nix::unistd::Pid::this(), started, retiring: false });
        process.set_request_bodies(holder, 50_000);
        let spool = measure(&process, &[holder, other], Path::new("/nonexistent"), Some(40_000));
        assert_eq!((spool.taken, spool.holders), (50_000, vec![holder]));
        assert!(spool.fault.is_some());
        assert_eq!(measure(&process, &[other], Path::new("/nonexistent"), None), BodySpool::default());
    }
}
