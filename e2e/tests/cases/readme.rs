//! The README's commands, run in order on a fresh Swarm, as a reader would run them. It must never help a command along: it
//! fills in only the names that the README leaves open (an image, an address, the reader's own file).

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, KeyPair};
use swarmgate_e2e::command::{LIMIT, end_within};
use swarmgate_e2e::testbed::{Case, Setting, Testbed, http_get, https_get, program, repository};
use swarmgate_e2e::wait::eventually;

use super::ready;

#[path = "../../../tests/docs/commands.rs"]
mod commands;

/// Only images are on it: the README must create whatever it needs.
const FRESH: Setting = Setting { name: "readme", nodes: 3, managers: 1, prepare: ready, before: ready };
/// A query is repeated until the response is the one that the README promises: a Swarm needs a moment for the previous steps.
const ANSWERED: Duration = Duration::from_secs(180);
/// The placeholders in the README, and their values here.
const IMAGES: [(&str, &str); 2] = [("my/web:1", "demo-app:v1"), ("my/web:2", "demo-app:v2")];

pub(super) fn cases() -> Vec<Case> {
    let case = |name, check| Case::new(name, FRESH, check);
    vec![case("readme::the_commands_work_in_order", in_their_order)]
}

fn in_their_order(testbed: &Testbed) -> Result<()> {
    let page = fs::read_to_string(repository().join("README.md")).context("read the README")?;
    let folder = tempfile::tempdir().context("make a folder to work in")?;
    let mut user = ReadmeShell::new(testbed, folder.path(), &page)?;
    // `make` builds and tests the project itself.
    let tour: Vec<String> = commands::commands(&page).into_iter().filter(|command| !command.starts_with("make ")).collect();
    ensure!(tour.len() > 15, "the README has {} commands", tour.len());
    for command in &tour {
        user.follow(command).with_context(|| format!("the README's command {command:?}"))?;
    }
    everything_is_as_promised(testbed)
}

/// The result of the tour: a host with TLS, plain HTTP redirected to it, an old host redirected, a canary next to the first
/// version.
fn everything_is_as_promised(testbed: &Testbed) -> Result<()> {
    let (plain, tls) = (testbed.at(1, 80), testbed.at(1, 443));
    testbed.await_code(&plain, "web.example.org", "/", 301)?;
    testbed.await_code(&plain, "old.example.org", "/", 302)?;
    for version in ["v1", "v2"] {
        eventually(ANSWERED, &format!("{version} answers https://web.example.org"), || {
            let answer = https_get(&tls, "web.example.org", "/", &[])?;
            let expected = format!("\"version\":\"{version}\"");
            ensure!(answer.status == 200 && answer.body.contains(&expected), "{answer:?}");
            Ok(())
        })?;
    }
    let unknown = http_get(&plain, "unknown.example.org", "/")?;
    ensure!(unknown.status == 503, "an unpublished host is answered {}", unknown.status);
    let carried = unknown.header("x-request-id").is_some() && unknown.header("x-upstream-response-time").is_none();
    ensure!(carried, "the headers are not those of the README: {unknown:?}");
    Ok(())
}

/// A user at a shell with Docker and `swarmgate`, in a folder with the files that the README mentions.
struct ReadmeShell {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    filled_in: Vec<(&'static str, String)>,
}

impl ReadmeShell {
    fn new(testbed: &Testbed, folder: &Path, page: &str) -> Result<Self> {
        symlink(repository().join("charts"), folder.join("charts")).context("bring the charts")?;
        fs::create_dir(folder.join("my-specs")).context("make a folder for specs")?;
        let document = commands::blocks(page, "yaml").into_iter().next().context("the README contains no document")?;
        fs::write(folder.join("my-specs/dev.yaml"), document).context("write the README's document")?;
        let key = KeyPair::generate()?;
        let names = ["web.example.org", "old.example.org"].map(str::to_owned).to_vec();
        fs::write(folder.join("fullchain.pem"), CertificateParams::new(names)?.self_signed(&key)?.pem()).context("write a certificate")?;
        fs::write(folder.join("key.pem"), key.serialize_pem()).context("write a key")?;
        let swarmgate = program("swarmgate")?;
        let programs = swarmgate.parent().context("the program is in no folder")?.display().to_string();
        let manager = testbed.manager()?;
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), format!("{programs}:{}", env::var_os("PATH").unwrap_or_default().to_string_lossy())),
            ("DOCKER_HOST".to_owned(), format!("unix://{}", testbed.lab.socket(manager).display())),
        ]);
        // Calls of the operator beyond the published list are refused, and fail the case.
        environment.extend(testbed.lab.filtered_socket().map(|socket| ("SWARMGATE_DOCKER_SOCKET".to_owned(), socket.to_owned())));
        let images = IMAGES.into_iter().map(|(open, here)| (open, here.to_owned()));
        let filled_in = images.chain([("MANAGER", testbed.lab.node_ip(manager))]).collect();
        Ok(Self { folder: folder.to_owned(), environment, filled_in })
    }

    /// Runs one command. A command that changes the Swarm runs once; a query is repeated until the response is as promised.
    fn follow(&mut self, command: &str) -> Result<()> {
        let typed = self.filled_in.iter().fold(command.to_owned(), |typed, (open, here)| typed.replace(open, here));
        if let Some((name, value)) = typed.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            self.environment.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        let is_query = ["swarmgate ", "docker exec "].iter().any(|beginning| typed.starts_with(beginning));
        if is_query { eventually(ANSWERED, &typed, || self.run(&typed)) } else { self.run(&typed) }
    }

    fn run(&self, typed: &str) -> Result<()> {
        let mut shell = Command::new("sh");
        shell.args(["-c", typed]).current_dir(&self.folder).envs(&self.environment);
        let ended = end_within(&mut shell, LIMIT)?;
        ensure!(ended.status.success(), "it ended with {}:\n{}\n{}", ended.status, ended.output, ended.complaint);
        Ok(())
    }
}
