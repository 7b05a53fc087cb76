//! What a document declares, whatever its kind. Each kind has one type for it; code that needs a kind asks for its type.
//!
//! It must never name a kind.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crate::types::ClusterName;

/// What a document declares, or that it is broken.
pub trait DeclaredObject: Any + Debug + Send + Sync {
    /// Whether the document is valid.
    fn is_valid(&self) -> bool;

    /// Whether both are of one type and equal.
    fn is_equal(&self, other: &dyn DeclaredObject) -> bool;
}

impl PartialEq for dyn DeclaredObject {
    fn eq(&self, other: &Self) -> bool {
        self.is_equal(other)
    }
}

impl Eq for dyn DeclaredObject {}

impl dyn DeclaredObject {
    /// The object, if it is of this type.
    pub fn of_type<T: DeclaredObject>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The kind and the name of a document.
pub type ObjectKey = (&'static str, ClusterName);

/// What documents declare, by kind and name, each name of a kind once.
pub type DeclaredObjects = BTreeMap<ObjectKey, Arc<dyn DeclaredObject>>;
