//! The checked rules on which services may use which secrets and configs: what an administrator grants beyond the services'
//! own. Created only by the document reader.

use crate::types::{ObjectGlob, ServiceGlob};

/// What an administrator grants. Nothing by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaterialRules {
    /// Everything, to every service.
    Anyone,
    /// What one of the rules grants.
    Rules(Vec<MaterialRule>),
}

impl MaterialRules {
    /// Whether anything is granted at all.
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
    /// The services; `None`: any.
    pub services: Option<Vec<ServiceGlob>>,
    /// The stacks; `None`: any, including no stack.
    pub stacks: Option<Vec<ServiceGlob>>,
    /// The access labels; `None`: any, including no label.
    pub access_labels: Option<Vec<String>>,
}
