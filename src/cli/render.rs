//! `swarmgate render`: prints the engine's configuration of a cluster.

use std::process::ExitCode;

use clap::ValueEnum;

use super::query_target::{QueryArgs, QueryError};
use super::{client_command, operator_client};
use crate::api::routes::RenderQuery;
use crate::controller::queries;
use crate::explain::RenderedConfig;

/// Arguments of `swarmgate render`. Certificates and keys are named, never printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster whose configuration is printed [default: the only one]
    #[arg(long)]
    cluster: Option<String>,
    /// The purpose of the configuration [default: what the proxies of the cluster run]
    #[arg(long, value_enum)]
    purpose: Option<PurposeArg>,
    #[command(flatten)]
    pub(super) target: QueryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PurposeArg {
    /// For running proxies, with addresses. Names of certificate files are placeholders, because only the extension reads secrets
    Live,
    /// For a proxy that starts while neither operator nor extension answers, with names
    Boot,
    /// For a stock image (`rollout: replace`)
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
            Err(failed) => failed.print(),
        }
    })
}

async fn make(args: &Args) -> Result<String, QueryError> {
    let purpose = args.purpose.map(|purpose| format!("{purpose:?}").to_lowercase());
    let query = RenderQuery::new(args.cluster.clone(), purpose);
    let fields = [("cluster", &query.cluster), ("purpose", &query.purpose)];
    let json = args.target.query("/render", &fields, |sources| queries::render_response(sources, &query)).await?;
    let configuration: RenderedConfig = operator_client::understood(&args.target.server.server, &json)?;
    Ok(configuration.to_string())
}
