//! What only one document may have, and how findings describe it: a name, a label value, a service name, a port. It must never
//! decide which document gets it.

use crate::report::cases::DuplicateDeclaration;
use crate::report::{FindingCase, Severity};

/// What only one document may have, as findings describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClaimType {
    /// What the other documents do, for one and for several of them.
    pub verbs: (&'static str, &'static str),
    /// To what they do it; `{}` is the value claimed, or the ports.
    pub object: &'static str,
    pub case: DuplicateDeclaration<'static>,
}

/// The name of a Swarm service.
pub(super) const SWARM_SERVICE: ClaimType =
    ClaimType { verbs: ("has", "have"), object: "Swarm service {}", case: DuplicateDeclaration::ServiceName };

/// A port of the routing mesh.
pub(super) const MESH_PORT: ClaimType =
    ClaimType { verbs: PUBLISH, object: "port{} of the routing mesh", case: DuplicateDeclaration::MeshPort };

/// A port of the nodes that fit the constraints, which are the value.
pub(super) const HOST_PORT: ClaimType = ClaimType {
    verbs: PUBLISH,
    object: "host port{} on nodes with the same constraints; only one of them can run on a node",
    case: DuplicateDeclaration::HostPort,
};

/// The verb of documents that publish something.
pub(super) const PUBLISH: (&str, &str) = ("publishes", "publish");

/// Something that only one document may have. Documents of all kinds are compared by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExclusiveClaim {
    /// Of which sort it is.
    pub what: ClaimType,
    /// The port, if it is one.
    pub port: Option<u64>,
    value: String,
}

impl ExclusiveClaim {
    /// A claim to this value.
    pub fn new(what: ClaimType, value: impl Into<String>) -> Self {
        Self { what, port: None, value: value.into() }
    }

    /// A claim to a port; `value` distinguishes ports of one number.
    pub fn port(what: ClaimType, port: u64, value: impl Into<String>) -> Self {
        Self { what, port: Some(port), value: value.into() }
    }

    /// Whether a document with this claim is refused beside another one.
    pub fn is_enforced(&self) -> bool {
        self.case().severity() == Severity::Error
    }

    /// The case of the finding about a document that makes the same claim.
    pub fn case(&self) -> FindingCase {
        self.what.case.into()
    }

    /// The claim without its port, and the port.
    pub fn split(&self) -> (Self, Option<u64>) {
        (Self { port: None, ..self.clone() }, self.port)
    }

    /// What one other document does, at these ports: "publishes port 80 of the routing mesh".
    pub fn also(&self, ports: &[u64]) -> String {
        format!("{} {}", self.what.verbs.0, self.object(ports))
    }

    /// What is claimed, at these ports.
    pub fn object(&self, ports: &[u64]) -> String {
        let filled =
            if ports.is_empty() { self.value.clone() } else { format!("{} {}", if ports.len() == 1 { "" } else { "s" }, and(ports)) };
        self.what.object.replacen("{}", &filled, 1)
    }
}

/// "a", "a and b", "a, b and c".
pub(super) fn and<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    match &items[..] {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
