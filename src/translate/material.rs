//! Names of secrets and configs in labels, as objects of the Swarm: by full name, else by the name that a stack file uses.
//! Contents are never seen here. A name without an object stays a name: the host that needs it alone goes without.

use super::World;
use super::published::{Published, label_key, stack_of};
use crate::intent::labels::{BackendProtocol as Asked, Verification as AskedVerification};
use crate::report::{Finding, FindingCode, Severity};
use crate::route::{BackendProtocol, MaterialKind, MaterialRef, TlsBinding, Verification};
use crate::types::ObjectName;

/// What a service wants its hosts' clients to be shown by TLS, if anything.
pub fn binding(world: &World<'_>, published: &Published<'_>, findings: &mut Vec<Finding>) -> Option<TlsBinding> {
    let tls = &published.labels.tls;
    let certificate = tls.certificate.as_ref().filter(|_| !tls.passthrough)?;
    let certificate = secret(world, published, "ssl_cert", certificate, findings);
    let key = tls.key.as_ref().map(|key| secret(world, published, "ssl_key", key, findings));
    Some(TlsBinding { key: key.filter(|key| *key != certificate), certificate })
}

/// How a service's tasks are spoken to.
pub fn protocol(world: &World<'_>, published: &Published<'_>, findings: &mut Vec<Finding>) -> BackendProtocol {
    let asked = published.labels.backend_protocol;
    let http2 = matches!(asked, Asked::Grpc | Asked::Grpcs);
    let tls = matches!(asked, Asked::Https | Asked::Grpcs).then(|| verification(world, published, findings));
    BackendProtocol { http2, tls }
}

fn verification(world: &World<'_>, published: &Published<'_>, findings: &mut Vec<Finding>) -> Verification {
    match &published.labels.backend_verification {
        AskedVerification::Off => Verification::Off,
        AskedVerification::System => Verification::System,
        AskedVerification::Authority(name) => Verification::Authority(authority(world, published, name, findings)),
    }
}

fn secret(world: &World<'_>, published: &Published<'_>, label: &str, name: &ObjectName, findings: &mut Vec<Finding>) -> MaterialRef {
    find_secret(world, published, name).unwrap_or_else(|| {
        findings.push(not_found(published, label, name, "its hosts are not published by TLS"));
        MaterialRef { kind: MaterialKind::Secret, name: name.clone(), id: None }
    })
}

/// A CA is no secret: a config will do as well.
fn authority(world: &World<'_>, published: &Published<'_>, name: &ObjectName, findings: &mut Vec<Finding>) -> MaterialRef {
    find_secret(world, published, name).or_else(|| find_config(world, published, name)).unwrap_or_else(|| {
        let follows = "its certificate cannot be checked, so its routes answer 503";
        findings.push(not_found(published, "ssl_backend_tls_verify", name, follows));
        MaterialRef { kind: MaterialKind::Secret, name: name.clone(), id: None }
    })
}

fn find_secret(world: &World<'_>, published: &Published<'_>, name: &ObjectName) -> Option<MaterialRef> {
    let secrets = &world.snapshot.secrets;
    let find = |wanted: &str| secrets.values().find(|secret| secret.name == wanted).map(|secret| (&secret.name, &secret.id.0));
    reference(MaterialKind::Secret, find, published, name)
}

fn find_config(world: &World<'_>, published: &Published<'_>, name: &ObjectName) -> Option<MaterialRef> {
    let configs = &world.snapshot.configs;
    let find = |wanted: &str| configs.values().find(|config| config.name == wanted).map(|config| (&config.name, &config.id.0));
    reference(MaterialKind::Config, find, published, name)
}

fn reference<'a>(
    kind: MaterialKind,
    find: impl Fn(&str) -> Option<(&'a String, &'a String)>,
    published: &Published<'_>,
    name: &ObjectName,
) -> Option<MaterialRef> {
    let in_stack = || stack_of(published.service).and_then(|stack| find(&format!("{stack}_{name}")));
    let (name, id) = find(name.as_str()).or_else(in_stack)?;
    Some(MaterialRef { kind, name: ObjectName::parse(name).ok()?, id: Some(id.clone()) })
}

fn not_found(published: &Published<'_>, label: &str, name: &ObjectName, follows: &str) -> Finding {
    let message = format!("there is no secret of this name in the Swarm; {follows}");
    let remedy = "Create it with `docker secret create`, or write its full name as `docker secret ls` shows it.";
    Finding::new(Severity::Error, FindingCode::SecretNotFound, published.subject(), message, remedy).at(label_key(label), name.as_str())
}
