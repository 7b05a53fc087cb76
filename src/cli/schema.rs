//! `swarmgate schema`: prints the generated JSON Schemas, so that editors and other programs need no copy of them.

use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::Value;

use crate::explain::{Explanation, ServiceExplanation};
use crate::intent::json_schema::{cluster_schema, message_schema};
use crate::report::StatusReport;

/// Arguments of `swarmgate schema`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Args {
    /// The document or message to describe
    #[arg(value_enum, default_value_t = Subject::Cluster)]
    subject: Subject,
}

/// What a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// ServiceCluster documents
    Cluster,
    /// The status report (GET /status)
    Status,
    /// Every message between operator, extension, and proxy
    Wire,
    /// The explanation of a request (GET /explain?url=...)
    Explanation,
    /// The explanation of a service (GET /explain?service=...)
    ServiceExplanation,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    // A closed pipe is not an error.
    let _ = std::io::stdout().write_all(text(args.subject).as_bytes());
    ExitCode::SUCCESS
}

/// The schema as JSON text with a final newline, the same bytes each time.
pub fn text(subject: Subject) -> String {
    let schema = match subject {
        Subject::Cluster => cluster_schema(),
        Subject::Status => message_schema::<StatusReport>(),
        Subject::Wire => crate::protocol::schema(),
        Subject::Explanation => message_schema::<Explanation>(),
        Subject::ServiceExplanation => message_schema::<ServiceExplanation>(),
    };
    pretty(&schema)
}

fn pretty(schema: &Value) -> String {
    format!("{schema:#}\n")
}
