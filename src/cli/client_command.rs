//! Shared by the subcommands that query and print: a runtime of their own, and the only place where errors and their causes
//! are printed.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::types::visible_lines;

/// How a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Text,
    /// For programs; `swarmgate schema` prints the schemas
    Json,
}

impl OutputFormat {
    /// Prints a result in this format.
    pub fn print(self, text: &str) {
        match self {
            Self::Text => print(text),
            Self::Json => print_as_it_is(text),
        }
    }
}

/// The exit code for invalid arguments.
pub const WRONG_USAGE: u8 = 2;

/// Runs to completion on this thread, which is enough for subcommands that send a query.
pub fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(&error),
    }
}

/// Prints an answer for people, with control characters made visible: untrusted text cannot steer the terminal. A closed pipe
/// (`explain | head`) is not an error.
pub fn print(text: &str) {
    print_as_it_is(&visible_lines(text.trim_end()));
}

/// Prints an answer for programs.
pub fn print_as_it_is(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Prints a message for people on standard error.
pub fn print_note(text: &str) {
    let _ = writeln!(std::io::stderr(), "swarmgate: {}", visible_lines(text));
}

/// Prints what failed and why on standard error; returns the exit code for "failed".
pub fn fail(error: &dyn Error) -> ExitCode {
    print_note(&with_causes(error));
    ExitCode::FAILURE
}

/// An error and its causes on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        // Some libraries include their cause in their own message.
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}
