//! `swarmgate schema`: prints the generated JSON Schemas, so that editors and other programs need no copy of them. Every kind of
//! document has one.

use std::io::Write as _;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser};
use serde_json::Value;

use super::client_command;
use crate::explain::{Explanation, ServiceExplanation};
use crate::intent::documents::{DocumentKind, document_kinds};
use crate::intent::json_schema::message_schema;
use crate::report::StatusReport;

/// Arguments of `swarmgate schema`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The kind of document, or the message, to describe
    #[arg(value_name = "KIND", value_parser = parser(document_kinds()), default_value = default_kind(), ignore_case = true)]
    subject: String,
}

/// Cannot happen: the arguments are checked when they are read.
#[derive(Debug, thiserror::Error)]
#[error("there is no schema for {0}")]
struct NoSchema(String);

/// A message or report, which has a schema like a kind of document.
struct Message {
    name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
}

const MESSAGES: &[Message] = &[
    Message { name: "status", about: "The status report (GET /status)", schema: message_schema::<StatusReport> },
    Message { name: "wire", about: "Every message between operator, extension, and proxy", schema: crate::protocol::schema },
    Message { name: "explanation", about: "The explanation of a request (GET /explain?url=...)", schema: message_schema::<Explanation> },
    Message {
        name: "service-explanation",
        about: "The explanation of a service (GET /explain?service=...)",
        schema: message_schema::<ServiceExplanation>,
    },
];

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    let Some(text) = text(&args.subject) else {
        return client_command::fail(&NoSchema(args.subject.clone()));
    };
    // A closed pipe is not an error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// The names of everything that has a schema: kinds of documents first, then messages.
pub fn names() -> impl Iterator<Item = &'static str> {
    document_kinds().iter().map(|kind| kind.name()).chain(MESSAGES.iter().map(|message| message.name))
}

/// A schema as JSON text with a final newline, the same bytes each time.
pub fn text(subject: &str) -> Option<String> {
    text_of(document_kinds(), subject)
}

fn text_of(kinds: &[&DocumentKind], subject: &str) -> Option<String> {
    let is_requested = |name: &str| name.eq_ignore_ascii_case(subject);
    let schema = match kinds.iter().find(|kind| is_requested(kind.name()) || is_requested(kind.short_name())) {
        Some(kind) => kind.json_schema().clone(),
        None => (MESSAGES.iter().find(|message| is_requested(message.name))?.schema)(),
    };
    Some(format!("{schema:#}\n"))
}

/// Takes the names of kinds and messages. Its error names all of them.
fn parser(kinds: &[&DocumentKind]) -> PossibleValuesParser {
    let documents =
        kinds.iter().map(|kind| PossibleValue::new(kind.name()).alias(kind.short_name()).help(format!("{} documents", kind.name())));
    let messages = MESSAGES.iter().map(|message| PossibleValue::new(message.name).help(message.about));
    PossibleValuesParser::new(documents.chain(messages))
}

fn default_kind() -> &'static str {
    document_kinds().first().map_or("status", |kind| kind.name())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;
    use crate::intent::documents::KINDS_WITH_ONE_MORE;

    /// What a command line with another kind makes of an argument.
    fn read(argument: &str) -> Result<String, String> {
        let kind = Arg::new("KIND").value_parser(parser(KINDS_WITH_ONE_MORE)).ignore_case(true);
        let read = Command::new("schema").arg(kind).try_get_matches_from(["schema", argument]);
        read.map(|read| read.get_one::<String>("KIND").cloned().unwrap_or_default()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_document_has_a_schema() {
        for (name, field) in [("ServiceCluster", "serviceCluster"), ("cluster", "serviceCluster"), ("Site", "tag"), ("site", "tag")] {
            let schema = text_of(KINDS_WITH_ONE_MORE, &read(name).unwrap()).unwrap();
            let schema: Value = serde_json::from_str(&schema).unwrap();
            assert!(schema["properties"]["spec"]["properties"].get(field).is_some(), "{name} has {field}: {schema}");
        }
        assert_eq!(text("Site"), None);
    }

    #[test]
    fn an_unknown_kind_is_an_error_that_names_the_known_ones() {
        let error = read("Deployment").unwrap_err();
        for name in ["Deployment", "ServiceCluster", "Site", "status", "wire", "explanation", "service-explanation"] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn service_cluster_is_the_default() {
        assert_eq!(default_kind(), "ServiceCluster");
        assert!(names().all(|name| text(name).is_some()));
    }
}
