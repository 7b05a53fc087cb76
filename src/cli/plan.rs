//! `swarmgate plan`.

use std::process::ExitCode;

/// Arguments of `swarmgate plan`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
