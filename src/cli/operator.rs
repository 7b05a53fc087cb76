//! `swarmgate operator`.

use std::process::ExitCode;

/// Arguments of `swarmgate operator`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
