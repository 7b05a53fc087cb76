//! Runs system tools (`ip`, `nsenter`, `iptables`, `docker`) and turns their failures into errors that contain the command and
//! its output. It must never pass data through a shell, nor wait for a tool without a limit: a tool that hangs would hang the
//! whole suite, and no one would learn which tool it was.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use process_control::{ChildExt as _, Control as _, ExitStatus};

/// Time limit for a tool: far more than any of them needs on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The result of a tool that ended.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, with invalid UTF-8 replaced.
    pub output: String,
    /// Its standard error, likewise.
    pub complaint: String,
}

/// Runs `program` to completion and returns its standard output.
pub fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<String> {
    finish(Command::new(program).args(args))
}

/// Runs a command line of plain words without quoting, such as `ip netns add lab`.
pub fn run_line(line: &str) -> Result<String> {
    let mut args = line.split_whitespace();
    let program = args.next().context("an empty command line")?;
    finish(Command::new(program).args(args))
}

/// Runs a prepared command to completion and returns its standard output.
pub fn finish(command: &mut Command) -> Result<String> {
    let shown = describe(command);
    checked(&shown, end_within(command, LIMIT)?)
}

/// Like [`finish`], with `input` on the command's standard input.
pub fn finish_with_input(command: &mut Command, input: &str) -> Result<String> {
    let shown = describe(command);
    let mut file = tempfile::tempfile().context("make a file for input")?;
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).with_context(|| format!("write the input of `{shown}`"))?;
    checked(&shown, wait(command.stdin(file), LIMIT)?)
}

/// Runs a prepared command whose failure may be the expected result. A command that does not end within `limit` is killed,
/// which is an error.
pub fn end_within(command: &mut Command, limit: Duration) -> Result<Ended> {
    wait(command.stdin(Stdio::null()), limit)
}

/// Output goes to files because a pipe is closed only when the last of the command's descendants has exited.
fn wait(command: &mut Command, limit: Duration) -> Result<Ended> {
    let shown = describe(command);
    let file = || tempfile::tempfile().context("make a file for output");
    let (mut output, mut complaint) = (file()?, file()?);
    command.stdout(output.try_clone()?).stderr(complaint.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("start `{shown}`"))?;
    let ended = child.controlled().time_limit(limit).terminate_for_timeout().wait().with_context(|| format!("wait for `{shown}`"))?;
    let (output, complaint) = (read_back(&mut output)?, read_back(&mut complaint)?);
    match ended {
        Some(status) => Ok(Ended { status, output, complaint }),
        None => bail!("`{shown}` did not end within {} s and was killed: {}{}", limit.as_secs_f64(), output.trim(), complaint.trim()),
    }
}

fn read_back(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context("read what a command wrote")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A command that will run inside the network namespace that `namespace` (a file such as `/run/netns/lab`) names.
pub fn in_network(namespace: &Path, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
    command
}

fn checked(shown: &str, ended: Ended) -> Result<String> {
    if !ended.status.success() {
        bail!("`{shown}` ended with {}: {}{}", ended.status, ended.output.trim(), ended.complaint.trim());
    }
    Ok(ended.output)
}

fn describe(command: &Command) -> String {
    let mut args = vec![command.get_program().to_string_lossy().into_owned()];
    args.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    args.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_killed_and_named() {
        let error = end_within(Command::new("sleep").arg("600"), Duration::from_millis(50)).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("`sleep 600` did not end within 0.05 s and was killed: "));
    }

    #[test]
    fn a_descendant_that_stays_is_not_waited_for() {
        let pid: i32 = finish(Command::new("sh").args(["-c", "sleep 600 & echo $!"])).unwrap().trim().parse().unwrap();
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn input_is_fed_and_output_read() {
        let long = "word ".repeat(100_000);
        assert_eq!(finish_with_input(&mut Command::new("cat"), &long).ok(), Some(long));
    }
}
