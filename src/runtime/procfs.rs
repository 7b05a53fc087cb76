//! Processes in `/proc`: children and their age, title, memory and open files. Knows no engine, and only reads.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Pid;

/// On all platforms of the images.
const PAGE: u64 = 4096;

/// A child process.
pub(super) struct Child {
    pub(super) pid: Pid,
    /// When it was started, in ticks of the kernel.
    pub(super) started: u64,
    /// It has exited and waits to be collected.
    exited: bool,
}

/// The children of a process that are alive.
pub(super) fn living_children_of(parent: Pid) -> impl Iterator<Item = Child> {
    children_of(parent).into_iter().filter(|child| !child.exited)
}

/// This child of a process, if it is alive.
pub(super) fn living_child(pid: Pid, parent: Pid) -> Option<Child> {
    child(pid.as_raw(), parent).filter(|child| !child.exited)
}

/// The title of a process: its command line, or the text with which it replaced that.
pub(super) fn title_of(pid: Pid) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// The memory in bytes that becomes free when a process ends: its own, and its part of shared memory.
pub(super) fn memory_of(pid: Pid) -> u64 {
    let share = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| parse_share(&text));
    share.or_else(|| own_pages(pid)).unwrap_or_default()
}

/// The disk space in bytes of a process's open files below a directory, deleted ones included.
pub(super) fn open_file_space(pid: Pid, directory: &Path) -> u64 {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = files.filter(|file| fs::read_link(file).is_ok_and(|target| target.starts_with(directory)));
    below.filter_map(|file| fs::metadata(file).ok()).map(|about| about.blocks() * 512).sum()
}

/// `Pss:  123 kB` in a summary of mappings.
fn parse_share(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

/// Without `smaps_rollup`: the pages that are not shared.
fn own_pages(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()?, fields.next()?);
    Some(resident.saturating_sub(shared) * PAGE)
}

/// Children of a process that have exited and were not collected.
pub fn zombies_of(parent: Pid) -> Vec<Pid> {
    children_of(parent).into_iter().filter(|child| child.exited).map(|child| child.pid).collect()
}

fn children_of(parent: Pid) -> Vec<Child> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| child(pid, parent)).collect()
}

fn child(pid: i32, parent: Pid) -> Option<Child> {
    let (state, its_parent, started) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    (its_parent == parent.as_raw()).then(|| Child { pid: Pid::from_raw(pid), started, exited: matches!(state, 'Z' | 'X') })
}

/// State, parent and start time in `PID (NAME) STATE PPID ...`. The name may have spaces and parentheses in it.
fn parse_stat(stat: &str) -> Option<(char, i32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    // The start time is field 22 of the line, the state field 3.
    Some((state, fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_have_parentheses() {
        let line = "7 (a) R 9 (b)) S 3 7 7 0 -1 4194560 84 0 0 0 0 0 0 0 20 0 1 0 1234567 1000 20";
        assert_eq!(parse_stat(line), Some(('S', 3, 1_234_567)));
        assert_eq!(parse_stat("7 nginx"), None);
        assert_eq!(parse_stat("7 (a) S 3"), None);
    }

    #[test]
    fn memory_and_open_files_of_a_process_are_measured() {
        assert_eq!(parse_share("55d0-7ffe [rollup]\nRss:  900 kB\nPss:            12 kB\nPss_Anon: 3 kB\n"), Some(12 << 10));
        assert!(memory_of(Pid::this()) > 1 << 20 && own_pages(Pid::this()).is_some_and(|bytes| bytes > 0));
        let directory = tempfile::tempdir().unwrap();
        let nameless = tempfile::tempfile_in(directory.path()).unwrap();
        std::io::Write::write_all(&mut &nameless, &vec![b'x'; 100_000]).unwrap();
        nameless.sync_all().unwrap();
        assert!(open_file_space(Pid::this(), &directory.path().canonicalize().unwrap()) >= 100_000);
        assert_eq!(open_file_space(Pid::this(), Path::new("/nonexistent")), 0);
    }

    #[test]
    fn an_exited_child_is_a_zombie_until_it_is_collected() {
        let me = Pid::this();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        while !zombies_of(me).contains(&pid) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!zombies_of(me).contains(&pid));
    }
}
