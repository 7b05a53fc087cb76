//! Runs the system's own tools (`ip`, `nsenter`, `iptables`, `docker`) and turns their failures into errors that say
//! what was run and what it printed. It must never run a tool through a shell line built from data.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `program` to its end and returns what it wrote to standard output.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String> {
    finish(Command::new(program).args(args))
}

/// Runs a line of plain words without quoting, such as `ip netns add lab`.
pub fn run_words(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command line")?;
    finish(Command::new(program).args(words))
}

/// Runs a prepared command to its end and returns what it wrote to standard output.
pub fn finish(command: &mut Command) -> Result<String> {
    let shown = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    checked(&shown, &output)
}

/// Like [`finish`], with `input` on the command's standard input.
pub fn finish_with_input(command: &mut Command, input: &str) -> Result<String> {
    let shown = describe(command);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("start `{shown}`"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("feed `{shown}`"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("wait for `{shown}`"))?;
    checked(&shown, &output)
}

/// A command that will run inside the network namespace that `namespace` (a file such as `/run/netns/lab`) names.
pub fn in_network(namespace: &Path, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
    command
}

fn checked(shown: &str, output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` ended with {}: {}{}", output.status, text.trim(), complaint.trim());
    }
    Ok(text)
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
