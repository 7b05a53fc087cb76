//! Looks at processes through `/proc`: the engine's workers, and children that ended and wait to be collected. Reads only.

use std::fs;

use nix::unistd::Pid;

/// A worker process of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Worker {
    pub(super) pid: Pid,
    /// It takes no new connections: it was told to finish its requests.
    pub(super) retiring: bool,
}

/// The living workers of an engine, by its master's process id.
pub(super) fn workers_of(master: Pid) -> Vec<Worker> {
    let living = children_of(master).into_iter().filter(|child| !child.ended);
    living.map(|child| Worker { pid: child.pid, retiring: title(child.pid).contains("shutting down") }).collect()
}

/// Children of a process that ended and were not collected.
pub(super) fn zombies_of(parent: Pid) -> Vec<Pid> {
    children_of(parent).into_iter().filter(|child| child.ended).map(|child| child.pid).collect()
}

struct Child {
    pid: Pid,
    ended: bool,
}

fn children_of(parent: Pid) -> Vec<Child> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| child(pid, parent)).collect()
}

fn child(pid: i32, parent: Pid) -> Option<Child> {
    let (state, its_parent) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    (its_parent == parent.as_raw()).then(|| Child { pid: Pid::from_raw(pid), ended: matches!(state, 'Z' | 'X') })
}

/// State and parent of `PID (NAME) STATE PPID ...`; the name may hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(char, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
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
        assert_eq!(parse_stat("7 (a) R 9 (b)) S 3 7 7 0"), Some(('S', 3)));
        assert_eq!(parse_stat("7 nginx"), None);
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
