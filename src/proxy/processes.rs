//! Looks at processes through `/proc`: the engine's workers, and children that ended and wait to be collected. Reads only.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Pid;

/// Of all platforms of our images.
const PAGE: u64 = 4096;

/// A worker process of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Worker {
    pub(super) pid: Pid,
    /// When it was started, in the kernel's ticks: a process id and this are one process for ever.
    pub(super) started: u64,
    /// It takes no new connections: it was told to finish its requests.
    pub(super) retiring: bool,
}

/// The living workers of an engine, by its master's process id.
pub(super) fn workers_of(master: Pid) -> Vec<Worker> {
    let living = children_of(master).into_iter().filter(|child| !child.ended);
    living.map(|Child { pid, started, .. }| Worker { pid, started, retiring: title(pid).contains("shutting down") }).collect()
}

/// Whether this is still the same process, a child of the same master, and takes no new connections. Asked right before it is
/// signalled, because its id may be another's by then.
pub(super) fn still_retires(master: Pid, worker: Worker) -> bool {
    let same = child(worker.pid.as_raw(), master).is_some_and(|child| !child.ended && child.started == worker.started);
    same && title(worker.pid).contains("shutting down")
}

/// The memory that ending a process would free, in bytes: its own, and its share of what it has with others.
pub(super) fn memory_of(pid: Pid) -> u64 {
    let share = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| parse_share(&text));
    share.or_else(|| own_pages(pid)).unwrap_or_default()
}

/// What the open files of a process below a directory take on the disk, in bytes, whether they still have a name or not.
pub(super) fn space_below(pid: Pid, directory: &Path) -> u64 {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = files.filter(|file| fs::read_link(file).is_ok_and(|target| target.starts_with(directory)));
    below.filter_map(|file| fs::metadata(file).ok()).map(|about| about.blocks() * 512).sum()
}

/// `Pss:  123 kB` of a summary of mappings.
fn parse_share(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix("kB")?;
    Some(kib.trim().parse::<u64>().ok()? << 10)
}

/// Where the kernel tells no shares: pages that are nobody else's.
fn own_pages(pid: Pid) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()?, fields.next()?);
    Some(resident.saturating_sub(shared) * PAGE)
}

/// Children of a process that ended and were not collected.
pub(super) fn zombies_of(parent: Pid) -> Vec<Pid> {
    children_of(parent).into_iter().filter(|child| child.ended).map(|child| child.pid).collect()
}

struct Child {
    pid: Pid,
    started: u64,
    ended: bool,
}

fn children_of(parent: Pid) -> Vec<Child> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| child(pid, parent)).collect()
}

fn child(pid: i32, parent: Pid) -> Option<Child> {
    let (state, its_parent, started) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    (its_parent == parent.as_raw()).then(|| Child { pid: Pid::from_raw(pid), started, ended: matches!(state, 'Z' | 'X') })
}

/// State, parent and start of `PID (NAME) STATE PPID ...`; the name may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(char, i32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    // The start is field 22 of the line, and the state field 3.
    Some((state, fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

fn title(pid: Pid) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let line = "7 (a) R 9 (b)) S 3 7 7 0 -1 4194560 84 0 0 0 0 0 0 0 20 0 1 0 1234567 1000 20";
        assert_eq!(parse_stat(line), Some(('S', 3, 1_234_567)));
        assert_eq!(parse_stat("7 nginx"), None);
        assert_eq!(parse_stat("7 (a) S 3"), None);
    }

    #[test]
    fn memory_and_open_files_of_a_process_are_seen() {
        assert_eq!(parse_share("55d0-7ffe [rollup]\nRss:  900 kB\nPss:            12 kB\nPss_Anon: 3 kB\n"), Some(12 << 10));
        assert!(memory_of(Pid::this()) > 1 << 20 && own_pages(Pid::this()).is_some_and(|bytes| bytes > 0));
        let directory = tempfile::tempdir().unwrap();
        let nameless = tempfile::tempfile_in(directory.path()).unwrap();
        std::io::Write::write_all(&mut &nameless, &vec![b'x'; 100_000]).unwrap();
        nameless.sync_all().unwrap();
        assert!(space_below(Pid::this(), &directory.path().canonicalize().unwrap()) >= 100_000);
        assert_eq!(space_below(Pid::this(), Path::new("/nonexistent")), 0);
    }

    #[test]
    fn a_child_that_ended_is_seen_until_it_is_collected() {
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
