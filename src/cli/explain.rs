//! `swarmgate explain`: why a request is answered as it is, or what became of a service's labels.

use std::process::ExitCode;

use clap::ValueEnum;

use super::questions::{Failed, LookArgs};
use super::{edge, web};
use crate::controller::questions;
use crate::explain::{Explanation, ServiceExplanation};
use crate::telemetry::endpoints::ExplainQuery;

/// Arguments of `swarmgate explain`. The exit code is 0 when the request reaches an application or a redirect (or the
/// service has a route that is served), 1 when not, 2 when the question cannot be meant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request to follow
    #[arg(required_unless_present = "service", conflicts_with = "service")]
    url: Option<String>,
    /// In this cluster only [default: all that listen for it]
    #[arg(long, conflicts_with = "service")]
    cluster: Option<String>,
    /// Say what became of the labels of this service instead
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    pub(super) look: LookArgs,
    /// How to write the answer
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs (`swarmgate schema explanation`)
    Json,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    edge::block_on(async move {
        match make(&args).await {
            Ok((text, reached)) => {
                edge::print(&text);
                if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(failed) => failed.tell(),
        }
    })
}

async fn make(args: &Args) -> Result<(String, bool), Failed> {
    let query = match (&args.url, &args.service) {
        (_, Some(service)) => ExplainQuery::service(service.clone()),
        (url, None) => ExplainQuery::request(url.clone().unwrap_or_default(), args.cluster.clone()),
    };
    let fields = [("url", &query.url), ("cluster", &query.cluster), ("service", &query.service)];
    let json = args.look.ask("/explain", &fields, |sources| questions::explained(sources, &query)).await?;
    // Read and written again, so that text and exit code are those of this version whoever answered.
    if args.service.is_some() {
        let told: ServiceExplanation = web::understood(&args.look.server.server, &json)?;
        return Ok((args.output.written(&told, &json), told.served));
    }
    let told: Explanation = web::understood(&args.look.server.server, &json)?;
    Ok((args.output.written(&told, &json), told.reached))
}

impl Output {
    fn written(self, told: &impl ToString, json: &serde_json::Value) -> String {
        match self {
            Self::Text => told.to_string(),
            Self::Json => format!("{json:#}"),
        }
    }
}
