//! Finds and runs the real engine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use swarmgate::render::{ConfigPurpose, Layout, render_in};
use swarmgate::route::RouteTable;
use swarmgate::types::{EngineKind, Port};
use tempfile::TempDir;

use super::certificates;
pub use super::nginx_binary::nginx;
use super::ports::free_port;

/// The maximum time that an engine takes to start.
const START_MAX: Duration = Duration::from_secs(10);

/// The place of one engine: its directory and free ports.
pub struct EngineSandbox {
    directory: TempDir,
    pub http: u16,
    layout: Layout,
}

impl EngineSandbox {
    pub fn new() -> Self {
        Self::with_resolver(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())))
    }

    /// A place whose engine uses this name server.
    pub fn with_resolver(resolver: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Layouts hold only static text, so each test leaks a few bytes.
        let run_dir = Box::leak(directory.path().to_str().unwrap().to_owned().into_boxed_str());
        let roots = Box::leak(directory.path().join("roots.pem").to_str().unwrap().to_owned().into_boxed_str());
        let layout = Layout { run_dir, status_port: free_port(), resolver, system_roots: roots, material_dir: run_dir };
        Self { directory, http: free_port(), layout }
    }

    /// Writes the configuration, bound to loopback: a test must not be reachable from elsewhere.
    pub fn write(&self, table: &RouteTable, purpose: ConfigPurpose) -> PathBuf {
        let made = certificates::make(table, self.directory.path(), &self.layout);
        let bundle = render_in(table, purpose, &self.layout, &made.materials);
        let stale = fs::read_dir(self.directory.path()).unwrap().flatten().map(|entry| entry.path());
        stale.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).for_each(|path| fs::remove_file(path).unwrap());
        for (name, content) in bundle.files.iter().chain(&made.contents) {
            let text = [Some(table.http_port), table.https_port]
                .into_iter()
                .flatten()
                .fold(content.clone(), |text, port| on_loopback(&text, port));
            fs::write(self.directory.path().join(name), text).unwrap();
        }
        self.directory.path().join(EngineKind::Nginx.main_file())
    }

    fn command(&self, nginx: &Path, config: &Path) -> Command {
        let mut command = Command::new(nginx);
        command.arg("-p").arg(self.directory.path()).arg("-c").arg(config).arg("-e").arg("stderr");
        command
    }

    /// The engine's verdict on a table: `Ok` with its warnings, or its refusal.
    pub fn test(&self, nginx: &Path, table: &RouteTable, purpose: ConfigPurpose) -> Result<String, String> {
        let config = self.write(table, purpose);
        let output = self.command(nginx, &config).arg("-t").output().unwrap();
        let error_log = String::from_utf8_lossy(&output.stderr).into_owned();
        // The limit of open files is that of whoever runs the tests.
        let matters = |line: &&str| line.contains("[emerg]") || line.contains("[warn]") && !line.contains("open file resource limit");
        let warnings = error_log.lines().filter(matters).collect::<Vec<_>>().join("\n");
        if output.status.success() { Ok(warnings) } else { Err(format!("{error_log}\n{}", fs::read_to_string(config).unwrap())) }
    }
}

impl EngineSandbox {
    /// The engine's verdict on a table with an arbitrary additional line in `http`.
    pub fn test_with_line(&self, nginx: &Path, table: &RouteTable, line: &str) -> Result<(), String> {
        let config = self.write(table, ConfigPurpose::Live);
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("http {\n", &format!("http {{\n    {line}\n"))).unwrap();
        let output = self.command(nginx, &config).arg("-t").output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

/// The same configuration with this port bound to loopback only.
fn on_loopback(text: &str, port: Port) -> String {
    let families = [(format!("{port}"), format!("127.0.0.1:{port}")), (format!("[::]:{port}"), format!("[::1]:{port}"))];
    families.iter().fold(text.to_owned(), |text, (open, bound)| {
        let ends = |text: String, end: &str| text.replace(&format!("listen {open}{end}"), &format!("listen {bound}{end}"));
        ends(ends(text, " "), ";")
    })
}

/// A running engine, which ends when the value is dropped.
pub struct NginxProcess {
    master: Child,
    pub sandbox: EngineSandbox,
}

impl NginxProcess {
    /// Starts the engine and waits until it serves.
    pub async fn start(nginx: &Path, sandbox: EngineSandbox, table: &RouteTable, purpose: ConfigPurpose) -> Self {
        let config = sandbox.write(table, purpose);
        let (log, errors) = (fs::File::create(sandbox.directory.path().join("access.log")), fs::File::create(sandbox.errors()));
        // As root, the workers would switch to a user who cannot enter the test's directory.
        let ours = fs::metadata(sandbox.directory.path()).unwrap().uid();
        let globals = if ours == 0 { "daemon off; user root;" } else { "daemon off;" };
        let mut command = sandbox.command(nginx, &config);
        command.arg("-g").arg(globals).stdin(Stdio::null()).stdout(log.unwrap()).stderr(errors.unwrap());
        let mut engine = Self { master: command.spawn().unwrap(), sandbox };
        engine.wait_until_it_serves().await;
        engine
    }

    /// Waits until the engine has its listeners, which its pid file shows: whatever answers at a port may be another program.
    async fn wait_until_it_serves(&mut self) {
        let deadline = tokio::time::Instant::now() + START_MAX;
        while !self.sandbox.directory.path().join("nginx.pid").exists() {
            let ended = self.master.try_wait().unwrap();
            let late = tokio::time::Instant::now() > deadline;
            assert!(ended.is_none() && !late, "nginx does not serve ({ended:?}): {}", self.error_log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes the engine load another table, as the agent does.
    pub fn reload(&self, table: &RouteTable, purpose: ConfigPurpose) {
        self.sandbox.write(table, purpose);
        nix::sys::signal::kill(self.pid(), nix::sys::signal::Signal::SIGHUP).unwrap();
    }

    fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.master.id()).unwrap())
    }

    /// The total memory of its workers.
    pub fn memory_kib(&self) -> u64 {
        let master = self.pid();
        let workers = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        let share = |pid: &str| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
        let kib = |text: String| text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        workers.split_whitespace().filter_map(share).filter_map(kib).sum()
    }

    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.sandbox.http))
    }

    pub fn status(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.sandbox.layout.status_port))
    }

    /// The lines of its access log, once there are this many. A line is written after its answer.
    pub async fn log(&self, lines: usize) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + START_MAX;
        loop {
            let text = fs::read_to_string(self.sandbox.directory.path().join("access.log")).unwrap();
            if text.lines().count() >= lines {
                return text.lines().map(str::to_owned).collect();
            }
            assert!(tokio::time::Instant::now() < deadline, "{lines} lines are not in the log: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The content of its error log.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.sandbox.errors()).unwrap_or_default()
    }
}

impl EngineSandbox {
    fn errors(&self) -> PathBuf {
        self.directory.path().join("error.log")
    }
}

impl Drop for NginxProcess {
    fn drop(&mut self) {
        // On this signal the master ends its workers; a kill would leave them running.
        let _ = nix::sys::signal::kill(self.pid(), nix::sys::signal::Signal::SIGTERM);
        let _ = self.master.wait();
    }
}
