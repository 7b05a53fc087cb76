//! Request bodies on the volume: what they take, and whether that is too much. Nothing of the engine bounds their sum, and a full disk is
//! everybody's loss. Decides only; `lookout` frees the space.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::processes::{Worker, space_below};
use crate::protocol::agent_settings::BODY_SPOOL_MAX;

/// The disk is nearly full with less than a twentieth of it, and at most so much, left.
const RESERVE_MAX: u64 = 1 << 30;

/// The file system of the bodies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    free: u64,
    total: u64,
}

/// What was seen in a look.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Spool {
    /// What all bodies take, in bytes.
    pub(super) taken: u64,
    /// The workers that have some.
    pub(super) holders: Vec<Worker>,
    /// Why that is too much, if it is.
    pub(super) fault: Option<String>,
}

/// Looks at what the workers hold below a directory. `stated`: what is allowed; 0 = whatever the disk has.
pub(super) fn look(workers: &[Worker], directory: &Path, stated: Option<u64>) -> Spool {
    let Ok(directory) = directory.canonicalize() else { return Spool::default() };
    let held = workers.iter().map(|worker| (*worker, space_below(worker.pid, &directory))).filter(|(_, taken)| *taken > 0);
    let (holders, taken): (Vec<Worker>, Vec<u64>) = held.unzip();
    let taken = taken.into_iter().sum();
    Spool { taken, holders, fault: fault(taken, stated.unwrap_or(BODY_SPOOL_MAX), disk(&directory)) }
}

fn disk(directory: &Path) -> Option<Disk> {
    let about = statvfs(directory).ok()?;
    let size = about.fragment_size();
    Some(Disk { free: about.blocks_available().saturating_mul(size), total: about.blocks().saturating_mul(size) })
}

/// Bodies are to blame for a full disk only if it would have room without them: what others fill is not freed by ending anything here.
fn fault(taken: u64, most: u64, disk: Option<Disk>) -> Option<String> {
    if most > 0 && taken > most {
        return Some(format!(
            "request bodies take {} MiB on the volume, and {} are allowed (requestBodySpoolMax)",
            taken >> 20,
            most >> 20
        ));
    }
    let Disk { free, total } = disk?;
    let reserve = (total / 20).min(RESERVE_MAX);
    let blame = free < reserve && taken >= reserve / 4;
    blame.then(|| format!("the disk of the volume has {} MiB left, and request bodies take {} MiB of it", free >> 20, taken >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn is_too_much(taken: u64, most: u64, free: u64) -> bool {
        fault(taken, most, Some(Disk { free, total: 100 * GIB })).is_some()
    }

    #[test]
    fn bodies_are_too_much_beyond_their_quota_or_when_they_fill_the_disk() {
        assert!(!is_too_much(8 * GIB, 8 * GIB, 50 * GIB));
        assert!(is_too_much(8 * GIB + 1, 8 * GIB, 50 * GIB));
        assert!(!is_too_much(8 * GIB, 0, 50 * GIB), "no quota");
        assert!(is_too_much(GIB, 0, GIB - 1), "the disk is nearly full");
        assert!(!is_too_much(1 << 20, 8 * GIB, 0), "others filled it");
        assert!(fault(GIB, 8 * GIB, None).is_none());
    }

    #[test]
    fn a_small_disk_is_nearly_full_with_a_twentieth_left() {
        let disk = |free| Some(Disk { free, total: GIB });
        assert!(fault(100 << 20, 0, disk(51 << 20)).is_some());
        assert!(fault(100 << 20, 0, disk(52 << 20)).is_none());
    }

    #[test]
    fn what_a_worker_holds_is_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let body = tempfile::tempfile_in(directory.path()).unwrap();
        std::io::Write::write_all(&mut &body, &vec![b'x'; 50_000]).unwrap();
        body.sync_all().unwrap();
        let me = Worker { pid: nix::unistd::Pid::this(), started: 0, retiring: false };
        let seen = look(&[me], directory.path(), Some(40_000));
        assert!(seen.taken >= 50_000 && seen.holders == [me] && seen.fault.is_some(), "{seen:?}");
        assert_eq!(look(&[me], Path::new("/nonexistent"), None), Spool::default());
    }
}
