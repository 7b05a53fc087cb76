//! The team of a service, which decides about hosts: services of one team may share what they publish. Decided by the same
//! labels as for secrets (`reference_grants`), an access label before a stack. Never looks at names: anyone can call a service
//! anything.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Add;

use super::published_service::stack_of;
use super::reference_grants::{LABEL_ACCESS, text};
use crate::swarm::Service;
use crate::types::excerpt;

/// The most characters shown of a label.
const SHOWN_CHARS: usize = 80;

/// The team of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Team<'a> {
    access: Option<&'a str>,
    stack: Option<&'a str>,
}

impl<'a> Team<'a> {
    /// The team of a service.
    pub fn new(service: &'a Service) -> Self {
        Self { access: text(&service.labels, LABEL_ACCESS), stack: stack_of(service) }
    }

    /// A key for records about teams, equal for equal teams; empty for the team of services without labels.
    pub fn key(&self) -> String {
        match (self.access, self.stack) {
            (Some(access), _) => format!("access {access}"),
            (None, Some(stack)) => format!("stack {stack}"),
            (None, None) => String::new(),
        }
    }

    /// Who is responsible for what the team does: the owners of one access label, whatever stacks they name for their
    /// services; otherwise the stack.
    #[must_use]
    pub fn owner(&self) -> Self {
        Self { stack: self.stack.filter(|_| self.access.is_none()), ..*self }
    }

    /// How a service of another team differs from one of this team, as text that follows a name. Services of one stack, or
    /// of none, can only differ by their access labels.
    pub fn difference(&self, other: &Self) -> TeamDifference {
        if self.stack == other.stack { TeamDifference::ByAccess } else { TeamDifference::ByStack }
    }

    /// Whether the two may share hosts: access control lets the same people change both, or they belong to one stack and no
    /// access control separates them, or neither belongs to anything. A stack in which only some services have an access
    /// label is one stack: such stack files exist.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.access, other.access) {
            (Some(own), Some(other)) => own == other,
            (None, None) => self.stack == other.stack,
            _ => self.stack.is_some() && self.stack == other.stack,
        }
    }
}

/// Why two services belong to two teams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TeamDifference {
    /// They belong to different stacks.
    ByStack,
    /// They belong to one stack and have different access labels.
    ByAccess,
}

impl fmt::Display for TeamDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByStack => "of another stack",
            Self::ByAccess => "with another access label",
        })
    }
}

impl fmt::Display for Team<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.access, self.stack) {
            (Some(access), _) => write!(f, "the access label {}", excerpt(access, SHOWN_CHARS)),
            (None, Some(stack)) => write!(f, "the stack {}", excerpt(stack, SHOWN_CHARS)),
            (None, None) => f.write_str("no stack and no access label"),
        }
    }
}

/// Sums of amounts by team. Services of one team need not have equal labels ([`Team::is_same`]), and two services that
/// share a team with a third one need not share one with each other. So sums are kept by the labels that services can have
/// in common. A sum costs one or two look-ups, however many teams there are.
#[derive(Debug, Default)]
pub struct TeamTotals<'a, T> {
    by_access: BTreeMap<&'a str, T>,
    /// Those with an access label a second time, by stack.
    by_stack: BTreeMap<&'a str, T>,
    without_access: BTreeMap<Option<&'a str>, T>,
}

impl<'a, T: Copy + Default + Add<Output = T>> TeamTotals<'a, T> {
    /// Adds the amount of a service.
    pub fn add(&mut self, team: Team<'a>, amount: T) {
        let Some(access) = team.access else { return add(&mut self.without_access, team.stack, amount) };
        add(&mut self.by_access, access, amount);
        if let Some(stack) = team.stack {
            add(&mut self.by_stack, stack, amount);
        }
    }

    /// The sum over all services that are of one team with this one.
    pub fn total(&self, team: &Team<'a>) -> T {
        let without_access = || get(&self.without_access, &team.stack);
        match (team.access, team.stack) {
            (Some(access), None) => get(&self.by_access, &access),
            (Some(access), Some(_)) => get(&self.by_access, &access) + without_access(),
            (None, Some(stack)) => get(&self.by_stack, &stack) + without_access(),
            (None, None) => without_access(),
        }
    }
}

fn add<K: Ord, T: Copy + Default + Add<Output = T>>(sums: &mut BTreeMap<K, T>, key: K, amount: T) {
    let sum = sums.entry(key).or_default();
    *sum = *sum + amount;
}

fn get<K: Ord, T: Copy + Default>(sums: &BTreeMap<K, T>, key: &K) -> T {
    sums.get(key).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [Option<&str>; 3] = [None, Some("a"), Some("b")];

    fn teams() -> impl Iterator<Item = Team<'static>> {
        NAMES.into_iter().flat_map(|access| NAMES.into_iter().map(move |stack| Team { access, stack }))
    }

    /// Each team adds a number of its own, so every sum shows which teams it contains.
    #[test]
    fn the_sum_of_a_team_covers_all_services_that_share_a_team_with_it() {
        let mut counted = TeamTotals::default();
        for (at, team) in teams().enumerate() {
            counted.add(team, 1_u32 << at);
        }
        for team in teams() {
            let expected: u32 = teams().enumerate().filter(|(_, other)| team.is_same(other)).map(|(at, _)| 1 << at).sum();
            assert_eq!(counted.total(&team), expected, "{team:?}");
        }
    }

    /// Under one access label anyone can name any stack.
    #[test]
    fn the_access_label_or_else_the_stack_is_responsible() {
        let answering = |access, stack| Team { access, stack }.owner();
        assert_eq!(answering(Some("/prod"), Some("shop")), answering(Some("/prod"), Some("made-up")));
        assert_ne!(answering(Some("/prod"), Some("shop")), answering(Some("/dev"), Some("shop")));
        assert_ne!(answering(None, Some("shop")), answering(None, Some("other")));
        assert_ne!(answering(None, Some("shop")), answering(Some("/prod"), Some("shop")));
    }

    #[test]
    fn a_team_is_named_by_its_access_label_or_stack() {
        let named = |access, stack| Team { access, stack }.to_string();
        assert_eq!(named(Some("/prod"), Some("shop")), "the access label /prod");
        assert_eq!(named(None, Some("shop")), "the stack shop");
        assert_eq!(named(None, None), "no stack and no access label");
        assert_eq!(named(None, Some(&"s".repeat(500))).len(), "the stack ".len() + SHOWN_CHARS);
    }
}
