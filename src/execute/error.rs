//! Why a step was not carried out.

use crate::swarm::{SwarmError, SwarmErrorKind};

/// A step that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Swarm refused the step or could not be reached.
    #[error(transparent)]
    Refused {
        /// What was attempted, and Swarm's message.
        source: SwarmError,
    },
    /// The step was not attempted because something that it needs is missing.
    #[error("{step}: skipped, because it needs {needs}")]
    Skipped {
        /// The step's title.
        step: String,
        /// What is missing.
        needs: String,
    },
}

impl StepError {
    /// A stable value for metrics and status.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Skipped { .. } => "skipped",
            Self::Refused { source } => match source.kind {
                SwarmErrorKind::Invalid => "invalid",
                SwarmErrorKind::Unavailable => "unavailable",
                SwarmErrorKind::InUse => "in_use",
                SwarmErrorKind::NotFound => "not_found",
                SwarmErrorKind::NameTaken => "name_taken",
                SwarmErrorKind::OutOfSequence => "superseded",
                SwarmErrorKind::Other => "failed",
            },
        }
    }

    /// Whether the Swarm could not be reached, so that further steps are pointless.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused { source } if source.kind == SwarmErrorKind::Unavailable)
    }
}
