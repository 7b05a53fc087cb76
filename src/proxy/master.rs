//! The running engine: started as a child, reloaded and told to end by signals, and watched. A reload counts only when the
//! workers say so: new ones run and every old one has stopped taking connections.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ProxyError;
use super::processes::{Worker, workers_of};
use crate::engine::{Engine, EngineError, last_words, patience, scrubbed};

/// A small configuration loads at once; a large one has more time.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Processes cannot be waited for when they are another one's children, so they are looked at this often.
const LOOK: Duration = Duration::from_millis(10);
/// How many of the engine's last lines are kept for an obituary.
const LINES_KEPT: usize = 20;

/// A running engine's master process.
pub(super) struct Master {
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
    said: Arc<Mutex<Said>>,
    main_file: PathBuf,
    hidden: Vec<PathBuf>,
}

/// What the engine said on standard error.
#[derive(Debug, Default)]
struct Said {
    lines: VecDeque<String>,
    /// All lines so far, those forgotten included.
    count: usize,
}

/// Why a configuration that was tested is not in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("{0}")]
    Refused(String),
    #[error("the engine's workers did not change within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the engine has ended")]
    Ended,
}

impl Master {
    /// Starts the engine. It serves once [`Self::serving`] says so; it can be signalled at once.
    pub(super) fn start(engine: &Engine, main_file: &Path, hidden: Vec<PathBuf>) -> Result<Self, ProxyError> {
        let mut command = engine.command(main_file);
        // A group of its own: Ctrl-C in a terminal reaches the agent only, which then drains; and workers can be named
        // when their master is gone.
        command.args(["-g", "daemon off;"]).stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| engine.start_error(source))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map_or_else(|| Pid::from_raw(0), Pid::from_raw);
        let said = Arc::new(Mutex::new(Said::default()));
        let listener = child.stderr.take().map(|stderr| tokio::spawn(pass_on(stderr, Arc::clone(&said))));
        let (exit_sender, exit) = watch::channel(None);
        tokio::spawn(wait_for_end(child, listener, exit_sender));
        Ok(Self { pid, exit, said, main_file: main_file.to_owned(), hidden })
    }

    /// Has the engine load its main file again, and waits until the new workers alone take connections.
    pub(super) async fn reload(&self) -> Result<(), ReloadError> {
        let before: Vec<Pid> = workers_of(self.pid).into_iter().map(|worker| worker.pid).collect();
        let said_before = self.said().count;
        self.signal(Signal::SIGHUP);
        let limit = patience(CHANGE_TIMEOUT, &self.main_file);
        let deadline = Instant::now() + limit;
        loop {
            let now = workers_of(self.pid);
            if in_force(&before, &now) {
                return Ok(());
            }
            if let Some(words) = self.complaint_since(said_before) {
                return Err(ReloadError::Refused(words));
            }
            if self.exit.borrow().is_some() {
                return Err(ReloadError::Ended);
            }
            if Instant::now() > deadline {
                return Err(ReloadError::Timeout(limit));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Tells the master something, unless it has ended (its id may be another's by then).
    pub(super) fn signal(&self, signal: Signal) {
        if self.exit.borrow().is_none()
            && let Err(error) = kill(self.pid, signal)
        {
            tracing::warn!(%error, %signal, "the engine could not be signalled");
        }
    }

    /// Waits for the engine's end.
    pub(super) async fn ended(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            // The sender sends before it goes, so this is never reached.
            _ => ExitStatus::default(),
        }
    }

    /// An end that nobody asked for. Workers that outlived their master would keep the ports: they are told to end too.
    pub(super) fn unexpected_end(&self, status: ExitStatus) -> ProxyError {
        // The group has the master's id for as long as it has members. No members, no such group: nothing to do.
        let _ = killpg(self.pid, Signal::SIGTERM);
        ProxyError::EngineEnded { status, words: self.last_words() }
    }

    /// The master's process id.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// How many workers finish requests of earlier configurations.
    pub(super) fn retiring_workers(&self) -> usize {
        workers_of(self.pid).iter().filter(|worker| worker.retiring).count()
    }

    /// Waits until the engine has workers.
    pub(super) async fn serving(&self) -> Result<(), ProxyError> {
        let limit = patience(CHANGE_TIMEOUT, &self.main_file);
        let deadline = Instant::now() + limit;
        loop {
            if !workers_of(self.pid).is_empty() {
                return Ok(());
            }
            let status = *self.exit.borrow();
            if let Some(status) = status {
                return Err(self.unexpected_end(status));
            }
            if Instant::now() > deadline {
                return Err(ProxyError::Engine(EngineError::Timeout(limit)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the master itself (not a worker) said with level emerg since then: it goes on with the old configuration.
    fn complaint_since(&self, count: usize) -> Option<String> {
        let said = self.said();
        let new = said.count.saturating_sub(count).min(said.lines.len());
        let by_master = format!("{}#", self.pid);
        let mut lines = said.lines.iter().skip(said.lines.len() - new);
        lines.find(|line| line.contains("[emerg]") && line.contains(&by_master)).map(|line| self.presentable(line))
    }

    fn last_words(&self) -> String {
        let lines: Vec<String> = self.said().lines.iter().cloned().collect();
        self.presentable(&lines.join("\n"))
    }

    fn presentable(&self, words: &str) -> String {
        let hidden: Vec<&Path> = self.hidden.iter().map(PathBuf::as_path).collect();
        last_words(&scrubbed(words, &hidden))
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// New workers run, and every one from before has gone or takes no more connections.
fn in_force(before: &[Pid], now: &[Worker]) -> bool {
    let is_new = |worker: &Worker| !before.contains(&worker.pid);
    let has_new = now.iter().any(|worker| is_new(worker) && !worker.retiring);
    has_new && now.iter().all(|worker| is_new(worker) || worker.retiring)
}

/// Passes the engine's standard error on to ours, and keeps its last lines. Ends with the engine.
async fn pass_on(stderr: ChildStderr, said: Arc<Mutex<Said>>) {
    let mut lines = BufReader::new(stderr).lines();
    let mut ours = tokio::io::stderr();
    while let Ok(Some(line)) = lines.next_line().await {
        // Nowhere to complain to if our own standard error is gone.
        let _ = ours.write_all(format!("{line}\n").as_bytes()).await;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.count += 1;
        said.lines.push_back(line);
        if said.lines.len() > LINES_KEPT {
            said.lines.pop_front();
        }
    }
    let _ = ours.flush().await;
}

/// Collects the master when it ends, and tells so after its last words have been read.
async fn wait_for_end(mut child: Child, listener: Option<tokio::task::JoinHandle<()>>, exit: watch::Sender<Option<ExitStatus>>) {
    let status = child.wait().await.unwrap_or_default();
    if let Some(listener) = listener {
        // Workers that outlived the master hold the pipe open: what is in it now is read, not what may still come.
        let _ = tokio::time::timeout(Duration::from_millis(200), listener).await;
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
    fn a_reload_is_in_force_only_when_no_old_worker_takes_connections() {
        let before = [Pid::from_raw(1), Pid::from_raw(2)];
        assert!(!in_force(&before, &[worker(1, false), worker(2, false)]), "nothing happened yet");
        assert!(!in_force(&before, &[worker(1, false), worker(2, false), worker(3, false)]), "old ones still accept");
        assert!(!in_force(&before, &[worker(1, true), worker(2, false), worker(3, false)]), "one old one still accepts");
        assert!(in_force(&before, &[worker(1, true), worker(2, true), worker(3, false)]));
        assert!(in_force(&before, &[worker(3, false)]), "old ones had nothing to finish");
        assert!(!in_force(&before, &[]), "nobody serves");
    }
}
