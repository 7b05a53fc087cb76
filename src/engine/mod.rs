//! The proxy engine's program as extension and proxy both use it: which version it is, whether it accepts a
//! configuration, and how it is started. A leaf: imports no other room, knows no routes, and never signals a process.

mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use words::without_secrets;
pub use words::{last_words, scrubbed};

/// How long a small configuration may take; one that takes longer hangs, or the machine has no time for it.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// For each MiB of configuration. nginx looks for each pool among all others: 16,000 hosts (4 MiB) take 7 to 17 s of
/// processor time, and a machine with many extensions gives each a small part of it.
const TIMEOUT_PER_MIB: Duration = Duration::from_secs(60);

/// The engine's program and the directory below which it writes (pid, temporary files).
#[derive(Debug, Clone)]
pub struct Engine {
    program: PathBuf,
    prefix: PathBuf,
}

/// Why a configuration is not known to be good.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine read it and said no; these are its words, without paths of this machine, at most 4 KiB.
    #[error("the engine refused the configuration: {0}")]
    Refused(String),
    /// The engine could not be started at all.
    #[error("starting the engine {program}: {source}")]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It was not asked, because nobody could read the configuration afterwards; these words say how large it is.
    #[error("the configuration is too large to be handed out: {0}")]
    Oversized(String),
    /// It did not finish in time.
    #[error("the engine did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// A file or directory could not be written.
    #[error("writing the engine's files to {path}: {source}")]
    Write {
        /// Where.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl Engine {
    /// An engine that writes below `prefix`. The program is looked up in `PATH` unless it is a path.
    pub fn new(program: impl Into<PathBuf>, prefix: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), prefix: prefix.into() }
    }

    /// Asks the engine whether it accepts the configuration whose main file this is. Nothing is served or changed by it.
    pub async fn test(&self, main_file: &Path) -> Result<(), EngineError> {
        let mut command = self.command(main_file);
        command.arg("-t").stdin(Stdio::null()).kill_on_drop(true);
        let limit = patience(TEST_TIMEOUT, main_file);
        let output = tokio::time::timeout(limit, command.output()).await;
        let output = output.map_err(|_| EngineError::Timeout(limit))?.map_err(|source| self.start_error(source))?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let hidden = [main_file.parent().unwrap_or(Path::new("/")), self.prefix.as_path()];
        let secrets = secret_files(main_file.parent().unwrap_or(Path::new("/")));
        Err(EngineError::Refused(last_words(&scrubbed(&without_secrets(&words, &secrets), &hidden))))
    }

    /// The engine's own version line, such as `nginx/1.31.3`.
    pub async fn version(&self) -> Result<String, EngineError> {
        let mut command = Command::new(&self.program);
        command.arg("-v").stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(TEST_TIMEOUT, command.output()).await;
        let output = output.map_err(|_| EngineError::Timeout(TEST_TIMEOUT))?.map_err(|source| self.start_error(source))?;
        let words = String::from_utf8_lossy(&output.stderr);
        Ok(words.trim().rsplit("version: ").next().unwrap_or_default().trim().to_owned())
    }

    /// The start of every command line: where it writes, what it reads, and errors to standard error.
    pub fn command(&self, main_file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(&self.prefix).arg("-c").arg(main_file).args(["-e", "stderr"]);
        command
    }

    /// Wraps an error of starting the program.
    pub fn start_error(&self, source: io::Error) -> EngineError {
        EngineError::Start { program: self.program.display().to_string(), source }
    }

    /// Makes the directories that the engine writes below.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        tokio::fs::create_dir_all(&self.prefix).await.map_err(|source| write_error(&self.prefix, source))
    }
}

/// How long the engine may take to read the configuration with this main file, alone in its directory: `least`, and more
/// for a large one.
pub fn patience(least: Duration, main_file: &Path) -> Duration {
    let files = main_file.parent().and_then(|directory| std::fs::read_dir(directory).ok()).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
    least.saturating_add(TIMEOUT_PER_MIB.saturating_mul(mib))
}

/// Writes a configuration's files into a directory of their own, which must not exist yet. Names are plain file names. Lines that
/// ask for what there is not are left out: an engine does not start where it shall listen by IPv6 and the machine has none, and
/// complains with each new worker that it may not have more open files than its container grants.
pub async fn write_files(directory: &Path, files: &BTreeMap<String, String>) -> Result<(), EngineError> {
    tokio::fs::create_dir_all(directory).await.map_err(|source| write_error(directory, source))?;
    let (six, granted) = (has_ipv6(), open_files_granted());
    for (name, content) in files {
        let path = directory.join(name);
        let content = if six { Cow::Borrowed(content.as_str()) } else { Cow::Owned(without_ipv6(content)) };
        let content = within_open_files(&content, granted);
        tokio::fs::write(&path, content.as_bytes()).await.map_err(|source| write_error(&path, source))?;
    }
    Ok(())
}

