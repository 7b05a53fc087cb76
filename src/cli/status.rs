//! `swarmgate status`: queries a running operator and prints its answer.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde::Deserialize;

use super::operator_client::{self, OperatorClient, OperatorClientError, ServerArgs};
use super::tables;
use crate::report::StatusReport;

/// Arguments of `swarmgate status`. The exit code is 0 if the Swarm has been read and every cluster is Ready, otherwise 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The output format
    #[arg(long, short, value_enum, default_value_t = StatusFormat::Table)]
    output: StatusFormat,
    /// Repeat the query every two seconds until interrupted
    #[arg(long, short)]
    watch: bool,
    /// Print the Swarm objects from which routes are computed instead, for `explain` and `render` elsewhere. The output contains
    /// labels, names, and addresses, but no environments, commands, or contents
    #[arg(long, conflicts_with_all = ["watch", "output"])]
    snapshot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusFormat {
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
    let readiness: Readiness = operator_client::parse(&args.server.server, &body)?;
    let text = match args.output {
        StatusFormat::Json => body,
        StatusFormat::Table => tables::status(&operator_client::parse::<StatusReport>(&args.server.server, &body)?),
    };
    Ok((text, readiness.is_ready()))
}

/// The part of a status report that determines the exit code. The rest may hold values that only a newer operator knows.
#[derive(Deserialize)]
struct Readiness {
    operator: OperatorReadiness,
    clusters: BTreeMap<String, ClusterReadiness>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperatorReadiness {
    last_snapshot_at: Option<String>,
    snapshot_error: Option<String>,
}

#[derive(Deserialize)]
struct ClusterReadiness {
    phase: String,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        let operator = &self.operator;
        let is_read = operator.last_snapshot_at.is_some() && operator.snapshot_error.is_none();
        is_read && self.clusters.values().all(|cluster| cluster.phase == "Ready")
    }
}

fn print(text: &str, watch: bool) {
    let mut out = std::io::stdout().lock();
    let clear = if watch && out.is_terminal() { "\u{1b}[H\u{1b}[2J" } else { "" };
    // A closed pipe (`status | head`) is not an error.
    let _ = writeln!(out, "{clear}{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::Phase;

    #[test]
    fn ready_means_that_the_swarm_has_been_read_and_every_cluster_is_ready() {
        let is_ready = |read: Option<&str>, error: Option<&str>, phases: &[&str]| {
            let clusters: BTreeMap<_, _> = phases.iter().map(|phase| (*phase, json!({"phase": phase, "news": 1}))).collect();
            let status = json!({"operator": {"lastSnapshotAt": read, "snapshotError": error, "news": 1}, "clusters": clusters});
            serde_json::from_value::<Readiness>(status).unwrap().is_ready()
        };
        let read = Some("2026-01-01T00:00:00Z");
        let ready = format!("{:?}", Phase::Ready);
        assert!(is_ready(read, None, &[&ready]) && is_ready(read, None, &[]));
        assert!(!is_ready(None, None, &[]), "before the first snapshot");
        assert!(!is_ready(read, Some("no manager"), &[&ready]));
        assert!(!is_ready(read, None, &[&ready, "Degraded"]) && !is_ready(read, None, &["PhaseOfANewerVersion"]));
    }
}
