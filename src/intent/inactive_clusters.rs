//! The declared clusters without a valid document so far: what they are for is partly known, so their services are not
//! treated as if nobody had declared a cluster for them. Must never hold anything of a document but what selects services.

use crate::types::ClusterName;

/// A declared cluster without any valid version of its document so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InactiveCluster {
    /// Its name.
    pub name: ClusterName,
    /// The label value of the services it is for, empty for services without the label; `None` if it cannot be read.
    pub label: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InactiveClusters {
    /// Those whose names are known.
    pub named: Vec<InactiveCluster>,
    /// Whether there may be others, in documents whose names could not be read.
    pub incomplete: bool,
}

impl InactiveClusters {
    /// The one for services with this value of the label `service_cluster`, empty for services without it.
    pub fn for_label(&self, label: &str) -> Option<&ClusterName> {
        self.named.iter().find(|cluster| cluster.label.as_deref() == Some(label)).map(|cluster| &cluster.name)
    }

    /// Whether one of them may be for any service.
    pub fn may_be_for_any(&self) -> bool {
        self.incomplete || self.named.iter().any(|cluster| cluster.label.is_none())
    }
}