/// Whether a socket can listen at IPv6 addresses here: some kernels do not know them at all.
fn has_ipv6() -> bool {
    std::net::TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// How a line begins that listens at all IPv6 addresses of a port, and does nothing else.
const LISTENS_BY_IPV6: &str = "listen [::]:";

fn without_ipv6(content: &str) -> String {
    let listens = |line: &str| {
        let line = line.trim();
        line.starts_with(LISTENS_BY_IPV6) && line.find(';') == Some(line.len() - 1)
    };
    content.split_inclusive('\n').filter(|line| !listens(line)).collect()
}

/// How many open files a process may have here. The engine's workers inherit that, and without a capability they can only lower it.
fn open_files_granted() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

/// How a line begins that says how many open files a worker may have. In the main context, so nothing stands before it.
const OPEN_FILES: &str = "worker_rlimit_nofile ";

fn within_open_files(content: &str, granted: u64) -> Cow<'_, str> {
    let asks_for_more = |line: &str| {
        let number = line.strip_prefix(OPEN_FILES).and_then(|rest| rest.trim_end().strip_suffix(';'));
        number.and_then(|number| number.trim().parse::<u64>().ok()).is_some_and(|number| number > granted)
    };
    if content.lines().any(asks_for_more) {
        content.split_inclusive('\n').filter(|line| !asks_for_more(line)).collect::<String>().into()
    } else {
        content.into()
    }
}

/// Writes files that nobody else may read into a directory that exists. Names are plain file names.
pub async fn write_secret_files(directory: &Path, files: &BTreeMap<String, String>) -> Result<(), EngineError> {
    for (name, content) in files {
        let path = directory.join(name);
        let mut options = tokio::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path).await;
        let mut file = opened.map_err(|source| write_error(&path, source))?;
        let written = async {
            file.write_all(content.as_bytes()).await?;
            file.flush().await
        };
        written.await.map_err(|source| write_error(&path, source))?;
    }
    Ok(())
}

/// What group and all others may do with a file.
const OTHERS: u32 = 0o077;

/// The files in a directory that nobody else may read.
fn secret_files(directory: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_secret =
        |file: &std::fs::DirEntry| file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & OTHERS == 0);
    files.filter(is_secret).filter_map(|file| std::fs::read(file.path()).ok()).collect()
}

fn write_error(path: &Path, source: io::Error) -> EngineError {
    EngineError::Write { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_listen_by_ipv6_alone_are_left_out_and_nothing_else() {
        let text = "server {\n    listen 80 default_server;\n    listen [::]:80 default_server;\n    return 200 \"listen [::]:80;\";\n    \
                    listen [::]:81; return 503;\n}";
        let left = "server {\n    listen 80 default_server;\n    return 200 \"listen [::]:80;\";\n    listen [::]:81; return 503;\n}";
        assert_eq!(without_ipv6(text), left);
    }

    #[test]
    fn more_open_files_than_are_granted_are_not_asked_for() {
        let text = "worker_processes 1;\nworker_rlimit_nofile 65535;\nevents {\n    worker_connections 16384;\n}\n";
        let left = "worker_processes 1;\nevents {\n    worker_connections 16384;\n}\n";
        for (granted, expected) in [(65_535, text), (524_288, text), (65_534, left), (1024, left)] {
            assert_eq!(within_open_files(text, granted), expected, "{granted}");
        }
    }

    #[test]
    fn the_patience_with_the_engine_grows_with_its_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let [main, other] = ["nginx.conf", "tls-a.conf"].map(|name| std::fs::File::create(directory.path().join(name)).unwrap());
        let minutes = |bytes: u64| {
            main.set_len(bytes / 2).unwrap();
            other.set_len(bytes / 2).unwrap();
            patience(Duration::from_secs(60), &directory.path().join("nginx.conf")).as_secs() / 60
        };
        assert_eq!([0, 1 << 20, 4 << 20].map(minutes), [1, 2, 5]);
        assert_eq!(patience(Duration::from_secs(60), Path::new("/nonexistent/nginx.conf")).as_secs(), 60);
    }
}
