//! Resolves the name of a secret or config in a label: to the nearest object that the service may use. Knowing a name gives
//! no right; a grant does, from the labels of service and object, from the object's `use-by` label, or from the
//! administrator. `docs/decisions/secret-grants.md` explains why.
//!
//! It must never look at contents, at other services, or at who came first: a grant depends on one service, one object and
//! the cluster's document. An object without a grant must never change what a name resolves to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;

use super::published_service::stack_in;
use crate::intent::reference_grants::{MaterialRule, MaterialRules};
use crate::intent::suggest::nearest;
use crate::protocol::container_contract::{LABEL_OWNER, LABEL_ROLE};
use crate::route::MaterialKind;
use crate::swarm::{Labels, Service, Snapshot};
use crate::types::{ServiceGlob, ServiceName};

/// The label of a secret or config that lists who may use it.
pub const LABEL_USE_BY: &str = "swarmgate.use-by";
/// The label with which access control in front of the Docker API separates teams: the path of a collection.
pub const LABEL_ACCESS: &str = "com.docker.ucp.access.label";

/// Names whose lengths differ by more bytes are not treated as typos of each other.
const NEAR_BYTES: usize = 3;
/// The most objects that are searched for a similar name.
const CANDIDATES_MAX: usize = 1_000;

/// An access label, or a stack, or neither.
type Group<'a> = (Option<&'a str>, Option<&'a str>);

/// The owner of a service or object, as far as its labels show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnerLabels<'a> {
    access: Option<&'a str>,
    stack: Option<&'a str>,
}

impl<'a> OwnerLabels<'a> {
    fn of(labels: &'a Labels) -> Self {
        Self { access: text(labels, LABEL_ACCESS), stack: stack_in(labels) }
    }

    /// The group whose names are searched: the access label, otherwise the stack.
    fn group(&self) -> Group<'a> {
        (self.access, self.stack.filter(|_| self.access.is_none()))
    }
}

/// The value of a label without surrounding blanks. An empty value is treated as absent.
pub fn text<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    labels.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
}

/// The service that names an object.
#[derive(Debug, Clone, Copy)]
pub struct ReferencingService<'a> {
    name: &'a str,
    owner: OwnerLabels<'a>,
}

impl<'a> ReferencingService<'a> {
    /// From a service.
    pub fn new(service: &'a Service) -> Self {
        Self { name: &service.name, owner: OwnerLabels::of(&service.labels) }
    }

    /// Its access label.
    pub fn access(&self) -> Option<&'a str> {
        self.owner.access
    }

    /// Its stack.
    pub fn stack(&self) -> Option<&'a str> {
        self.owner.stack
    }

    /// The name in the service's stack file of an object of its stack with this full name.
    fn in_stack_file<'n>(&self, full: &'n str) -> Option<&'n str> {
        full.strip_prefix(self.stack()?)?.strip_prefix('_')
    }
}

