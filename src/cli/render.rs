//! `swarmgate render`: prints the engine's configuration of a cluster.

use std::process::ExitCode;

use clap::ValueEnum;

use super::query_target::{AnswerError, LookArgs};
use super::{client_command, operator_client};
use crate::api::routes::RenderQuery;
use crate::controller::queries;
use crate::explain::Configuration;

/// Arguments of `swarmgate render`. Certificates and keys are named, never printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of this cluster [default: the only one]
    #[arg(long)]
    cluster: Option<String>,
    /// For whom it is written [default: for the proxies of the cluster]
    #[arg(long, value_enum)]
    purpose: Option<Purpose>,
    #[command(flatten)]
    pub(super) look: LookArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// What running proxies are given: with addresses. Names of certificate files are stand-ins: only the extension reads secrets
    Live,
    /// What a proxy starts with when nobody answers: with names
    Boot,
    /// What a stock image is given (`rollout: replace`)
    Stock,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    client_command::block_on(async move {
        match make(&args).await {
            Ok(text) => {
                // The engine's own file, byte for byte.
                client_command::print_as_it_is(&text);
                ExitCode::SUCCESS
            }
            Err(failed) => failed.tell(),
        }
    })
}

async fn make(args: &Args) -> Result<String, AnswerError> {
    let purpose = args.purpose.map(|purpose| format!("{purpose:?}").to_lowercase());
    let query = RenderQuery::new(args.cluster.clone(), purpose);
    let fields = [("cluster", &query.cluster), ("purpose", &query.purpose)];
    let json = args.look.ask("/render", &fields, |sources| queries::rendered(sources, &query)).await?;
    let configuration: Configuration = operator_client::understood(&args.look.server.server, &json)?;
    Ok(configuration.to_string())
}
