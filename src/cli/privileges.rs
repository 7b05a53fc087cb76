//! Drops root before any thread, file or connection exists. The operator's container starts as root for one reason only: to
//! find out which group may use the Docker socket, which differs from host to host. It must not continue with more privileges
//! than it is to keep: if any cannot be dropped, the program ends.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{AccessFlags, Gid, Uid, eaccess, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid, setuid};

/// Reading and writing, which connecting requires.
const READ_AND_WRITE: u32 = 0o6;

/// The identity to switch to: `65532` or `65532:65532`. `0` stays root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessIdentity {
    uid: u32,
    gid: u32,
}

impl FromStr for ProcessIdentity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, text));
        // To the kernel the highest number means "leave unchanged".
        let number = |part: &str| part.parse().ok().filter(|number| *number < u32::MAX);
        match (number(user), number(group)) {
            (Some(uid), Some(gid)) => Ok(Self { uid, gid }),
            _ => Err("use numbers, as USER or USER:GROUP, such as 65532:65532".to_owned()),
        }
    }
}

/// Why privileges cannot be dropped.
#[derive(Debug, thiserror::Error)]
pub enum RetainedPrivileges {
    /// The kernel refused a step.
    #[error(
        "cannot {step}: {source}; the container needs the capabilities SETUID and SETGID to drop root (SWARMGATE_RUN_AS=0:0 keeps root)"
    )]
    Refused {
        /// The step.
        step: &'static str,
        /// The kernel's error.
        source: Errno,
    },
    /// A file in `/proc` cannot be read.
    #[error("cannot read {path} to check the remaining privileges: {source}")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// All privileges were dropped, yet some are still there.
    #[error("root was dropped, but the process still has {0}; stopping")]
    Left(&'static str),
    /// Other threads would keep the privileges that this one drops.
    #[error("cannot drop root: {0} threads are running, and only a process with one thread can drop it")]
    Threads(usize),
    /// This process cannot use the socket, and may not switch to a user who can.
    #[error(
        "user {user} may not use {} (owner {owner}, group {group}, mode {mode:o}); start the operator as root, which it then drops, or \
         with the socket's group (SWARMGATE_USER={user}:{group})",
        path.display()
    )]
    SocketRefused {
        /// The socket.
        path: PathBuf,
        /// The user of this process.
        user: Uid,
        /// Its owner.
        owner: u32,
        /// Its group.
        group: u32,
        /// Its mode.
        mode: u32,
    },
    /// Only root can use the socket.
    #[error(
        "only the owner may use {} (owner {owner}, group {group}, mode {mode:o}); let its group use it (chmod g+rw, or dockerd --group), \
         or set SWARMGATE_RUN_AS=0:0 to stay root",
        path.display()
    )]
    SocketClosed {
        /// The socket.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its group.
        group: u32,
        /// Its mode.
        mode: u32,
    },
}

/// Switches to another user if this process is root, with the group of the Docker API's socket as a supplementary group. In
/// any case nothing that it starts can gain privileges.
pub fn switch_user(wanted: ProcessIdentity, docker_url: Option<&str>) -> Result<(), RetainedPrivileges> {
    let socket = docker_url.and_then(socket_of);
    if Uid::effective().is_root() && wanted.uid != 0 {
        let groups = match &socket {
            Some((path, about)) => group_of_socket(wanted, path, about)?,
            None => Vec::new(),
        };
        give_up(wanted, &groups)?;
    } else if let Some((path, about)) = &socket {
        may_use(path, about)?;
    }
    set_no_new_privileges()
}

/// An operator that waited for permission would wait forever, and Swarm would consider its update successful.
fn may_use(path: &Path, about: &Metadata) -> Result<(), RetainedPrivileges> {
    match eaccess(path, AccessFlags::R_OK | AccessFlags::W_OK) {
        Err(Errno::EACCES) => Err(RetainedPrivileges::SocketRefused {
            path: path.to_owned(),
            user: Uid::effective(),
            owner: about.uid(),
            group: about.gid(),
            mode: about.mode() & 0o7777,
        }),
        _ => Ok(()),
    }
}

/// Nothing that this process starts gains privileges, whatever file it executes.
pub fn set_no_new_privileges() -> Result<(), RetainedPrivileges> {
    prctl::set_no_new_privs().map_err(|source| RetainedPrivileges::Refused { step: "set no_new_privs", source })
}

/// The socket of an API that has one. If it does not exist yet, no group is needed yet.
fn socket_of(docker_url: &str) -> Option<(&Path, Metadata)> {
    let path = Path::new(docker_url.strip_prefix("unix://")?);
    fs::metadata(path).ok().map(|about| (path, about))
}

