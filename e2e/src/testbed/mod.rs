//! The base of every end-to-end case: one lab with the images on it, and helpers for what cases do repeatedly. It must never
//! let a case reach anything but the lab, nor leave a lab behind unless asked to.

mod app;
mod failure_report;
mod http_client;
mod keepalive_clients;
mod lab_runner;
mod runner;
mod schedule;
mod steady_load;
mod swarmgate;
mod timing_report;
mod watchdog;
mod websocket_client;

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use app::{App, Steady};
pub use failure_report::report;
pub use http_client::{HttpCall, Response, h2c_get, http_get, http_get_by_proxy_protocol, https_get};
pub use keepalive_clients::Browsers;
pub use runner::{Case, Setting, run};
pub use schedule::Demand;
pub use steady_load::{Load, LoadReport};
pub use websocket_client::{Socket, conversation};

use crate::command::{finish, finish_with_input};
use crate::lab::{DockerClient, Lab, LabOptions, VipShim};
use crate::wait::eventually;

/// Long enough for a service to start on a busy machine: images are already there, so on an idle one it takes two seconds.
const RUNNING: Duration = Duration::from_secs(60);

/// The status token of every lab; no lab can be reached from outside.
const STATUS_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A service with this label outlives the case that created it.
pub const STAYS: &str = "e2e.stays";

/// A lab with Swarmgate's images and the test images on every node, and with working VIPs.
pub struct Testbed {
    /// The lab itself, to break and repair.
    pub lab: Lab,
    shim: VipShim,
}

impl Testbed {
    /// Brings up the lab that `setting` describes, with this number among the labs side by side. First removes anything that an
    /// earlier run left under its name.
    pub fn up(setting: &Setting, number: usize) -> Result<Self> {
        let mut options = LabOptions::new(&setting.lab_name(number), setting.nodes, setting.managers);
        options.load = images()?;
        options.allowed_calls = Some(repository().join("charts/swarmgate/docker-api.txt"));
        let lab = Lab::up(options)?;
        let shim = lab.vip_shim()?;
        let testbed = Self { lab, shim };
        (setting.prepare)(&testbed).with_context(|| format!("prepare the testbed {:?}", setting.name))?;
        Ok(testbed)
    }

    /// Removes the lab.
    pub fn down(self) -> Result<()> {
        drop(self.shim);
        Lab::down(self.lab.name())
    }

    /// Repairs what a case broke, and removes what it created: every service that is not Swarmgate's, not in its stack, and
    /// without the label `e2e.stays`.
    pub fn tidy(&self) -> Result<()> {
        for k in (1..=self.lab.nodes()).filter(|k| self.lab.is_on(*k)) {
            // A node whose engine was killed has nothing to resume.
            let _ = self.lab.resume_daemon(k);
        }
        self.lab.heal()?;
        (1..=self.lab.nodes()).try_for_each(|k| self.lab.start(k))?;
        self.lab.await_ready()?;
        for service in self.api()?.get("/services")?.as_array().into_iter().flatten().filter(|service| !stays(service)) {
            self.docker(&["service", "rm", service["ID"].as_str().unwrap_or_default()])?;
        }
        Ok(())
    }

    /// The number of the first manager whose API answers.
    pub fn manager(&self) -> Result<usize> {
        let answers = |k: &usize| self.lab.engine(*k).is_ok_and(|engine| engine.ping(Duration::from_secs(2)).is_ok());
        (1..=self.lab.managers()).find(answers).context("no manager's API answers")
    }

    /// The Docker API of a manager that answers.
    pub fn api(&self) -> Result<DockerClient> {
        self.lab.engine(self.manager()?)
    }

    /// Runs the Docker command line against a manager that answers.
    pub fn docker(&self, args: &[&str]) -> Result<String> {
        self.lab.docker(self.manager()?, args)
    }

    /// Creates an attachable overlay network unless one of that name exists.
    pub fn network(&self, name: &str) -> Result<()> {
        if self.docker(&["network", "inspect", name]).is_err() {
            self.docker(&["network", "create", "--driver", "overlay", "--attachable", name])?;
        }
        Ok(())
    }