/// One entry of [`LABEL_USE_BY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum UseBy<'a> {
    Anyone,
    Access(&'a str),
    Stack(&'a str),
    Service(&'a str),
}

impl<'a> UseBy<'a> {
    fn read(entry: &'a str) -> Option<Self> {
        if entry.eq_ignore_ascii_case("anyone") {
            return Some(Self::Anyone);
        }
        let (kind, value) = entry.split_once(':').map(|(kind, value)| (kind.trim(), value.trim()))?;
        match kind.to_ascii_lowercase().as_str() {
            _ if value.is_empty() => None,
            "access" => Some(Self::Access(value)),
            "stack" => Some(Self::Stack(value)),
            "service" => Some(Self::Service(value)),
            _ => None,
        }
    }
}

/// A secret or config, with the input of grant decisions.
#[derive(Debug)]
pub struct SwarmObject<'a> {
    /// Secret or config.
    pub kind: MaterialKind,
    /// Its full name.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Invalid entries of its label [`LABEL_USE_BY`]; they grant nothing.
    pub unreadable: Vec<&'a str>,
    /// A label that is probably a typo of [`LABEL_USE_BY`], if that is absent; it grants nothing.
    pub misspelt: Option<&'a str>,
    owner: OwnerLabels<'a>,
    ours: bool,
    use_by: BTreeSet<UseBy<'a>>,
    created_at: Timestamp,
}

impl<'a> SwarmObject<'a> {
    fn new(kind: MaterialKind, name: &'a str, id: &'a str, labels: &'a Labels, created_at: Timestamp) -> Self {
        let (mut use_by, mut unreadable) = (BTreeSet::new(), Vec::new());
        let entries = text(labels, LABEL_USE_BY).into_iter().flat_map(|value| value.split(','));
        for entry in entries.map(str::trim).filter(|entry| !entry.is_empty()) {
            match UseBy::read(entry) {
                Some(who) => drop(use_by.insert(who)),
                None => unreadable.push(entry),
            }
        }
        let ours = labels.contains_key(LABEL_OWNER) || labels.contains_key(LABEL_ROLE);
        let is_absent = !labels.contains_key(LABEL_USE_BY);
        let is_typo = |key: &&str| nearest(key, std::iter::once(LABEL_USE_BY)).is_some();
        let misspelt = labels.keys().map(String::as_str).find(is_typo).filter(|_| is_absent);
        Self { kind, name, id, unreadable, misspelt, owner: OwnerLabels::of(labels), ours, use_by, created_at }
    }

    /// Whether it has valid entries that list its users.
    pub fn lists_users(&self) -> bool {
        !self.use_by.is_empty()
    }

    /// Whether its label allows this service to use it. Anyone who may create stacks and services can choose their names,
    /// so names apply only if no access label separates the two.
    fn allows(&self, user: &ReferencingService<'_>) -> bool {
        let lists = |who: UseBy<'_>| self.use_by.contains(&who);
        let named = || lists(UseBy::Service(user.name)) || user.stack().is_some_and(|stack| lists(UseBy::Stack(stack)));
        lists(UseBy::Anyone) || user.access().is_some_and(|access| lists(UseBy::Access(access))) || (!self.is_apart(user) && named())
    }

    /// Whether access control separates the two.
    fn is_apart(&self, user: &ReferencingService<'_>) -> bool {
        self.owner.access != user.access()
    }
}

/// How near an object is to a service that may use it. The nearest one wins, so no other team can put its own object in its
/// place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantReason {
    /// It belongs to the service's own stack.
    OwnStack,
    /// It has the same access label, or both have neither access label nor stack.
    Own,
    /// It belongs to another team, and its label or the administrator allows the use.
    Opened,
}

/// Why a service may not use an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantDenied<'a> {
    /// It is one of Swarmgate's own objects, which are not available to any service.
    Ours,
    /// They have different access labels: the author of the service may not even know that the object exists.
    Apart,
    /// They belong to different stacks, or one of them to none.
    OtherStack {
        /// The service's.
        service: Option<&'a str>,
        /// The object's.
        object: Option<&'a str>,
    },
}

/// Whether a service may use an object.
pub fn grant<'a>(rules: &MaterialRules, user: &ReferencingService<'a>, object: &SwarmObject<'a>) -> Result<GrantReason, GrantDenied<'a>> {
    let (apart, its) = (object.is_apart(user), object.owner);
    if object.ours {
        Err(GrantDenied::Ours)
    } else if !apart && its.stack.is_some() && its.stack == user.stack() {
        Ok(GrantReason::OwnStack)
    } else if !apart && (its.access.is_some() || its.stack == user.stack()) {
        Ok(GrantReason::Own)
    } else if object.allows(user) || is_opened(rules, user, object) {
        Ok(GrantReason::Opened)
    } else if apart {
        Err(GrantDenied::Apart)
    } else {
        Err(GrantDenied::OtherStack { service: user.stack(), object: its.stack })
    }
}

