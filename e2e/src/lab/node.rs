//! One node: a first process in its own namespaces, and the Docker engine inside them. It must never start an engine outside
//! such namespaces, nor touch the machine's own engine, sockets or files.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::wait::eventually;

use super::docker_client::DockerClient;
use super::network::LabSubnet;
use super::{Filter, cgroup, network, process};

/// The first process of a node: removes its copies of other namespaces' names (they would keep dead namespaces alive), mounts
/// what must be its own, and becomes a reaper. `$1` is the node's directory, `$2` its host name.
const FIRST_PROCESS: &str = r#"
set -eu
while read -r _ at _; do
    case $at in /run/netns/*) umount -l "$at" ;; esac
done </proc/mounts
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc/docker
mount --bind "$1/etc" /etc/docker
mount --bind "$1/hosts" /etc/hosts
if [ -e /etc/resolv.conf ]; then mount --bind "$1/resolv.conf" /etc/resolv.conf; fi
hostname "$2"
echo ready
exec tini -s -- sleep infinity </dev/null >/dev/null 2>&1
"#;

/// Joins the control groups whose files come before `--`, then executes the command after it.
const JOIN_AND_BECOME: &str = r#"
while [ "$1" != -- ]; do echo 0 >"$1"; shift; done
shift
exec "$@"
"#;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The filtered Docker API, as a path on the node.
pub(crate) const FILTERED_SOCKET: &str = "/run/docker-filtered.sock";
/// The Docker API, as a path on the node.
const SOCKET: &str = "/run/docker.sock";

/// How long an engine may take to respond on a busy machine.
const START: Duration = Duration::from_secs(90);

/// One node of a lab, by its number.
pub(crate) struct LabNode<'a> {
    pub lab: &'a str,
    pub subnet: LabSubnet,
    pub number: usize,
    pub directory: PathBuf,
}

impl LabNode<'_> {
    fn namespace(&self) -> PathBuf {
        network::of_node(self.lab, self.number)
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    pub fn first_process(&self) -> Option<i32> {
        process::first_of(&self.namespace())
    }

    pub fn daemon(&self) -> Option<i32> {
        process::named(&self.namespace(), "dockerd")
    }

    fn running_daemon(&self) -> Result<i32> {
        self.daemon().with_context(|| format!("node{} has no running engine", self.number))
    }

    /// Writes the files that the node's mounts show in place of the machine's own.
    pub fn write_files(&self, nodes: usize) -> Result<()> {
        let others = (1..=nodes).map(|number| format!("{} node{number}", self.subnet.node(number)));
        let hosts: Vec<_> = iter::once("127.0.0.1 localhost".to_owned()).chain(others).collect();
        fs::create_dir_all(self.directory.join("etc")).context("make a node's directory")?;
        fs::write(self.directory.join("hosts"), hosts.join("\n") + "\n")?;
        // Without a name server, the engine's own look-ups (of a registry) fail at once instead of timing out.
        fs::write(self.directory.join("resolv.conf"), "")?;
        Ok(())
    }

    /// Starts the node, from whatever state it is in, until its engine answers.
    pub fn start(&self, daemon_args: &[String], filter: Option<&Filter>) -> Result<()> {
        network::make_node(self.lab, self.subnet, self.number)?;
        if self.first_process().is_none() {
            self.start_first_process()?;
        }
        if let Some(filter) = filter {
            self.start_filter(filter)?;
        }
        if self.daemon().is_none() {
            self.start_daemon(daemon_args)?;
        }
        self.await_daemon()
    }

    fn start_first_process(&self) -> Result<()> {
        let log = File::create(self.directory.join("init.log")).context("make the log of a node's first process")?;
        let mut command = Command::new("setsid");
        command.args(["--fork", "nsenter"]).arg(format!("--net={}", self.namespace().display()));
        command.args(["--", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--", "sh", "-c", FIRST_PROCESS, "node"]);
        command.arg(&self.directory).arg(format!("node{}", self.number));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().context("start a node")?;
        let mut word = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut word).context("hear from a node's first process")?;
        }
        child.wait().context("wait for the starter of a node")?;
        let complaint = || fs::read_to_string(self.directory.join("init.log")).unwrap_or_default();
        ensure!(word == "ready\n", "node{} did not start: {}", self.number, complaint());
        Ok(())
    }

    /// A path in the node's file system, as this process reaches it.
    pub fn inner_path(&self, path: &str) -> Result<PathBuf> {
        let first = self.first_process().with_context(|| format!("node{} is off", self.number))?;
        Ok(PathBuf::from(format!("/proc/{first}/root{path}")))
    }

    /// The calls that the filter refused.
    pub fn refused(&self) -> PathBuf {
        self.directory.join("refused.log")
    }

    /// The filter is a process of the node, so it ends with the node. It outlives engines, as a filter on a real host does.
    fn start_filter(&self, filter: &Filter) -> Result<()> {
        let socket = self.inner_path(FILTERED_SOCKET)?;
        if socket.exists() {
            return Ok(());
        }
        let first = self.first_process().with_context(|| format!("node{} is off", self.number))?;
        let log = File::create(self.directory.join("filter.log")).context("make the log of a filter")?;
        let mut command = Command::new("setsid");
        command.args(["--fork", "nsenter", "-t", &first.to_string(), "-m", "-u", "-i", "-n", "-p", "--"]).arg(&filter.helper);
        command.args(["filter-docker", "--listen", FILTERED_SOCKET, "--to", SOCKET, "--list"]).arg(&filter.list);
        command.arg("--refused").arg(self.refused());
        let status = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status().context("start a filter")?;
        ensure!(status.success(), "the filter of node{} did not start: {status}", self.number);
        eventually(Duration::from_secs(10), "the filter listens", || {
            ensure!(socket.exists(), "{}", fs::read_to_string(self.directory.join("filter.log")).unwrap_or_default());
            Ok(())
        })
    }

    fn start_daemon(&self, daemon_args: &[String]) -> Result<()> {
        let first = self.first_process().with_context(|| format!("node{} is off", self.number))?;
        self.clear_leftovers_of_daemon(first)?;
        let log = OpenOptions::new().create(true).append(true).open(self.log()).context("open an engine's log")?;
        let mut command = Command::new("sh");
        command.args(["-c", JOIN_AND_BECOME, "join"]).args(cgroup::for_daemons(self.lab, self.number)?).arg("--");
        // Forked, so that it outlives this process; in the node's namespaces, so that it is a process of the node.
        command.args(["setsid", "--fork", "nsenter", "-t", &first.to_string(), "-m", "-u", "-i", "-n", "-p", "--"]);
        command.args(["env", "-i", "HOME=/root"]).arg(format!("PATH={PATH}")).arg("dockerd");
        command.arg("--data-root").arg(self.directory.join("data"));
        command.args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", &cgroup::for_containers(self.lab, self.number)]);
        command.args(["--dns", &self.subnet.gateway(), "-H", &format!("unix://{SOCKET}")]);
        command.arg("-H").arg(format!("unix://{}", self.socket().display())).args(daemon_args);
        let status = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status().context("start an engine")?;
        ensure!(status.success(), "the engine of node{} did not start: {status}", self.number);
        Ok(())
    }

    /// A killed engine leaves behind files that keep the next one from starting, and sockets on which nothing listens.
    fn clear_leftovers_of_daemon(&self, first: i32) -> Result<()> {
        let run = Path::new("/proc").join(first.to_string()).join("root/run");
        let left = [self.socket(), run.join("docker.pid"), run.join("docker/containerd/containerd.pid")];
        for file in left.iter().filter(|file| file.symlink_metadata().is_ok()) {
            fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
        }
        Ok(())
    }

    fn await_daemon(&self) -> Result<()> {
        let answer = eventually(START, "the engine answers", || {
            ensure!(self.daemon().is_some() || self.socket().exists(), "there is no engine process");
            DockerClient::at(&self.socket())?.ping(Duration::from_secs(5))
        });
        answer.with_context(|| format!("node{}: the log ends with\n{}", self.number, self.last_log_lines()))
    }

    pub fn last_log_lines(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().rev().take(8).collect();
        lines.reverse();
        lines.join("\n")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("dockerd.log")
    }

    /// Kills the engine; the node's containers keep running.
    pub fn kill_daemon(&self) -> Result<()> {
        process::end(&self.namespace(), self.running_daemon()?)
    }

    /// Freezes the engine without ending it: the API hangs, but containers and their traffic go on.
    pub fn pause_daemon(&self) -> Result<()> {
        process::freeze(self.running_daemon()?)
    }

    pub fn resume_daemon(&self) -> Result<()> {
        process::send(self.running_daemon()?, Signal::SIGCONT)
    }

    /// Ends everything on the node at once. Its disk is kept.
    pub fn power_off(&self) -> Result<()> {
        process::end_all(&self.namespace())?;
        network::unplug(self.lab, self.number);
        if self.namespace().exists() {
            network::remove(&self.namespace())?;
        }
        cgroup::remove(self.lab, Some(self.number))
    }
}
