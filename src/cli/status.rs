//! `swarmgate status`: queries a running operator and prints its answer.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use super::operator_client::{self, OperatorClient, OperatorClientError, ServerArgs};
use super::tables;
use crate::report::{Phase, StatusReport};

/// Arguments of `swarmgate status`. The exit code is 0 if every cluster is Ready, otherwise 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The output format
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Repeat the query every two seconds until interrupted
    #[arg(long, short)]
    watch: bool,
    /// Print the Swarm objects from which routes are computed instead, for `explain` and `render` elsewhere. The output contains
    /// labels, names, and addresses, but no environments, commands, or contents
    #[arg(long, conflicts_with_all = ["watch", "output"])]
    snapshot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// The operator's answer, unchanged
    Json,
}

/// The pause between two answers with `--watch`.
const WATCH_PERIOD: Duration = Duration::from_secs(2);

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    let client = match OperatorClient::new(&args.server) {
        Ok(client) => client,
        Err(error) => return super::client_command::fail(&error),
    };
    super::client_command::block_on(async move {
        loop {
            let code = show(&args, &client).await;
            if !args.watch {
                return code;
            }
            tokio::time::sleep(WATCH_PERIOD).await;
        }
    })
}

async fn show(args: &Args, client: &OperatorClient) -> ExitCode {
    match query(args, client).await {
        Ok((text, ready)) => {
            print(&text, args.watch);
            if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => super::client_command::fail(&error),
    }
}

async fn query(args: &Args, client: &OperatorClient) -> Result<(String, bool), OperatorClientError> {
    if args.snapshot {
        let body = client.get("/snapshot").await?;
        let snapshot: serde_json::Value = operator_client::parse(&args.server.server, &body)?;
        return Ok((format!("{snapshot:#}"), true));
    }
    let body = client.get("/status").await?;
    let status: StatusReport = operator_client::parse(&args.server.server, &body)?;
    let ready = status.operator.snapshot_error.is_none() && status.clusters.values().all(|cluster| cluster.phase == Phase::Ready);
    let text = match args.output {
        Output::Json => body,
        Output::Table => tables::status(&status),
    };
    Ok((text, ready))
}

fn print(text: &str, watch: bool) {
    let mut out = std::io::stdout().lock();
    let clear = if watch && out.is_terminal() { "\u{1b}[H\u{1b}[2J" } else { "" };
    // A closed pipe (`status | head`) is not an error.
    let _ = writeln!(out, "{clear}{}", text.trim_end());
}
