//! `swarmgate token`: prints the status token for anyone who may run a program in the operator's container: the one that the
//! operator was given, otherwise the one that it derives from its certificate authority, which is the same after every
//! restart and need not be stored.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::client_command::fail;
use super::token_file::{ENV_TOKEN_FILE, read_named};
use crate::controller::certificate_authority::{read_mounted, status_token};
use crate::protocol::container_contract::AUTHORITY_FILE;

/// Arguments of `swarmgate token`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file with the operator's certificate authority
    #[arg(long, env = "SWARMGATE_AUTHORITY_FILE", default_value = AUTHORITY_FILE, value_name = "FILE")]
    authority_file: PathBuf,
    /// The file with the operator's token, if you set one
    #[arg(long, env = ENV_TOKEN_FILE, value_name = "FILE")]
    status_token_file: Option<PathBuf>,
}

/// There is no authority here.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} does not exist; run this command in the operator's container: docker exec CONTAINER swarmgate token. Services read the token \
     from the secret with the label swarmgate.role=status-token"
)]
struct NoAuthority(String);

/// Prints it.
pub fn run(args: &Args) -> ExitCode {
    match &args.status_token_file {
        Some(file) => match read_named(file) {
            Ok(token) => print(token.reveal()),
            Err(error) => fail(&error),
        },
        None => derived(args),
    }
}

fn print(token: &str) -> ExitCode {
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{token}");
    ExitCode::SUCCESS
}

fn derived(args: &Args) -> ExitCode {
    match read_mounted(&args.authority_file) {
        Ok(Some(authority)) => print(&status_token(&authority)),
        Ok(None) => fail(&NoAuthority(args.authority_file.display().to_string())),
        Err(error) => fail(&error),
    }
}
