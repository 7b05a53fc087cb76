//! The edge of the program for the subcommands that ask and answer: a runtime of their own, and the one place where an
//! error and its causes are printed.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use crate::types::visible_lines;

/// The exit code for arguments that cannot be meant.
pub const WRONG_USAGE: u8 = 2;

/// Runs to the end on this thread. Subcommands that ask something need no more.
pub fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(&error),
    }
}

/// Prints an answer for people: what others wrote in it steers no terminal. Nobody reads any more (`explain | head`): that is
/// no failure of ours.
pub fn print(text: &str) {
    print_as_it_is(&visible_lines(text.trim_end()));
}

/// Prints an answer for programs.
pub fn print_as_it_is(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// Says something to people on standard error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "swarmgate: {}", visible_lines(text));
}

/// Prints what failed and why on standard error; the code for "failed".
pub fn fail(error: &dyn Error) -> ExitCode {
    say(&with_causes(error));
    ExitCode::FAILURE
}

/// An error and its causes on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}
