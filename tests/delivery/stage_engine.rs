//! The engine of a stage: variants that are slow, spoil configurations, or disappear; and what its process does.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{Stage, make_mode};

impl Stage {
    /// An engine that adds an unknown directive to every configuration that contains this pattern.
    pub(super) fn spoiling_engine(&self, pattern: &str) -> PathBuf {
        self.engine_after("spoiling-nginx", &format!("if grep -q '{pattern}' \"$4\" 2>/dev/null; then echo 'spoilt on;' >> \"$4\"; fi"))
    }

    /// An engine that takes this many seconds to test each configuration that contains the pattern.
    pub(super) fn slow_engine(&self, name: &str, pattern: &str, seconds: u64) -> PathBuf {
        let slow = format!("case \" $* \" in *' -t '*) if grep -q '{pattern}' \"$4\" 2>/dev/null; then sleep {seconds}; fi;; esac");
        self.engine_after(name, &slow)
    }

    /// A script of this name that runs a command before the engine.
    fn engine_after(&self, name: &str, command: &str) -> PathBuf {
        let script = self.path(name);
        std::fs::write(&script, format!("#!/bin/sh\n{command}\nexec {} \"$@\"\n", self.nginx.display())).unwrap();
        make_mode(&script, 0o755);
        script
    }

    pub fn take_engine(&self) {
        std::fs::remove_file(self.path("own-nginx")).unwrap();
    }

    pub fn give_engine_back(&self) {
        std::os::unix::fs::symlink(&self.nginx, self.path("own-nginx")).unwrap();
    }

    /// Whether a worker of the engine has a file open below this directory of the stage.
    pub fn engine_writes_to(&self, directory: &str) -> bool {
        let master: i32 = std::fs::read_to_string(self.run_dir().join("nginx.pid")).unwrap().trim().parse().unwrap();
        let workers = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        let files = workers.split_whitespace().flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten());
        let directory = self.path(directory);
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|file| file.starts_with(&directory))
    }

    pub fn kill_engine(&self) {
        let pid = std::fs::read_to_string(self.run_dir().join("nginx.pid")).unwrap().trim().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    pub fn port_is_free(&self) -> bool {
        TcpListener::bind(self.http()).is_ok()
    }
}

/// Ends the engine that a failed test leaves behind, because nothing drains it.
impl Drop for Stage {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.run_dir().join("nginx.pid")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(2);
            while !self.port_is_free() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}
