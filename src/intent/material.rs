//! Who may use which secrets and configs, as it is meant: what an administrator opens beyond what is everybody's own. Only
//! the document reader makes it.

use crate::types::{ObjectGlob, ServiceGlob};

/// What an administrator opens. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaterialRules {
    /// Everything, to every service.
    Anyone,
    /// What one of the rules opens.
    Rules(Vec<MaterialRule>),
}

impl MaterialRules {
    /// Whether anything is opened at all.
    pub fn open_anything(&self) -> bool {
        !matches!(self, Self::Rules(rules) if rules.is_empty())
    }
}

impl Default for MaterialRules {
    fn default() -> Self {
        Self::Rules(Vec::new())
    }
}

/// Objects, and the services that may use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterialRule {
    /// The objects, by full name.
    pub name: ObjectGlob,
    /// The services; absent: any.
    pub services: Option<Vec<ServiceGlob>>,
    /// The stacks; absent: any, and none.
    pub stacks: Option<Vec<ServiceGlob>>,
    /// The access labels; absent: any, and none.
    pub access_labels: Option<Vec<String>>,
}
