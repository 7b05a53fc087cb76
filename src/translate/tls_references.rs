//! Resolves names of secrets and configs in labels to objects of the Swarm that the service may use (`grants`). Never sees
//! contents. A name without such an object stays a name without an id, so that nothing is mounted in its place; only the
//! host that needs it goes without.

use super::TranslationContext;
use super::published_service::{PublishedService, label_key};
use super::reference_grants::{DeniedReference, GrantDenied, LABEL_USE_BY, ReferencingService, SwarmObject, is_plain, kind_word};
use crate::intent::labels::{BackendProtocol as RequestedProtocol, Verification as RequestedVerification};
use crate::report::{Finding, FindingCase, Subject, cases};
use crate::route::{BackendProtocol, MaterialKind, MaterialRef, TlsBinding, Verification};
use crate::swarm::{NAMED_CONFIGS_MAX, NAMED_CONFIGS_OF_A_TEAM_MAX};
use crate::types::{ObjectName, excerpt};

/// The most entries of a label that are quoted.
const QUOTED_MAX: usize = 10;
/// The most characters shown of a label's name.
const LABEL_CHARS_MAX: usize = 100;

/// The objects that the labels of one service name, resolved, so that no later step has to choose among objects with
/// similar names. An object that does not exist, or that the service may not use, stays a name without an id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsReferences {
    /// From `ssl_cert`.
    pub certificate: Option<MaterialRef>,
    /// From `ssl_key`.
    pub key: Option<MaterialRef>,
    /// From `ssl_backend_tls_verify`.
    pub authority: Option<MaterialRef>,
}

/// The objects that the labels of a service name. Findings about them are reported where they are used.
pub fn references(context: &TranslationContext<'_>, published: &PublishedService<'_>) -> TlsReferences {
    let labels = &published.labels;
    let untold = &mut Vec::new();
    TlsReferences {
        certificate: labels.tls.certificate.as_ref().map(|name| secret(context, published, "ssl_cert", name, untold)),
        key: labels.tls.key.as_ref().map(|name| secret(context, published, "ssl_key", name, untold)),
        authority: match &labels.backend_verification {
            RequestedVerification::Authority(name) => Some(authority(context, published, name, untold)),
            RequestedVerification::Off | RequestedVerification::System => None,
        },
    }
}

/// The TLS setup that a service wants for its hosts, if any.
pub fn binding(context: &TranslationContext<'_>, published: &PublishedService<'_>, findings: &mut Vec<Finding>) -> Option<TlsBinding> {
    let tls = &published.labels.tls;
    let certificate = tls.certificate.as_ref().filter(|_| !tls.passthrough)?;
    let certificate = secret(context, published, "ssl_cert", certificate, findings);
    let key = tls.key.as_ref().map(|key| secret(context, published, "ssl_key", key, findings));
    Some(TlsBinding { key: key.filter(|key| *key != certificate), certificate })
}

/// The protocol of a service's tasks.
pub fn protocol(context: &TranslationContext<'_>, published: &PublishedService<'_>, findings: &mut Vec<Finding>) -> BackendProtocol {
    let protocol = published.labels.backend_protocol;
    let http2 = matches!(protocol, RequestedProtocol::Grpc | RequestedProtocol::Grpcs);
    let tls = matches!(protocol, RequestedProtocol::Https | RequestedProtocol::Grpcs).then(|| verification(context, published, findings));
    BackendProtocol { http2, tls }
}

fn verification(context: &TranslationContext<'_>, published: &PublishedService<'_>, findings: &mut Vec<Finding>) -> Verification {
    match &published.labels.backend_verification {
        RequestedVerification::Off => Verification::Off,
        RequestedVerification::System => Verification::System,
        RequestedVerification::Authority(name) => Verification::Authority(authority(context, published, name, findings)),
    }
}

fn secret(
    context: &TranslationContext<'_>,
    published: &PublishedService<'_>,
    label: &'static str,
    name: &ObjectName,
    findings: &mut Vec<Finding>,
) -> MaterialRef {
    let naming = Naming { published, label, name, follows: "its hosts are not published over TLS" };
    reference(context, &naming, &[MaterialKind::Secret], findings)
}

/// A CA is not secret, so a config works as well.
fn authority(
    context: &TranslationContext<'_>,
    published: &PublishedService<'_>,
    name: &ObjectName,
    findings: &mut Vec<Finding>,
) -> MaterialRef {
    let follows = "the application's certificate cannot be verified, so its routes answer 503";
    let naming = Naming { published, label: "ssl_backend_tls_verify", name, follows };
    reference(context, &naming, &[MaterialKind::Secret, MaterialKind::Config], findings)
}

/// A name in a label, and the consequence if there is no object for it.
struct Naming<'n> {
    published: &'n PublishedService<'n>,
    label: &'static str,
    name: &'n ObjectName,
    follows: &'static str,
}