fn is_opened(rules: &MaterialRules, user: &ReferencingService<'_>, object: &SwarmObject<'_>) -> bool {
    match rules {
        MaterialRules::Anyone => true,
        MaterialRules::Rules(rules) => rules.iter().any(|rule| rule.name.matches(object.name) && is_for(rule, user)),
    }
}

fn is_for(rule: &MaterialRule, user: &ReferencingService<'_>) -> bool {
    let fits = |patterns: &Option<Vec<ServiceGlob>>, name: Option<&str>| {
        patterns.as_ref().is_none_or(|patterns| name.is_some_and(|name| patterns.iter().any(|pattern| pattern.matches(name))))
    };
    let has = |label: &String| Some(label.as_str()) == user.access();
    fits(&rule.services, Some(user.name))
        && fits(&rule.stacks, user.stack())
        && rule.access_labels.as_ref().is_none_or(|labels| labels.iter().any(has))
}

/// An object that a service names and may not use, and that its author may know about.
#[derive(Debug)]
pub struct DeniedReference<'w, 'a> {
    /// The object.
    pub object: &'w SwarmObject<'a>,
    /// The reason.
    pub why: GrantDenied<'a>,
}

/// All secrets and configs of a snapshot.
#[derive(Debug)]
pub struct SwarmObjects<'a> {
    by_name: BTreeMap<&'a str, Vec<SwarmObject<'a>>>,
    /// The names of objects by owner, and of those with valid `use-by` entries: the candidates for typos.
    by_group: BTreeMap<Group<'a>, BTreeSet<&'a str>>,
    opened: BTreeSet<&'a str>,
    /// Whether any of them has an access label.
    pub are_kept_apart: bool,
}

impl<'a> SwarmObjects<'a> {
    /// The objects of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let secrets = snapshot.secrets.values().map(|s| SwarmObject::new(MaterialKind::Secret, &s.name, &s.id.0, &s.labels, s.created_at));
        let configs = snapshot.configs.values().map(|c| SwarmObject::new(MaterialKind::Config, &c.name, &c.id.0, &c.labels, c.created_at));
        let mut objects = Self { by_name: BTreeMap::new(), by_group: BTreeMap::new(), opened: BTreeSet::new(), are_kept_apart: false };
        for object in secrets.chain(configs) {
            objects.are_kept_apart |= object.owner.access.is_some();
            objects.by_group.entry(object.owner.group()).or_default().insert(object.name);
            if object.lists_users() {
                objects.opened.insert(object.name);
            }
            objects.by_name.entry(object.name).or_default().push(object);
        }
        objects
    }

    /// The name of the object that a label probably means, if the service may use it: one that ends in the given name (as
    /// in another stack's file), or a similar one. Never reveals an object that is not granted to the service.
    pub fn suggestion(&self, rules: &MaterialRules, user: &ReferencingService<'a>, name: &str, kinds: &[MaterialKind]) -> Option<&'a str> {
        let granted = |candidate: &str| self.granted(rules, user, candidate, kinds);
        let is_longer = |candidate: &&str| candidate.strip_suffix(name).is_some_and(|before| before.ends_with(['_', '-', '.']));
        let is_near = |(spelt, _): &(&str, &str)| spelt.len().abs_diff(name.len()) <= NEAR_BYTES;
        let own = self.by_group.get(&user.owner.group()).into_iter().flatten();
        let opened = self.opened.iter().chain(rules.open_anything().then(|| self.by_name.keys()).into_iter().flatten());
        // The service's own objects are more likely, and there can be very many others.
        let candidates: Vec<&'a str> = own.chain(opened).copied().take(CANDIDATES_MAX).collect();
        if let Some(longer) = candidates.iter().copied().filter(is_longer).find(|candidate| granted(candidate).is_some()) {
            return Some(longer);
        }
        // The short name from the stack file applies only to objects of the service's own stack.
        let full = candidates.iter().map(|full| (*full, *full)).filter(is_near).filter(|(_, full)| granted(full).is_some());
        let short = candidates.iter().filter_map(|full| Some((user.in_stack_file(full)?, *full))).filter(is_near);
        let own_short = short.filter(|(_, full)| granted(full) == Some(GrantReason::OwnStack));
        let spelt: Vec<(&'a str, &'a str)> = own_short.chain(full).collect();
        let found = nearest(name, spelt.iter().map(|(spelt, _)| *spelt))?;
        spelt.into_iter().find(|(spelt, _)| *spelt == found).map(|(_, full)| full)
    }

    /// How near the nearest object of this full name is to a service, if it may use one.
    fn granted(&self, rules: &MaterialRules, user: &ReferencingService<'a>, name: &str, kinds: &[MaterialKind]) -> Option<GrantReason> {
        let objects = self.by_name.get(name).into_iter().flatten().filter(|object| kinds.contains(&object.kind));
        objects.filter_map(|object| grant(rules, user, object).ok()).min()
    }

    /// Resolves a name to the object that a service may use: one of its own stack by the name in the stack file or in full,
    /// otherwise any by its full name. The error is an object that the service may not use, if it may know about it.
    pub fn named<'w>(
        &'w self,
        rules: &MaterialRules,
        user: &ReferencingService<'a>,
        name: &str,
        kinds: &[MaterialKind],
    ) -> Result<&'w SwarmObject<'a>, Option<DeniedReference<'w, 'a>>> {
        let all = |name: &str| self.by_name.get(name).into_iter().flatten().filter(|object| kinds.contains(&object.kind));
        let full = all(name).map(|object| (object, false));
        let short = user.stack().map(|stack| format!("{stack}_{name}"));
        let candidates = full.chain(short.iter().flat_map(|short| all(short)).map(|object| (object, true)));
        let (mut granted, mut refused) = (Vec::new(), None);
        for (object, is_short) in candidates {
            match grant(rules, user, object) {
                Ok(grant) if !is_short || grant == GrantReason::OwnStack => granted.push((grant, is_short, object)),
                Ok(_) | Err(GrantDenied::Apart) => {}
                Err(why) => drop(refused.get_or_insert(DeniedReference { object, why })),
            }
        }
        granted
            .into_iter()
            .min_by_key(|(grant, is_short, object)| order(*grant, *is_short, object))
            .map(|(_, _, object)| object)
            .ok_or(refused)
    }
}

