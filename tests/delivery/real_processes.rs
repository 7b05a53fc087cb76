//! The same as `tests/delivery.rs` with real programs: the subcommands, their environment, signals and exit codes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swarmgate::pki::ChannelRole;
use swarmgate::protocol::container_contract;
use swarmgate::protocol::messages::Bundle;
use swarmgate::route::RouteTable;
use swarmgate::types::Digest;
use tokio::process::{Child, Command};

use crate::stage::{Stage, cluster, nginx, on_stage};
use crate::{eventually_healthy, route_tables::routes, test_application::TestApplication, traffic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_swarmgate");

/// A boot snapshot with the current addresses, enough for a proxy that starts alone.
fn snapshot(stage: &Stage, table: &RouteTable) -> Bundle {
    let layout = stage.layout();
    let bundle =
        swarmgate::render::render_in(table, swarmgate::render::ConfigPurpose::Live, &layout, &swarmgate::render::Materials::default());
    stage.signed(Bundle::new(cluster(), Digest::of_bytes(b""), bundle.files), 1)
}

/// `swarmgate proxy` as the operator would start it, except for its ports and directories.
fn proxy_command(stage: &Stage) -> Command {
    let token = stage.bootstrap_file(ChannelRole::Proxy);
    let mut command = Command::new(PROGRAM);
    command
        .arg("proxy")
        .env(container_contract::ENV_CLUSTER, "dev")
        .env(container_contract::ENV_EXTENSION_URL, stage.extension_url())
        .env(container_contract::ENV_OPERATOR_URL, stage.operator_url())
        .env(container_contract::ENV_TOKEN_FILE, token)
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .arg("--nginx")
        .arg(nginx().unwrap())
        .arg("--run-dir")
        .arg(stage.run_dir())
        .arg("--state-dir")
        .arg(stage.path("no-volume"))
        .arg("--boot-file")
        .arg(stage.path("boot.json"))
        .args(["--health", &stage.health().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

async fn check_exit_code(stage: &Stage) -> Option<i32> {
    let mut command = Command::new(PROGRAM);
    command.args(["proxy", "--check", "--health", &stage.health().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.unwrap().code()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

async fn exit_code(mut child: Child) -> Option<i32> {
    tokio::time::timeout(Duration::from_secs(15), child.wait()).await.expect("the program did not end in time").unwrap().code()
}

#[test]
fn the_proxy_program_reports_its_health_drains_on_sigterm_and_exits_with_0() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.write_boot_file(&snapshot(stage, &routes(stage, &[("app.example.org", &[&app])])));
        assert_eq!(check_exit_code(stage).await, Some(1), "no proxy runs yet");
        let child = proxy_command(stage).spawn().unwrap();
        eventually_healthy(stage, "boot").await;
        assert_eq!(check_exit_code(stage).await, Some(0));
        let slow = tokio::spawn(traffic::get(stage.http(), "app.example.org", "/slow"));
        app.until_slow_request().await;
        signal(&child, Signal::SIGTERM);
        assert_eq!(slow.await.unwrap().unwrap(), "slow one");
        assert_eq!(exit_code(child).await, Some(0));
    });
}

#[test]
fn the_proxy_program_fails_when_its_engine_is_killed() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.write_boot_file(&snapshot(stage, &routes(stage, &[("app.example.org", &[&app])])));
        let child = proxy_command(stage).spawn().unwrap();
        eventually_healthy(stage, "boot").await;
        stage.kill_engine();
        assert_eq!(exit_code(child).await, Some(1));
    });
}

#[test]
fn the_proxy_program_reaps_orphans_as_pid_1() {
    on_stage(async |stage| {
        let app = TestApplication::start("one").await;
        stage.write_boot_file(&snapshot(stage, &routes(stage, &[("app.example.org", &[&app])])));
        let inner = proxy_command(stage);
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(inner.as_std().get_program()).args(inner.as_std().get_args());
        let set = inner.as_std().get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let child = command.envs(set).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if !stage.becomes_healthy(Duration::from_secs(10)).await {
            crate::skip::skip("no right to make process namespaces");
            return;
        }
        let outside = i32::try_from(child.id().unwrap()).unwrap();
        let [pid_1] = children_of(outside)[..] else { panic!("unshare does not have exactly one child") };
        // A shell whose child outlives it: the child becomes an orphan that ends soon after.
        let enter = format!("--target={pid_1}");
        let shell = ["nsenter", enter.as_str(), "--pid", "--mount", "--", "sh", "-c", "sleep 0.2 & exit 0"];
        assert!(Command::new(shell[0]).args(&shell[1..]).status().await.unwrap().success());
        let has_zombie = || children_of(pid_1).iter().any(|pid| state_of(*pid) == Some('Z'));
        crate::eventually("the orphan ends", || has_zombie().then_some(())).await;
        crate::eventually("the orphan is reaped", || (!has_zombie()).then_some(())).await;
        assert_eq!(stage.answer("app.example.org").await.unwrap(), "one", "reaping disturbed the traffic");
        kill(Pid::from_raw(pid_1), Signal::SIGQUIT).unwrap();
        assert_eq!(exit_code(child).await, Some(0));
    });
}

fn children_of(parent: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
