//! `swarmgate token`: the token for the status, for whoever may run a program in the operator's container. Derived from the
//! operator's certificate authority, so that it is the same after every restart and nobody has to keep it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::edge::fail;
use crate::channel::contract::AUTHORITY_FILE;
use crate::controller::authority::{mounted, status_token};

/// Arguments of `swarmgate token`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operator's certificate authority
    #[arg(long, env = "SWARMGATE_CA_FILE", default_value = AUTHORITY_FILE, value_name = "FILE")]
    ca_file: PathBuf,
}

/// There is no authority here.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} does not exist here; run this in the operator's container: docker exec CONTAINER swarmgate token. Services read the token \
     from the secret with the label swarmgate.role=status-token"
)]
struct NoAuthority(String);

/// Prints it.
pub fn run(args: &Args) -> ExitCode {
    match mounted(&args.ca_file) {
        Ok(Some(authority)) => {
            // Nobody reads any more: that is no failure of ours.
            let _ = writeln!(std::io::stdout(), "{}", status_token(&authority));
            ExitCode::SUCCESS
        }
        Ok(None) => fail(&NoAuthority(args.ca_file.display().to_string())),
        Err(error) => fail(&error),
    }
}
