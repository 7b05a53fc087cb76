//! The order in which Swarm replaces a task: the same word in documents and in Swarm's service specs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order of starting and stopping when a task is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    /// The new task starts, then the old task stops.
    StartFirst,
    /// The old task stops, then the new task starts.
    StopFirst,
}

impl UpdateOrder {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartFirst => "start-first",
            Self::StopFirst => "stop-first",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UpdateOrder;

    #[test]
    fn documents_use_the_words_of_swarm() {
        for order in [UpdateOrder::StartFirst, UpdateOrder::StopFirst] {
            assert_eq!(serde_json::json!(order), order.as_str());
        }
    }
}
