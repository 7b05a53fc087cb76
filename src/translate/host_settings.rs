//! Settings of a host as a whole, regardless of the path: its certificate, and whether its TLS is passed through. If
//! services disagree, the oldest one with a setting decides; the others get a finding.

use super::TranslationContext;
use super::endpoints::ServiceEndpoints;
use super::published_service::label_key;
use super::tls_references;
use crate::report::{Finding, cases};
use crate::route::TlsBinding;
use crate::types::HostPattern;

/// The services of one host, oldest first.
pub type Members<'a> = Vec<&'a ServiceEndpoints<'a>>;

/// The settings of one host.
#[derive(Debug, Default)]
pub struct HostSettings<'a> {
    /// Its certificate.
    pub tls: Option<TlsBinding>,
    /// The services to which its TLS is passed through.
    pub passthrough: Members<'a>,
    /// Whether plain HTTP is redirected to HTTPS on paths that no service has.
    pub https_only: bool,
}

/// Decides the settings of `host`. `members` is ordered by age.
pub fn host_settings<'a>(
    context: &TranslationContext<'_>,
    host: &HostPattern,
    members: &Members<'a>,
    findings: &mut Vec<Finding>,
) -> HostSettings<'a> {
    let mut wide = HostSettings::default();
    settle_tls(context, host, members, &mut wide, findings);
    let has_tls = wide.tls.is_some() || !wide.passthrough.is_empty() || context.cluster.has_front();
    wide.https_only = wide.passthrough.iter().any(|member| member.published.labels.tls.only);
    for member in members {
        findings.extend(redirects_without_tls(context, host, member, has_tls).filter(|_| decides_at_its_path(members, member)));
    }
    wide
}

/// A host's TLS is terminated or passed through, never both: the oldest service that asks for either decides.
fn settle_tls<'a>(
    context: &TranslationContext<'_>,
    host: &HostPattern,
    members: &Members<'a>,
    wide: &mut HostSettings<'a>,
    findings: &mut Vec<Finding>,
) {
    let mut first: Option<&ServiceEndpoints<'_>> = None;
    for member in members.iter().copied() {
        let passthrough = member.published.labels.tls.passthrough;
        let binding = tls_references::binding(context, member.published, findings);
        if !passthrough && binding.is_none() {
            continue;
        }
        if context.cluster.proxy.publish.https.is_none() {
            findings.push(not_published(context, member));
            continue;
        }
        match first {
            None => {
                first = Some(member);
                wide.tls = binding;
                wide.passthrough.extend(passthrough.then_some(member));
            }
            Some(_) if passthrough && wide.tls.is_none() => wide.passthrough.push(member),
            Some(_) if !passthrough && binding == wide.tls => {}
            Some(oldest) => findings.push(tls_conflict(host, oldest, member)),
        }
    }
}

fn not_published(context: &TranslationContext<'_>, member: &ServiceEndpoints<'_>) -> Finding {
    let labels = &member.published.labels.tls;
    let label = if labels.passthrough { "ssl_passthrough" } else { "ssl_cert" };
    let value = labels.certificate.as_ref().filter(|_| !labels.passthrough).map_or("true", |name| name.as_str());
    let message = format!("the cluster {} publishes no TLS port, so its hosts are not published over TLS", context.cluster.name);
    let finding = Finding::new(cases::TlsNotPublished, member.published.subject(), message);
    finding.with_field(label_key(label), value)
}

fn tls_conflict(host: &HostPattern, oldest: &ServiceEndpoints<'_>, later: &ServiceEndpoints<'_>) -> Finding {
    let tls = &later.published.labels.tls;
    let (label, value) = match &tls.certificate {
        Some(certificate) if !tls.passthrough => ("ssl_cert", certificate.as_str()),
        _ => ("ssl_passthrough", "true"),
    };
    let oldest = &oldest.published.service.name;
    let message = format!("service {oldest} published {host} first with a different TLS setting, so its setting is used");
    let finding = Finding::new(cases::ConflictingSetting::Tls, later.published.subject(), message);
    finding.with_field(label_key(label), value)
}

/// Whether this service decides about the redirect to HTTPS at its path, and asks for it: the oldest service of a path
/// decides.
fn decides_at_its_path(members: &Members<'_>, member: &ServiceEndpoints<'_>) -> bool {
    let labels = &member.published.labels;
    let shares = |other: &&&ServiceEndpoints<'_>| {
        let other = &other.published.labels;
        !other.tls.passthrough && other.context_root == labels.context_root
    };
    labels.tls.passthrough || members.iter().find(shares).is_none_or(|oldest| oldest.published.labels.tls.only)
}

/// A redirect to HTTPS on a host without TLS here leads nowhere, unless something else terminates its TLS.
fn redirects_without_tls(
    context: &TranslationContext<'_>,
    host: &HostPattern,
    member: &ServiceEndpoints<'_>,
    has_tls: bool,
) -> Option<Finding> {
    let tls = &member.published.labels.tls;
    if !tls.only || has_tls {
        return None;
    }
    let follows = if context.cluster.proxy.publish.https.is_some() {
        "plain HTTP is redirected to HTTPS, where nothing answers"
    } else if tls.passthrough {
        "the cluster publishes no TLS port, so nothing answers"
    } else {
        "the cluster publishes no TLS port, so plain HTTP is served"
    };
    let message = format!("{host} is not published over TLS: {follows}");
    let finding = Finding::new(cases::RedirectWithoutTls::Only, member.published.subject(), message);
    Some(finding.with_field(label_key("ssl_only"), "true"))
}
