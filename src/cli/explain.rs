//! `swarmgate explain`: why a request is answered as it is, or the outcome of a service's labels.

use std::process::ExitCode;

use clap::ArgGroup;

use super::client_command::OutputFormat;
use super::query_target::{QueryArgs, QueryError};
use super::{client_command, operator_client};
use crate::api::routes::ExplainQuery;
use crate::controller::queries;
use crate::explain::{Explanation, ServiceExplanation};

/// Arguments of `swarmgate explain`. The exit code is 0 if the request reaches an application or a redirect (or if the
/// service has a route that is served), 1 if it does not or if the redirect leads to HTTPS on a host without a usable
/// certificate, and 2 if the arguments cannot be parsed.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("subject").required(true))]
pub struct Args {
    /// The URL of the request to explain
    #[arg(group = "subject")]
    url: Option<String>,
    /// Explain the request in this cluster only [default: in all clusters that listen for it]
    #[arg(long, conflicts_with = "service")]
    cluster: Option<String>,
    /// The source address of the connection to the proxy. If set, the scheme and port of the URL are those of that connection,
    /// and settings.clientAddress decides which headers are trusted [default: a load balancer in front, if the cluster has one,
    /// reports what the URL states]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "service")]
    from: Option<String>,
    /// With --from: a request header, such as 'X-Forwarded-Proto: https' or 'Forwarded: for=192.0.2.1;proto=https'
    #[arg(long, short = 'H', value_name = "NAME: VALUE", requires = "from")]
    header: Vec<String>,
    /// With --from: the PROXY header at the start of the connection, such as 'PROXY TCP4 203.0.113.9 10.0.0.5 51000 443'
    #[arg(long, value_name = "LINE", requires = "from")]
    proxy_protocol: Option<String>,
    /// Explain the labels of this service instead of a request
    #[arg(long, group = "subject")]
    service: Option<String>,
    #[command(flatten)]
    pub(super) target: QueryArgs,
    /// The output format
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    client_command::block_on(async move {
        match make(&args).await {
            Ok((text, reached)) => {
                args.output.print(&text);
                if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(failed) => failed.print(),
        }
    })
}

fn question(args: &Args) -> ExplainQuery {
    if let Some(service) = &args.service {
        return ExplainQuery::service(service.clone());
    }
    let mut query = ExplainQuery::request(args.url.clone().unwrap_or_default(), args.cluster.clone());
    query.from.clone_from(&args.from);
    query.headers = (!args.header.is_empty()).then(|| args.header.join("\n"));
    query.proxy.clone_from(&args.proxy_protocol);
    query
}

async fn make(args: &Args) -> Result<(String, bool), QueryError> {
    let query = question(args);
    let fields = [
        ("url", &query.url),
        ("cluster", &query.cluster),
        ("service", &query.service),
        ("from", &query.from),
        ("headers", &query.headers),
        ("proxy", &query.proxy),
    ];
    let json = args.target.query("/explain", &fields, |sources| queries::explain_response(sources, &query)).await?;
    // Parsed and serialized again, so that text and exit code are those of this version, whichever version answered.
    if args.service.is_some() {
        let answer: ServiceExplanation = operator_client::understood(&args.target.server.server, &json)?;
        return Ok((written(args.output, &answer, &json), answer.served));
    }
    let answer: Explanation = operator_client::understood(&args.target.server.server, &json)?;
    Ok((written(args.output, &answer, &json), answer.reached))
}

fn written(format: OutputFormat, answer: &impl ToString, json: &serde_json::Value) -> String {
    match format {
        OutputFormat::Text => answer.to_string(),
        OutputFormat::Json => format!("{json:#}"),
    }
}
