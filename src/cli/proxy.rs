//! `swarmgate proxy`.

use std::process::ExitCode;

/// Arguments of `swarmgate proxy`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
