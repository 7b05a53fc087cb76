//! `swarmgate plan`: what the next pass would do, as reported by a running operator or computed here, straight from the Docker
//! API.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::client_command;
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
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    client_command::block_on(async move {
        match make(&args).await {
            Ok(text) => {
                match args.output {
                    Output::Text => client_command::print(&text),
                    Output::Json => client_command::print_as_it_is(&text),
                }
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
            Output::Text => "/plan",
            Output::Json => "/plan?output=json",
        };
        let client = OperatorClient::new(&args.server).map_err(|error| client_command::with_causes(&error))?;
        return client.get(path).await.map_err(|error| client_command::with_causes(&error));
    }
    let swarm = args.swarm.connect().map_err(|error| client_command::with_causes(&error))?;
    let answer = preview_offline(&args.swarm.context(swarm), &args.spec).await?;
    Ok(written(args.output, &answer))
}

fn written(output: Output, answer: &QueryResponse) -> String {
    match output {
        Output::Text => answer.text.clone(),
        Output::Json => serde_json::to_string_pretty(&answer.json).unwrap_or_else(|error| error.to_string()),
    }
}