/// The groups that may use the socket; empty if every user or ours may use it.
fn group_of_socket(wanted: ProcessIdentity, path: &Path, about: &Metadata) -> Result<Vec<Gid>, RetainedPrivileges> {
    let (owner, group, mode) = (about.uid(), about.gid(), about.mode() & 0o7777);
    let may = |shift: u32| (mode >> shift) & READ_AND_WRITE == READ_AND_WRITE;
    if owner == wanted.uid && may(6) || may(0) {
        Ok(Vec::new())
    } else if may(3) {
        Ok(vec![Gid::from_raw(group)])
    } else {
        Err(RetainedPrivileges::SocketClosed { path: path.to_owned(), owner, group, mode })
    }
}

fn give_up(wanted: ProcessIdentity, groups: &[Gid]) -> Result<(), RetainedPrivileges> {
    let threads =
        fs::read_dir("/proc/self/task").map_err(|source| RetainedPrivileges::Unreadable { path: "/proc/self/task", source })?.count();
    if threads != 1 {
        return Err(RetainedPrivileges::Threads(threads));
    }
    let refused = |step| move |source| RetainedPrivileges::Refused { step, source };
    let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
    // Groups first: afterwards the right to change them is gone.
    setgroups(groups).map_err(refused("set the supplementary groups"))?;
    setresgid(gid, gid, gid).map_err(refused("change the group"))?;
    setresuid(uid, uid, uid).map_err(refused("change the user"))?;
    nothing_is_left(uid, gid, groups)
}

/// Verifies the result instead of trusting it.
fn nothing_is_left(uid: Uid, gid: Gid, groups: &[Gid]) -> Result<(), RetainedPrivileges> {
    let refused = |source| RetainedPrivileges::Refused { step: "get the identity of this process", source };
    let (users, own) = (getresuid().map_err(refused)?, getresgid().map_err(refused)?);
    let status =
        fs::read_to_string("/proc/self/status").map_err(|source| RetainedPrivileges::Unreadable { path: "/proc/self/status", source })?;
    let capabilities = |set: &str| status.lines().find_map(|line| line.strip_prefix(set)).map_or("unknown", str::trim);
    if [users.real, users.effective, users.saved] != [uid; 3] {
        Err(RetainedPrivileges::Left("another user id"))
    } else if [own.real, own.effective, own.saved] != [gid; 3] {
        Err(RetainedPrivileges::Left("another group id"))
    } else if getgroups().map_err(refused)? != groups {
        Err(RetainedPrivileges::Left("other supplementary groups"))
    } else if ["CapPrm:", "CapEff:", "CapAmb:"].iter().any(|set| !capabilities(set).trim_matches('0').is_empty()) {
        Err(RetainedPrivileges::Left("capabilities"))
    } else if setuid(Uid::from_raw(0)).is_ok() {
        Err(RetainedPrivileges::Left("the ability to become root again"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_one_number_or_two() {
        for (text, expected) in [
            ("65532", Some((65532, 65532))),
            ("65532:999", Some((65532, 999))),
            ("0:0", Some((0, 0))),
            ("root", None),
            ("", None),
            ("1:", None),
            ("-1", None),
            ("4294967295", None),
            ("1:2:3", None),
        ] {
            assert_eq!(text.parse::<ProcessIdentity>().ok().map(|who| (who.uid, who.gid)), expected, "{text:?}");
        }
    }

    #[test]
    fn the_group_of_the_socket_is_added_only_if_it_grants_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        fs::write(&path, "").unwrap();
        let (owner, group) = fs::metadata(&path).map(|about| (about.uid(), about.gid())).unwrap();
        let other_user = ProcessIdentity { uid: owner + 1, gid: group + 1 };
        let groups = |mode: u32, who: ProcessIdentity| {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            let url = format!("unix://{}", path.display());
            let (path, about) = socket_of(&url).unwrap();
            group_of_socket(who, path, &about).map_err(|kept| kept.to_string())
        };
        assert_eq!(groups(0o660, other_user), Ok(vec![Gid::from_raw(group)]));
        assert_eq!(groups(0o666, other_user), Ok(vec![]));
        assert_eq!(groups(0o600, ProcessIdentity { uid: owner, gid: 1 }), Ok(vec![]));
        assert!(groups(0o600, other_user).unwrap_err().contains("SWARMGATE_RUN_AS=0:0"));
        assert!(groups(0o640, other_user).is_err(), "connecting needs read and write access");
        assert!(socket_of("tcp://manager:2375").is_none());
        assert!(socket_of("unix:///there/is/none").is_none());
    }
}