    /// Stores a secret and returns its name, which is `name` plus a hash of the content, so that a secret left by an earlier
    /// case does not conflict.
    pub fn secret(&self, name: &str, content: &str) -> Result<String> {
        let name = format!("{name}-{}", Self::spec_version(content));
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.lab.socket(self.manager()?).display()));
        finish_with_input(command.args(["secret", "create", &name, "-"]), content)?;
        Ok(name)
    }

    /// The same for a secret that may exist already.
    fn lasting_secret(&self, name: &str, content: &str) -> Result<String> {
        let known = format!("{name}-{}", Self::spec_version(content));
        if self.docker(&["secret", "inspect", &known]).is_ok() { Ok(known) } else { self.secret(name, content) }
    }

    /// The token for the operator's status port.
    pub fn status_token(&self) -> Result<String> {
        Ok(STATUS_TOKEN.to_owned())
    }

    /// Creates a service from the arguments of `docker service create`, the image last, without waiting for it.
    pub fn create(&self, name: &str, args: &[&str]) -> Result<()> {
        let head = ["service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", name];
        self.docker(&[&head, args].concat()).map(drop)
    }

    /// Updates a service with the arguments of `docker service update`, without waiting for the outcome.
    pub fn update(&self, name: &str, args: &[&str]) -> Result<()> {
        let head = ["service", "update", "--detach", "--quiet", "--no-resolve-image"];
        self.docker(&[&head, args, &[name]].concat()).map(drop)
    }

    /// The tasks of a service that run and have the desired state running.
    pub fn running_tasks(&self, service: &str) -> Result<Vec<Value>> {
        let filters = format!("%7B%22service%22%3A%5B%22{service}%22%5D%2C%22desired-state%22%3A%5B%22running%22%5D%7D");
        let tasks = self.api()?.get(&format!("/tasks?filters={filters}"))?;
        Ok(tasks.as_array().into_iter().flatten().filter(|task| task["Status"]["State"] == "running").cloned().collect())
    }

    /// Waits until exactly `count` tasks of a service run.
    pub fn await_running(&self, service: &str, count: usize) -> Result<Vec<Value>> {
        eventually(RUNNING, &format!("{count} tasks of {service} run"), || {
            let tasks = self.running_tasks(service)?;
            ensure!(tasks.len() == count, "{} tasks run", tasks.len());
            Ok(tasks)
        })
    }

    /// The number of the node that a task runs on.
    pub fn node_of(&self, task: &Value) -> Result<usize> {
        let id = task["NodeID"].as_str().context("the task has no node")?;
        let node = self.api()?.get(&format!("/nodes/{id}"))?;
        let name = node["Description"]["Hostname"].as_str().unwrap_or_default();
        name.strip_prefix("node").and_then(|number| number.parse().ok()).with_context(|| format!("{name:?} is no node of the lab"))
    }

    /// Runs a command inside the container of a running task.
    pub fn exec(&self, task: &Value, args: &[&str]) -> Result<String> {
        let container = task["Status"]["ContainerStatus"]["ContainerID"].as_str().context("the task has no container")?;
        self.lab.docker(self.node_of(task)?, &[&["exec", container], args].concat())
    }

    /// The response that a task of a demo-app service gets from `url`: the view from inside the overlay networks.
    pub fn get_from(&self, task: &Value, url: &str) -> Result<String> {
        self.exec(task, &["demo-app", "get", url])
    }

    /// Deploys Swarmgate's chart as the stack `swarmgate`, with `environment` for the variables that the chart reads (its
    /// README lists them).
    pub fn deploy_swarmgate(&self, environment: &[(&str, &str)]) -> Result<()> {
        self.deploy_chart("stack.yml", environment)
    }

    fn deploy_chart(&self, chart: &str, environment: &[(&str, &str)]) -> Result<()> {
        let charts = repository().join("charts/swarmgate");
        let chart = charts.join(chart);
        ensure!(chart.is_file(), "there is no {}", chart.display());
        let secret = self.lasting_secret("status-token", STATUS_TOKEN)?;
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.lab.socket(self.manager()?).display()));
        command.args(["stack", "deploy", "--resolve-image", "never", "-c"]).arg(chart);
        command.arg("-c").arg(charts.join("status-token.yml")).arg("swarmgate").env("SWARMGATE_STATUS_TOKEN_SECRET", secret);
        // Calls of the operator beyond the published list are refused, and fail the case.
        command.envs(self.lab.filtered_socket().map(|socket| ("SWARMGATE_DOCKER_SOCKET", socket)));
        finish(command.envs(environment.iter().copied())).map(drop)
    }

    /// The same with `spec` as the spec file's content. Calling it again with another spec updates the operator.
    pub fn deploy_swarmgate_with(&self, spec: &str, environment: &[(&str, &str)]) -> Result<()> {
        self.deploy_chart_with("stack.yml", spec, environment)
    }

    /// The same with the chart that creates no overlay network.
    pub fn deploy_swarmgate_without_overlay(&self, spec: &str, environment: &[(&str, &str)]) -> Result<()> {
        self.deploy_chart_with("stack-host.yml", spec, environment)
    }

    fn deploy_chart_with(&self, chart: &str, spec: &str, environment: &[(&str, &str)]) -> Result<()> {
        let version = Self::spec_version(spec);
        // Cases on other labs deploy the same spec at the same time.
        let file = repository().join(format!("target/{}-{version}.yaml", self.lab.name()));
        fs::write(&file, spec).with_context(|| format!("write {}", file.display()))?;
        let path = file.to_string_lossy();
        let own = [("SWARMGATE_SPEC", path.as_ref()), ("SWARMGATE_SPEC_VERSION", version.as_str())];
        let outcome = self.deploy_chart(chart, &[&own, environment].concat());
        fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        outcome
    }

    /// The spec version that [`Testbed::deploy_swarmgate_with`] passes on: different for different content.
    pub fn spec_version(spec: &str) -> String {
        Sha256::digest(spec).iter().take(6).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }

    /// Runs the `swarmgate` program against a manager's socket, like a person who has the operator's token.
    pub fn swarmgate(&self, args: &[&str]) -> Result<String> {
        let socket = format!("unix://{}", self.lab.socket(self.manager()?).display());
        let mut token = tempfile::NamedTempFile::new().context("make a file for the token")?;
        token.write_all(self.status_token()?.as_bytes()).context("write the token")?;
        let mut command = Command::new(program("swarmgate")?);
        finish(command.args(args).env("DOCKER_HOST", socket).env("SWARMGATE_STATUS_TOKEN_FILE", token.path()))
    }
}

