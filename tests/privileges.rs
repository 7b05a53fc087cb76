//! The program gives up root first and completely, and keeps only the group of the Docker socket. As root these tests make real
//! changes in real processes; without root they check only what a process may request for itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot start its subject has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use swarmgate::pki::{Authority, ChannelRole};
use swarmgate::protocol::bootstrap;
use swarmgate::types::ClusterName;
use tokio::time::{Instant, sleep};

const DOCUMENT: &str = "apiVersion: swarmgate/v1
kind: ServiceCluster
metadata: {name: default}
spec:
  engine: nginx
  extension: {image: proxy}
  proxy: {image: proxy}
";
/// The group that may use the socket. No group of this machine has this id.
const SOCKET_GROUP: u32 = 64_242;

/// A folder with a spec, and a Docker socket that nothing answers.
struct SpecFolder {
    folder: tempfile::TempDir,
    _listener: UnixListener,
}

impl SpecFolder {
    fn with_socket_mode(mode: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("spec.yaml"), DOCUMENT).unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        if is_root() {
            chown(&socket, Some(0), Some(SOCKET_GROUP)).unwrap();
        }
        fs::set_permissions(&socket, fs::Permissions::from_mode(mode)).unwrap();
        Self { folder, _listener: listener }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn operator(&self, run_as: &str) -> Command {
        let authority = self.folder.path().join("ca.pem");
        fs::write(&authority, Authority::create(jiff::Timestamp::now()).unwrap().to_pem()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
        command
            .arg("operator")
            .arg("--authority-file")
            .arg(authority)
            .args(["--listen", "127.0.0.1:0", "--channel-listen", "127.0.0.1:0"])
            .arg("--spec");
        command.arg(self.folder.path().join("spec.yaml")).env("SWARMGATE_RUN_AS", run_as);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket().display())).stdin(Stdio::null());
        command
    }
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// A process that is killed when the test ends.
struct RunningProcess(Child);

impl Drop for RunningProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl RunningProcess {
    /// The process's status from `/proc`, read once its other threads exist, because they start after it has given up
    /// everything.
    async fn status(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        let file = format!("/proc/{}/status", self.0.id());
        loop {
            let text = fs::read_to_string(&file).unwrap();
            if line(&text, "Threads").parse::<u32>().unwrap() > 1 {
                return text;
            }
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}\n{text}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn line<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or("", str::trim)
}

fn start(command: &mut Command) -> RunningProcess {
    RunningProcess(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn output_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_operator_started_as_root_drops_privileges_before_its_first_thread() {
    let spec_folder = SpecFolder::with_socket_mode(0o660);
    let status = start(&mut spec_folder.operator("65532:65532")).status().await;
    assert_eq!(line(&status, "NoNewPrivs"), "1", "{status}");
    if is_root() {
        assert_eq!(line(&status, "Uid"), "65532\t65532\t65532\t65532", "{status}");
        assert_eq!(line(&status, "Gid"), "65532\t65532\t65532\t65532", "{status}");
        assert_eq!(line(&status, "Groups"), SOCKET_GROUP.to_string(), "{status}");
        for set in ["CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(line(&status, set), "0000000000000000", "{status}");
        }
    } else {
        assert_eq!(line(&status, "Uid").split('\t').next(), Some(nix::unistd::Uid::current().to_string().as_str()), "{status}");
    }
}

#[tokio::test]
async fn a_root_only_socket_ends_the_operator_with_a_remedy() {
    let spec_folder = SpecFolder::with_socket_mode(0o600);
    if is_root() {
        let output = spec_folder.operator("65532:65532").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output_text(&output).contains("SWARMGATE_RUN_AS=0:0"), "{}", output_text(&output));
    } else {
        // There is nothing to give up, so nothing is refused.
        assert_eq!(line(&start(&mut spec_folder.operator("65532:65532")).status().await, "NoNewPrivs"), "1");
    }
}

/// `SWARMGATE_USER=65532:65532` where the socket has another group: Swarm sees the failed task and rolls the update back.
#[test]
fn an_unprivileged_user_without_socket_access_gets_a_remedy() {
    let spec_folder = SpecFolder::with_socket_mode(0o060);
    let mut command = spec_folder.operator("65532:65532");
    if is_root() {
        command.uid(65_532).gid(65_532);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    assert!(output_text(&output).contains("start the operator as root"), "{}", output_text(&output));
}

#[tokio::test]
async fn explicitly_requested_root_is_kept_without_further_privileges() {
    let spec_folder = SpecFolder::with_socket_mode(0o600);
    let status = start(&mut spec_folder.operator("0:0")).status().await;
    assert_eq!(line(&status, "NoNewPrivs"), "1", "{status}");
    assert_eq!(line(&status, "Uid").split('\t').next(), Some(nix::unistd::Uid::current().to_string().as_str()), "{status}");
}

#[test]
fn a_command_beside_the_operator_reads_the_operators_files() {
    // Run as `docker exec` does: as root, but without the capability to read everything, so other users' files are
    // inaccessible.
    let spec_folder = SpecFolder::with_socket_mode(0o660);
    let spec = spec_folder.folder.path().join("spec.yaml");
    fs::set_permissions(&spec, fs::Permissions::from_mode(0o400)).unwrap();
    let validate = |run_as: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
        command.arg("validate").arg(&spec).env("SWARMGATE_RUN_AS", run_as).output().unwrap()
    };
    if is_root() {
        chown(&spec, Some(65_532), Some(65_532)).unwrap();
        let other = validate("65533");
        assert!(!other.status.success(), "another user can read it: {other:?}");
    }
    let output = validate("65532");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn extension_and_proxy_set_no_new_privileges() {
    // Where the engine does not set it (Swarm has no option for it before Docker 25), the program does. Observed in its child.
    let folder = tempfile::tempdir().unwrap();
    let (engine, seen, token) = (folder.path().join("nginx"), folder.path().join("seen"), folder.path().join("token"));
    let authority = Authority::create(jiff::Timestamp::now()).unwrap().root_pem();
    let cluster = ClusterName::parse("default").unwrap();
    fs::write(&token, bootstrap::encode(ChannelRole::Extension, &cluster, "0123456789abcdef0123456789abcdef", &authority)).unwrap();
    write_program(&engine, &format!("#!/bin/sh\ngrep NoNewPrivs /proc/self/status >{}\nexit 1\n", seen.display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
    command.args(["extension", "--cluster", "default", "--listen", "127.0.0.1:0", "--operator-url", "https://127.0.0.1:9"]);
    command.arg("--token-file").arg(&token).arg("--nginx").arg(&engine).arg("--run-dir").arg(folder.path());
    let mut extension = start(command.stdin(Stdio::null()));
    let deadline = Instant::now() + Duration::from_secs(20);
    let seen = loop {
        match fs::read_to_string(&seen) {
            Ok(text) if !text.is_empty() => break text,
            _ if Instant::now() > deadline => unreachable!("the engine was not started: {:?}", extension.0.try_wait()),
            _ => sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(seen.trim(), "NoNewPrivs:\t1");
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
