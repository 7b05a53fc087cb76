//! A running nginx: a child process, changed and ended by signals, and watched. A reload is complete only when the workers show it:
//! new ones run, and none of the old ones accepts connections.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;
use tokio::time::Instant;

use super::time_limit::time_limit;
use super::{NginxEngine, workers};
use crate::protocol::container_contract::ENGINE_BODY_DIR;
use crate::runtime::message_redaction::{last_bytes, without_paths};
use crate::runtime::procfs::{memory_of, open_file_space};
use crate::runtime::{ApplyMode, ChangeError, ChangeScope, ConfigChange, EngineError, EngineProcess, Worker, WorkerStop};

/// A small configuration loads at once; a large one has more time.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Workers are not this process's children and cannot be waited for, so they are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How many of the last lines are kept for the message about an unexpected exit.
const LINES_KEPT: usize = 20;

/// The master process.
pub(super) struct Master {
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
    log: Arc<Mutex<Log>>,
    /// The options with which it was started.
    directory: PathBuf,
    bodies: PathBuf,
    hidden: Vec<PathBuf>,
}

/// The last lines of standard error.
#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<String>,
    /// All lines so far, including those that are not kept.
    count: usize,
}

impl Master {
    /// Starts nginx. It serves once [`EngineProcess::ready`] returns; it can be signalled at once.
    pub(super) fn start(nginx: &NginxEngine, directory: &Path, hidden: Vec<PathBuf>) -> Result<Self, EngineError> {
        let mut command = nginx.command(directory);
        // A group of its own: Ctrl-C in a terminal reaches the agent only, which then drains; and workers can be signalled
        // when their master is gone.
        command.args(["-g", "daemon off;"]).stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| nginx.start_error(source))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map_or_else(|| Pid::from_raw(0), Pid::from_raw);
        let log = Arc::new(Mutex::new(Log::default()));
        let reader = child.stderr.take().map(|stderr| tokio::spawn(pass_on(stderr, Arc::clone(&log))));
        let (exit_sender, exit) = watch::channel(None);
        tokio::spawn(wait_for_exit(child, reader, exit_sender));
        Ok(Self { pid, exit, log, directory: directory.to_owned(), bodies: nginx.prefix.join(ENGINE_BODY_DIR), hidden })
    }

    /// Makes nginx load its configuration again, and waits until only the new workers accept connections.
    async fn reload(&self) -> Result<(), ChangeError> {
        let before: Vec<Pid> = self.workers().into_iter().map(|worker| worker.pid).collect();
        let lines_before = self.log().count;
        self.signal(Signal::SIGHUP);
        let limit = time_limit(CHANGE_TIMEOUT, &self.directory);
        let deadline = Instant::now() + limit;
        loop {
            if in_force(&before, &self.workers()) {
                return Ok(());
            }
            if let Some(message) = self.complaint_since(lines_before) {
                return Err(ChangeError::Refused(message));
            }
            if self.exit.borrow().is_some() {
                return Err(ChangeError::Exited);
            }
            if Instant::now() > deadline {
                return Err(ChangeError::Timeout(limit));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Signals the master unless it has exited: another process may have its id by then.
    fn signal(&self, signal: Signal) {
        if self.exit.borrow().is_none()
            && let Err(error) = kill(self.pid, signal)
        {
            tracing::warn!(%error, %signal, "cannot signal nginx");
        }
    }

    /// A line with level emerg that the master itself (not a worker) has written since: it continues with the old configuration.
    fn complaint_since(&self, count: usize) -> Option<String> {
        let log = self.log();
        let new = log.count.saturating_sub(count).min(log.lines.len());
        let by_master = format!("{}#", self.pid);
        let mut lines = log.lines.iter().skip(log.lines.len() - new);
        lines.find(|line| line.contains("[emerg]") && line.contains(&by_master)).map(|line| self.presentable(line))
    }

    fn last_lines(&self) -> String {
        let lines: Vec<String> = self.log().lines.iter().cloned().collect();
        self.presentable(&lines.join("\n"))
    }

    fn presentable(&self, message: &str) -> String {
        let hidden: Vec<&Path> = self.hidden.iter().map(PathBuf::as_path).collect();
        last_bytes(&without_paths(message, &hidden))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EngineProcess for Master {
    async fn ready(&self) -> Result<(), EngineError> {
        let limit = time_limit(CHANGE_TIMEOUT, &self.directory);
        let deadline = Instant::now() + limit;
        loop {
            if !self.workers().is_empty() {
                return Ok(());
            }
            let status = *self.exit.borrow();
            if let Some(status) = status {
                return Err(EngineError::Exited { status, message: self.clean_up() });
            }
            if Instant::now() > deadline {
                return Err(EngineError::Timeout(limit));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// nginx changes nothing while it runs.
    fn needs_reload(&self, _: ChangeScope) -> bool {
        true
    }

    async fn apply(&self, _: ConfigChange<'_>) -> Result<ApplyMode, ChangeError> {
        self.reload().await.map(|()| ApplyMode::Reloaded)
    }

    fn drain(&self) {
        self.signal(Signal::SIGQUIT);
    }

    fn stop(&self) {
        self.signal(Signal::SIGTERM);
    }

    async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            // The sender sends before it is dropped, so this is never reached.
            _ => ExitStatus::default(),
        }
    }

    /// Workers that outlive their master would keep the ports.
    fn clean_up(&self) -> String {
        // The group has the master's id as long as it has members. Without members there is nothing to do.
        let _ = killpg(self.pid, Signal::SIGTERM);
        self.last_lines()
    }

    fn workers(&self) -> Vec<Worker> {
        workers::list_workers(self.pid)
    }

    fn memory_of(&self, worker: Worker) -> u64 {
        memory_of(worker.pid)
    }

    fn request_bodies_of(&self, worker: Worker) -> u64 {
        // Open files are known by their real paths, and this directory is usually a link.
        self.bodies.canonicalize().map_or(0, |directory| open_file_space(worker.pid, &directory))
    }

    fn retire(&self, worker: Worker, how: WorkerStop) -> bool {
        workers::retire(self.pid, worker, how)
    }
}

/// Whether new workers run, and every earlier one has exited or accepts no more connections.
fn in_force(before: &[Pid], now: &[Worker]) -> bool {
    let is_new = |worker: &Worker| !before.contains(&worker.pid);
    let has_new = now.iter().any(|worker| is_new(worker) && !worker.retiring);
    has_new && now.iter().all(|worker| is_new(worker) || worker.retiring)
}

/// Copies standard error to this process's, and keeps the last lines. Ends with nginx.
async fn pass_on(stderr: ChildStderr, log: Arc<Mutex<Log>>) {
    let mut lines = BufReader::new(stderr).lines();
    let mut ours = tokio::io::stderr();
    while let Ok(Some(line)) = lines.next_line().await {
        // If this process's standard error is closed, there is nowhere to report that.
        let _ = ours.write_all(format!("{line}\n").as_bytes()).await;
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.count += 1;
        log.lines.push_back(line);
        if log.lines.len() > LINES_KEPT {
            log.lines.pop_front();
        }
    }
    let _ = ours.flush().await;
}

/// Collects the master when it exits, and reports the exit after its last lines have been read.
async fn wait_for_exit(mut child: Child, reader: Option<tokio::task::JoinHandle<()>>, exit: watch::Sender<Option<ExitStatus>>) {
    let status = child.wait().await.unwrap_or_default();
    if let Some(reader) = reader {
        // Workers that outlive the master keep the pipe open: this reads what is in it now, not what may still come.
        let _ = tokio::time::timeout(Duration::from_millis(200), reader).await;
    }
    exit.send_replace(Some(status));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(pid: i32, retiring: bool) -> Worker {
        Worker { pid: Pid::from_raw(pid), started: 0, retiring }
    }

    #[test]
    fn a_reload_is_complete_once_no_old_worker_accepts_connections() {
        let before = [Pid::from_raw(1), Pid::from_raw(2)];
        assert!(!in_force(&before, &[worker(1, false), worker(2, false)]), "no new worker yet");
        assert!(!in_force(&before, &[worker(1, false), worker(2, false), worker(3, false)]), "the old workers still accept connections");
        assert!(!in_force(&before, &[worker(1, true), worker(2, false), worker(3, false)]), "one old worker still accepts connections");
        assert!(in_force(&before, &[worker(1, true), worker(2, true), worker(3, false)]));
        assert!(in_force(&before, &[worker(3, false)]), "the old workers have exited");
        assert!(!in_force(&before, &[]), "no worker");
    }
}
