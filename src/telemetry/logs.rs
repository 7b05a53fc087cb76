//! Logs: one line per event on standard error, for humans or as JSON. Set up once per process, by the command line.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutputFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Invalid input: the filter does not have `tracing-subscriber`'s syntax.
    #[error("invalid log filter '{filter}' (examples: 'info', 'swarmgate=debug,info'): {source}")]
    Filter {
        /// The filter given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Cannot happen in the program: logging was already set up.
    #[error("setting up logs: {0}")]
    Twice(TryInitError),
}

/// Sets up logs for the whole process.
pub fn init(format: LogOutputFormat, filter: &str) -> Result<(), LogsError> {
    let parsed = EnvFilter::try_new(filter).map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    match format {
        LogOutputFormat::Human => builder.finish().try_init(),
        LogOutputFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(LogsError::Twice)
}

#[cfg(test)]
mod tests {
    use super::{LogOutputFormat, LogsError, init};

    #[test]
    fn a_wrong_filter_is_named_in_the_error() {
        let error = init(LogOutputFormat::Human, "swarmgate=loud").expect_err("'loud' is not a level");
        assert!(matches!(&error, LogsError::Filter { .. }));
        assert!(error.to_string().contains("swarmgate=loud"), "{error}");
    }
}
