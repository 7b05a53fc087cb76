//! `swarmgate plan`: what the next pass would do, as reported by a running operator or computed here, straight from the Docker
//! API.

use std::path::PathBuf;
use std::process::ExitCode;

use super::client_command::{self, OutputFormat};
use super::operator::SwarmArgs;
use super::operator_client::{OperatorClient, ServerArgs};
use crate::api::routes::QueryResponse;
use crate::controller::preview::preview_offline;

/// Arguments of `swarmgate plan`. Changes nothing. The exit code is 0 if the plan could be computed, whatever it contains.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Compute the plan without an operator, from these files or folders and the Docker API
    #[arg(long, value_delimiter = ',')]
    spec: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) swarm: SwarmArgs,
    /// The output format
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    client_command::block_on(async move {
        match make(&args).await {
            Ok(text) => {
                args.output.print(&text);
                ExitCode::SUCCESS
            }
            Err(error) => {
                client_command::print_note(&error);
                ExitCode::FAILURE
            }
        }
    })
}

async fn make(args: &Args) -> Result<String, String> {
    if args.spec.is_empty() {
        let path = match args.output {
            OutputFormat::Text => "/plan",
            OutputFormat::Json => "/plan?output=json",
        };
        let client = OperatorClient::new(&args.server).map_err(|error| client_command::with_causes(&error))?;
        return client.get(path).await.map_err(|error| client_command::with_causes(&error));
    }
    let swarm = args.swarm.connect().map_err(|error| client_command::with_causes(&error))?;
    let answer = preview_offline(&args.swarm.context(swarm), &args.spec).await?;
    Ok(written(args.output, &answer))
}

fn written(output: OutputFormat, answer: &QueryResponse) -> String {
    match output {
        OutputFormat::Text => answer.text.clone(),
        OutputFormat::Json => serde_json::to_string_pretty(&answer.json).unwrap_or_else(|error| error.to_string()),
    }
}
