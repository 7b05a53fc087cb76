//! Shared by the long-running subcommands: logs, a runtime that ends at once, and the signals that ask for the end.

use std::error::Error;
use std::process::ExitCode;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client_command::fail;
use crate::telemetry::logs::{self, LogOutputFormat, LogsError};

/// The format and level of logs.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// The format of log lines
    #[arg(long, env = "SWARMGATE_LOG_FORMAT", value_enum, default_value_t = LogFormatArg::Human)]
    log_format: LogFormatArg,
    /// What to log: a level, or a level for each module ('swarmgate=debug,info')
    #[arg(long, env = "SWARMGATE_LOG", default_value = "info")]
    log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// For people
    Human,
    /// One JSON object per line
    Json,
}

impl LogArgs {
    /// Sets up logs for this process.
    pub fn init(&self) -> Result<(), LogsError> {
        let format = match self.log_format {
            LogFormatArg::Human => LogOutputFormat::Human,
            LogFormatArg::Json => LogOutputFormat::Json,
        };
        logs::init(format, &self.log)
    }
}

/// Runs a service to its end. Does not wait for threads that are still blocked on something outside (a name server).
pub fn on_runtime<E: Error>(work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Cancels the token at the first SIGTERM, SIGINT or SIGQUIT.
pub async fn stop_requested(token: CancellationToken) {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()];
    if let [Ok(mut terminate), Ok(mut interrupt), Ok(mut quit)] = kinds.map(signal) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
        }
    } else {
        tracing::error!("Cannot receive signals; stopping");
    }
    token.cancel();
}
