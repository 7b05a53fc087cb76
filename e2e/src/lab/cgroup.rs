//! The control groups of a lab: one parent for each lab, below it one for each node, with the daemons in the leaf `sys` and the
//! containers below `ct`. Supports version 1, version 2 and hybrid mode. It must never touch a group outside its own parent.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::wait::eventually;

const MOUNT: &str = "/sys/fs/cgroup";
const PARENT: &str = "swarmgate-lab";

/// How much more processor time the containers of all labs get together than one session, when other work takes all of it. On a
/// node of its own, an engine competes with its own containers only; here the engines of all nodes, compilers, and tests do too,
/// each as a session, and all containers together would count as one. Not more, because engines that starve join networks late.
const SHARE: u32 = 4;

/// Gives the containers of all labs their share, from now until this lab ends.
pub(crate) fn prefer_containers(lab: &str) -> Result<()> {
    // In version 1, every group of the controller `cpu` has its file; in version 2, every group but the root.
    for root in roots().into_iter().filter(|root| is_version_2() || root.join("cpu.shares").exists()) {
        // Another lab that ends removes the parent if nothing is in it.
        let group = root.join(PARENT).join(lab);
        fs::create_dir_all(&group).with_context(|| format!("make control group {}", group.display()))?;
        for (file, one_session) in [("cpu.shares", 1024), ("cpu.weight", 100)] {
            let file = root.join(PARENT).join(file);
            if file.exists() {
                fs::write(&file, (one_session * SHARE).to_string()).with_context(|| format!("write {}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// The group below which the engine of `node` puts its containers, in the form that `--cgroup-parent` expects.
pub(crate) fn for_containers(lab: &str, node: usize) -> String {
    format!("/{PARENT}/{lab}/n{node}/ct")
}

/// Creates the groups for the daemons of `node` and returns the files through which a process joins them.
pub(crate) fn for_daemons(lab: &str, node: usize) -> Result<Vec<PathBuf>> {
    let mut doors = Vec::new();
    for root in roots_that_count_memory() {
        let group = root.join(PARENT).join(lab).join(format!("n{node}")).join("sys");
        fs::create_dir_all(&group).with_context(|| format!("make control group {}", group.display()))?;
        delegate(&root, &group);
        doors.push(group.join("cgroup.procs"));
    }
    Ok(doors)
}

/// Version 2 accounts memory in a group only if every group above enables it. Version 1 has no such file.
fn delegate(root: &Path, group: &Path) {
    let above = group.ancestors().skip(1).take_while(|path| path.starts_with(root));
    let mut above: Vec<_> = above.collect();
    above.reverse();
    for path in above {
        let switch = path.join("cgroup.subtree_control");
        if switch.exists() {
            // A controller that this machine lacks costs only a figure in `status`.
            let _ = fs::write(&switch, "+memory +pids");
        }
    }
}

/// Removes the groups of one node, or of the whole lab. Their processes must have ended.
pub(crate) fn remove(lab: &str, node: Option<usize>) -> Result<()> {
    let mut below = PathBuf::from(PARENT).join(lab);
    if let Some(node) = node {
        below.push(format!("n{node}"));
    }
    for root in roots() {
        let group = root.join(&below);
        eventually(Duration::from_secs(5), "the control groups are gone", || remove_tree(&group))?;
        // The parent of all labs is removed with the last lab.
        let _ = fs::remove_dir(root.join(PARENT));
    }
    Ok(())
}

fn remove_tree(group: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(group) else { return Ok(()) };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("remove control group {}", group.display()))
}

/// Bytes of memory that a node uses, without the page cache where the kernel reports it separately.
pub(crate) fn memory_of(lab: &str, node: usize) -> Option<u64> {
    roots_that_count_memory().into_iter().find_map(|root| {
        let group = root.join(PARENT).join(lab).join(format!("n{node}"));
        let figures = fs::read_to_string(group.join("memory.stat")).ok()?;
        let figure = |name: &str| figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        figure("total_rss").or_else(|| figure("anon"))
    })
}

fn roots_that_count_memory() -> Vec<PathBuf> {
    let wanted = |root: &PathBuf| is_version_2() || root.ends_with("memory") || root.ends_with("pids");
    roots().into_iter().filter(wanted).collect()
}

fn roots() -> Vec<PathBuf> {
    if is_version_2() {
        return vec![PathBuf::from(MOUNT)];
    }
    let entries = fs::read_dir(MOUNT).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn is_version_2() -> bool {
    Path::new(MOUNT).join("cgroup.controllers").exists()
}