fn reference<'a>(
    context: &TranslationContext<'a>,
    naming: &Naming<'a>,
    kinds: &[MaterialKind],
    findings: &mut Vec<Finding>,
) -> MaterialRef {
    let user = ReferencingService::new(naming.published.service);
    let found = context.objects.named(&context.cluster.material, &user, naming.name.as_str(), kinds);
    let about = found.as_ref().map_or_else(|refused| refused.as_ref().map(|refused| refused.object), |object| Some(*object));
    findings.extend(about.and_then(unreadable).into_iter().chain(about.and_then(misspelt)));
    let missing = match found {
        Ok(object) => match ObjectName::parse(object.name) {
            Ok(name) => return MaterialRef { kind: object.kind, name, id: Some(object.id.to_owned()) },
            // Swarm itself does not allow such names.
            Err(_) => not_found(context, naming, &user, kinds),
        },
        Err(Some(refused)) => not_permitted(context, naming, &user, &refused),
        Err(None) if is_beyond(context, naming, &user, kinds) => beyond(naming),
        Err(None) => not_found(context, naming, &user, kinds),
    };
    findings.push(missing);
    MaterialRef { kind: MaterialKind::Secret, name: naming.name.clone(), id: None }
}

impl Naming<'_> {
    fn finding(&self, case: impl Into<FindingCase>, message: String) -> Finding {
        let finding = Finding::new(case, self.published.subject(), message);
        finding.with_field(label_key(self.label), self.name.as_str())
    }
}

/// Whether configs of this name were not searched for.
fn is_beyond(context: &TranslationContext<'_>, naming: &Naming<'_>, user: &ReferencingService<'_>, kinds: &[MaterialKind]) -> bool {
    kinds.contains(&MaterialKind::Config) && !context.named_configs.contain(naming.name.as_str(), user.stack())
}

fn beyond(naming: &Naming<'_>) -> Finding {
    let message = format!(
        "there is no secret of this name that the service may use, and configs are looked up under at most {NAMED_CONFIGS_OF_A_TEAM_MAX} \
         names per access label or stack and {NAMED_CONFIGS_MAX} in total, which labels of older services use up; {}",
        naming.follows
    );
    naming.finding(cases::LimitExceeded::Configs, message)
}

/// The message is the same whether there is no such object or access control hides it from the author of the label, so that
/// findings do not reveal what other teams have.
fn not_found<'a>(context: &TranslationContext<'a>, naming: &Naming<'_>, user: &ReferencingService<'a>, kinds: &[MaterialKind]) -> Finding {
    let message = format!("there is no secret of this name that the service may use; {}", naming.follows);
    let case = match user.access() {
        Some(access) if is_plain_path(access) => cases::SecretNotFound::OtherAccess { access },
        None if !context.objects.are_kept_apart => cases::SecretNotFound::Absent,
        _ => cases::SecretNotFound::AnyAccess,
    };
    let Some(name) = context.objects.suggestion(&context.cluster.material, user, naming.name.as_str(), kinds) else {
        return naming.finding(case, message);
    };
    let remedy = FindingCase::from(case).remedy().replacen("Create", "create", 1);
    naming.finding(cases::SecretNotFound::Similar { name, remedy: &remedy }, message)
}

fn not_permitted(
    context: &TranslationContext<'_>,
    naming: &Naming<'_>,
    user: &ReferencingService<'_>,
    refused: &DeniedReference<'_, '_>,
) -> Finding {
    let (object, kind) = (refused.object, kind_word(refused.object.kind));
    let others = if object.lists_users() { format!(", and its label {LABEL_USE_BY} lists only other users") } else { String::new() };
    let message = format!("the service may not use the {kind} {}: {refused}{others}; {}", object.name, naming.follows);
    if refused.why == GrantDenied::Ours {
        return naming.finding(cases::RefNotPermitted::OfSwarmgate { kind }, message);
    }
    let (entry, rule) = grants_for(naming.published, user);
    let (name, cluster) = (object.name, context.cluster.name.as_str());
    // Docker's command line cannot change the labels of existing objects.
    naming.finding(cases::RefNotPermitted::NotGranted { kind, user: &entry, name, rule: &rule, cluster }, message)
}

/// The `use-by` entry and the document rule that let this service use an object, as text that is safe to paste: anyone can
/// choose the name of a stack.
fn grants_for(published: &PublishedService<'_>, user: &ReferencingService<'_>) -> (String, String) {
    match user.stack().filter(|stack| is_plain(stack)) {
        Some(stack) => (format!("stack:{stack}"), format!("stacks: [{stack}]")),
        None => (format!("service:{}", published.name), format!("services: [{}]", published.name)),
    }
}

fn is_plain_path(label: &str) -> bool {
    label.len() <= 200 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b))
}

/// A label that was probably meant to list who may use an object.
fn misspelt(object: &SwarmObject<'_>) -> Option<Finding> {
    let label = object.misspelt?;
    let message = format!("there is no such label, so it grants nothing; did you mean {LABEL_USE_BY}?");
    let subject = Subject::Object(object.name.to_owned());
    Some(Finding {
        field: Some(excerpt(label, LABEL_CHARS_MAX)),
        ..Finding::new(cases::UnknownLabel::OfObject { kind: kind_word(object.kind) }, subject, message)
    })
}

/// Invalid entries in an object's `use-by` label.
fn unreadable(object: &SwarmObject<'_>) -> Option<Finding> {
    if object.unreadable.is_empty() {
        return None;
    }
    let quoted = object.unreadable.iter().take(QUOTED_MAX).copied().collect::<Vec<_>>().join(", ");
    let message = "an entry must be stack:NAME, service:NAME, access:LABEL or anyone; this grants nothing";
    let subject = Subject::Object(object.name.to_owned());
    let case = cases::InvalidLabelValue::UseBy { kind: kind_word(object.kind) };
    Some(Finding::new(case, subject, message).with_field(LABEL_USE_BY, &quoted))
}
