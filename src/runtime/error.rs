//! The errors of engines. Messages of the program in here contain no paths of this machine and no secrets.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a configuration could not be accepted, or an engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine read the configuration and refused it. Its own message, at most 4 KiB.
    #[error("the engine rejected the configuration: {0}")]
    Refused(String),
    /// The program could not be started.
    #[error("cannot start the engine {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The program did not finish in time.
    #[error("the engine did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The engine exited before it served.
    #[error("the engine exited unexpectedly ({status}); its last output: {message}")]
    Exited {
        /// How it exited.
        status: ExitStatus,
        /// The last lines it wrote.
        message: String,
    },
    /// A file or directory could not be written.
    #[error("cannot write the engine's files to {path}: {source}")]
    Write {
        /// The path.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl EngineError {
    /// A file or directory could not be written.
    pub fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.display().to_string(), source }
    }

    /// Whether the engine refused the configuration. Any other error says nothing about it: the engine could not be run.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Why a tested configuration is not in effect.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The running engine refused it: its own message.
    #[error("{0}")]
    Refused(String),
    /// The engine did not finish in time.
    #[error("the engine did not replace its workers within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The engine has exited.
    #[error("the engine has exited")]
    Exited,
}