fn stays(service: &Value) -> bool {
    let labels = service["Spec"]["Labels"].as_object();
    labels.is_some_and(|labels| {
        let in_stack = labels.get("com.docker.stack.namespace").is_some_and(|stack| stack == "swarmgate");
        in_stack || labels.keys().any(|key| key.starts_with("swarmgate.") || key == STAYS)
    })
}

/// The top of the checkout that this crate was built from.
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Every image archive that `make images` created.
fn images() -> Result<Vec<PathBuf>> {
    let directory = repository().join("target/images");
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut archives: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "tar")).collect();
    archives.sort();
    if archives.is_empty() {
        bail!("no images in {}: run `make images` first", directory.display());
    }
    Ok(archives)
}

/// A program of this workspace: the one that the variable `SWARMGATE_BIN` names, or the newest build.
pub fn program(name: &str) -> Result<PathBuf> {
    if let Some(named) = env::var_os("SWARMGATE_BIN") {
        return Ok(named.into());
    }
    let built = ["release", "debug"].map(|profile| repository().join("target").join(profile).join(name));
    let age = |path: &PathBuf| path.metadata().and_then(|about| about.modified()).ok();
    built.into_iter().filter(|path| path.is_file()).max_by_key(age).with_context(|| format!("{name} is not built"))
}
