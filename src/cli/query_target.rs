//! Where queries are answered: by a running operator, or here, from spec files and a snapshot (a file, or the Docker API).

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::operator::SwarmArgs;
use super::operator_client::{OperatorClient, OperatorClientError, ServerArgs};
use super::{client_command, operator_client};
use crate::api::routes::{QueryFailure, QueryResponse};
use crate::controller::snapshot_cache::observe;
use crate::declaration::{Declared, spec_files};
use crate::explain::Sources;
use crate::intent::cluster::Cluster;
use crate::swarm::{RawSnapshot, Snapshot, Swarm as _};

/// The source of the answer.
#[derive(Debug, clap::Args)]
pub struct QueryArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Answer without an operator, from these files or folders
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    spec: Vec<PathBuf>,
    /// With --spec: a snapshot of the Swarm, as written by `swarmgate status --snapshot` [default: read the Docker API]
    #[arg(long, requires = "spec")]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    pub(super) swarm: SwarmArgs,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The operator does not answer, or not properly.
    #[error(transparent)]
    Web(#[from] OperatorClientError),
    /// The query has no answer.
    #[error(transparent)]
    Trouble(#[from] QueryFailure),
    /// The input for the answer cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl QueryError {
    /// Prints the error; the exit code shows whether the query or something else is at fault.
    pub fn print(&self) -> ExitCode {
        let wrong = matches!(self, Self::Trouble(QueryFailure::Wrong(_)) | Self::Web(OperatorClientError::Refused { status: 400, .. }));
        let code = client_command::fail(self);
        if wrong { ExitCode::from(client_command::WRONG_USAGE) } else { code }
    }
}

impl QueryArgs {
    /// The answer as JSON: requested at `path` with these fields, or computed here by `make`.
    pub async fn query(
        &self,
        path: &str,
        fields: &[(&str, &Option<String>)],
        make: impl FnOnce(&Sources<'_>) -> Result<QueryResponse, QueryFailure>,
    ) -> Result<Value, QueryError> {
        if self.spec.is_empty() {
            let given: Vec<(&str, &str)> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let query: Vec<(&str, &str)> = given.into_iter().chain([("output", "json")]).collect();
            let body = OperatorClient::new(&self.server)?.query(path, &query).await?;
            return Ok(operator_client::parse(&self.server.server, &body)?);
        }
        let declared = self.declared();
        let clusters: Vec<Cluster> = declared.in_force().map(|cluster| cluster.as_ref().clone()).collect();
        if clusters.is_empty() {
            return Err(QueryError::Unreadable("the spec declares no valid cluster".to_owned()));
        }
        let (inactive, snapshot) = (declared.inactive(), self.snapshot().await?);
        Ok(make(&Sources { clusters: &clusters, inactive: &inactive, snapshot: &snapshot, held: &[], status: None })?.json)
    }

    /// The declaration of the files, as for an operator that has just started. Mistakes in it are printed.
    fn declared(&self) -> Declared {
        let declared = Declared::default().after(&spec_files::read(&self.spec));
        for finding in &declared.findings {
            client_command::print_note(&finding.to_string());
        }
        declared
    }

    async fn snapshot(&self) -> Result<Snapshot, QueryError> {
        let unreadable = |what: String| QueryError::Unreadable(what);
        let Some(path) = &self.snapshot else {
            let swarm = self.swarm.connect().map_err(|error| unreadable(client_command::with_causes(&error)))?;
            let seen = observe(&swarm).await.map_err(unreadable)?;
            let stopping = swarm.stopping_tasks().await.map_err(|error| unreadable(error.to_string()))?;
            return seen.as_ref().clone().with_stopping(&stopping).map_err(|error| unreadable(error.to_string()));
        };
        let named = |error: &dyn std::fmt::Display| unreadable(format!("cannot read the snapshot {}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
        let raw: RawSnapshot = serde_json::from_str(&text).map_err(|error| named(&error))?;
        Snapshot::from_raw(&raw).map_err(|error| named(&error))
    }
}