/// The order in which objects win. Among objects of others the oldest wins; otherwise a younger one of the other kind could
/// replace it.
fn order(grant: GrantReason, is_short: bool, object: &SwarmObject<'_>) -> (GrantReason, bool, Option<Timestamp>, MaterialKind) {
    (grant, !is_short, (grant == GrantReason::Opened).then_some(object.created_at), object.kind)
}

/// Worded from the perspective of the service's author.
impl fmt::Display for DeniedReference<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = kind_word(self.object.kind);
        match self.why {
            GrantDenied::Ours => write!(f, "the {kind} belongs to Swarmgate"),
            GrantDenied::Apart => write!(f, "the {kind} has another access label"),
            GrantDenied::OtherStack { service, object } => match (service.map(known), object.map(known)) {
                (service, None) => write!(f, "the service belongs to {}, the {kind} to no stack", service.unwrap_or_default()),
                (None, Some(object)) => write!(f, "the {kind} belongs to {object}, the service to no stack"),
                (Some(service), Some(object)) => write!(f, "the service belongs to {service}, the {kind} to {object}"),
            },
        }
    }
}

/// `secret` or `config`.
pub fn kind_word(kind: MaterialKind) -> &'static str {
    match kind {
        MaterialKind::Secret => "secret",
        MaterialKind::Config => "config",
    }
}

/// The name of a stack if it is safe to show: a label can contain anything.
fn known(stack: &str) -> String {
    if is_plain(stack) { format!("the stack {stack}") } else { "a stack with an unusual name".to_owned() }
}

/// Whether a stack's name is one that Swarm could give to services, so that a shell and YAML read it unchanged.
pub fn is_plain(stack: &str) -> bool {
    ServiceName::parse(stack).is_ok()
}
