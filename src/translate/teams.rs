//! Whose a service is, as far as hosts are concerned: services of one team may share what they publish. The same labels decide
//! as for secrets (`grants`), an access label before a stack. Never looks at names: anybody can call a service anything.

use super::grants::{LABEL_ACCESS, text};
use super::published::stack_of;
use crate::swarm::Service;

/// Whose a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Team<'a> {
    access: Option<&'a str>,
    stack: Option<&'a str>,
}

impl<'a> Team<'a> {
    /// The team of a service.
    pub fn of(service: &'a Service) -> Self {
        Self { access: text(&service.labels, LABEL_ACCESS), stack: stack_of(service) }
    }

    /// Whether the two may share hosts: an access control lets the same people change both, or they are of one stack and no
    /// access control keeps them apart, or neither is of anything. A stack of which some services have an access label and some
    /// have none is one stack: people write such files.
    pub fn is_that_of(&self, other: &Self) -> bool {
        match (self.access, other.access) {
            (Some(own), Some(other)) => own == other,
            (None, None) => self.stack == other.stack,
            _ => self.stack.is_some() && self.stack == other.stack,
        }
    }
}
