//! The effects of labels that apply to a host as a whole: which hosts are published, their TLS, their redirects.

use std::collections::BTreeMap;

use super::pool_membership::{HostTls, PoolRoute, ServicePool, list};
use super::service_context::{ServiceContext, describe_decision};
use crate::intent::labels::RedirectLabel;
use crate::report::RouteState;
use crate::route::{Backend, TlsBinding};
use crate::translate::{HostDenied, HostOwner};
use crate::types::{HostPattern, Scheme};

/// The effect of a label of a host.
pub fn host_label_effect(context: &ServiceContext<'_>, name: &str) -> String {
    let membership = &context.membership;
    match name {
        "hosts" => hosts(context),
        "redirects" => redirects(context),
        "ssl_cert" => membership.everywhere(|pool| certificate(context, pool)),
        "ssl_key" => membership.everywhere(|pool| key(context, pool)),
        "ssl_only" => membership.everywhere(|pool| https_only(context, pool)),
        "ssl_passthrough" => passthrough(context),
        _ => "valid".to_owned(),
    }
}

fn hosts(context: &ServiceContext<'_>) -> String {
    let (may, not): (Vec<_>, Vec<_>) = context.requested.hosts.iter().partition(|host| is_admitted(context, host));
    if context.requested.closed && !may.is_empty() {
        return format!("no answer at {}: the service is closed, because a label looks like access control", list(&may));
    }
    let (here, elsewhere): (Vec<_>, Vec<_>) = may.into_iter().partition(|host| context.membership.is_at(host));
    let (over, elsewhere): (Vec<_>, Vec<_>) = elsewhere.into_iter().partition(|host| is_over_limit(context, host));
    let mut effects = Vec::new();
    if !here.is_empty() {
        effects.push(format!("publishes {}", list(&here)));
    }
    let (taken, not): (Vec<_>, Vec<_>) = not.into_iter().partition(|host| taken_by(context, host).is_some());
    if !not.is_empty() {
        effects.push(format!("the cluster does not admit the service to {}", list(&not)));
    }
    effects.extend(stays_with_others(context, &taken));
    if !over.is_empty() {
        effects.push(format!("{} would exceed spec.limits", list(&over)));
    }
    if !elsewhere.is_empty() {
        effects.push(not_passed(context, &elsewhere));
    }
    if effects.is_empty() { "publishes no host".to_owned() } else { effects.join("; ") }
}

/// Why hosts have no route to a service with TLS passthrough, which cannot be combined with anything else.
fn not_passed(context: &ServiceContext<'_>, hosts: &[&HostPattern]) -> String {
    if context.membership.table.https_port.is_none() {
        return format!("no route for {}: the cluster publishes no TLS port, so there is no TLS to pass through", list(hosts));
    }
    format!("overruled at {}: other services handle its TLS differently", list(hosts))
}

/// Whether the service loses the host because of a limit.
fn is_over_limit(context: &ServiceContext<'_>, host: &HostPattern) -> bool {
    let own = &context.membership.service.name;
    let mut lost = context.translation.routes.iter().filter(|route| route.state == RouteState::OverLimit && route.host.is(host));
    lost.any(|route| route.services.iter().any(|service| service.service == *own))
}

fn is_admitted(context: &ServiceContext<'_>, host: &HostPattern) -> bool {
    context.translation.refusal(&context.membership.service.id, host).is_none()
}

/// The service of another team that has the host, if this is why the host is not admitted.
fn taken_by<'a>(context: &'a ServiceContext<'_>, host: &HostPattern) -> Option<&'a HostOwner> {
    match context.translation.refusal(&context.membership.service.id, host)? {
        HostDenied::Taken(holder) => Some(holder),
        HostDenied::NotListed | HostDenied::ForOthers(_) | HostDenied::NotDefault => None,
    }
}

/// A thousand hosts can belong to a thousand other services.
const HOLDERS_MAX: usize = 10;

/// Hosts that remain with other services, grouped by reason.
fn stays_with_others(context: &ServiceContext<'_>, hosts: &[&HostPattern]) -> Vec<String> {
    let mut taken = BTreeMap::<&HostOwner, Vec<&HostPattern>>::new();
    for host in hosts {
        if let Some(holder) = taken_by(context, host) {
            taken.entry(holder).or_default().push(host);
        }
    }
    taken.into_iter().take(HOLDERS_MAX).map(|(holder, hosts)| format!("not admitted to {}: {holder}", list(&hosts))).collect()
}

/// If another service terminates the TLS of a host, a service that wants it passed through gets no requests there.
fn passthrough(context: &ServiceContext<'_>) -> String {
    let membership = &context.membership;
    let is_nowhere = |host: &&HostPattern| is_admitted(context, host) && !membership.is_at(host) && !is_over_limit(context, host);
    let nowhere: Vec<_> = context.requested.hosts.iter().filter(is_nowhere).collect();
    let effect = (!membership.pools.is_empty()).then(|| membership.everywhere(|pool| tls(context, pool)));
    let left_out = (!nowhere.is_empty()).then(|| not_passed(context, &nowhere));
    effect.into_iter().chain(left_out).collect::<Vec<_>>().join("; ")
}

fn redirects(context: &ServiceContext<'_>) -> String {
    let (made, left_out): (Vec<_>, Vec<_>) = context.requested.redirects.iter().partition(|redirect| is_made(context, redirect));
    let pairs = |redirects: &[&RedirectLabel]| {
        let pairs: Vec<_> = redirects.iter().map(|redirect| format!("{} to {}", redirect.source, redirect.target)).collect();
        list(&pairs)
    };
    match (&made[..], &left_out[..]) {
        ([], []) => "no redirects".to_owned(),
        (made, []) => format!("redirects {}", pairs(made)),
        ([], left_out) => format!("no redirects; not used: {}", pairs(left_out)),
        (made, left_out) => format!("redirects {}; not used: {}", pairs(made), pairs(left_out)),
    }
}

/// Whether requests get exactly this redirect. Unless TLS terminates here or in front, no HTTPS request is seen.
fn is_made(context: &ServiceContext<'_>, requested: &RedirectLabel) -> bool {
    let source = &requested.source;
    let counting = context.membership.table.hosts.get(&source.host).map_or(&[][..], |host| &host.redirects);
    let same = |redirect: &crate::route::Redirect| {
        (redirect.scheme, &redirect.path, &redirect.target) == (source.scheme, &source.path, &requested.target)
    };
    let shown = || matches!(context.membership.tls_of(&source.host), HostTls::Shown(_));
    let is_seen = source.scheme == Scheme::Http || context.cluster.has_front() || shown();
    is_admitted(context, &source.host) && is_seen && counting.iter().any(same)
}

fn certificate(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let HostTls::Shown(binding) = context.membership.tls(pool) else { return tls(context, pool) };
    let (effect, trouble) = (format!("the certificate is in secret {}", binding.certificate.name), trouble(context, pool));
    if is_own(context, binding) {
        return format!("{effect}{trouble}");
    }
    let key = binding.key.as_ref().map_or_else(|| "the key is in the same secret".to_owned(), |key| format!("the key is in {}", key.name));
    format!("overruled: {effect}, {key}{trouble}")
}

fn key(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let HostTls::Shown(binding) = context.membership.tls(pool) else { return tls(context, pool) };
    let effect = format!("the key is in secret {}{}", binding.key_object().name, trouble(context, pool));
    // A key alone requests nothing that other services could overrule.
    let followed = context.requested.tls.certificate.is_none() || is_own(context, binding);
    if followed { effect } else { format!("overruled: {effect}") }
}

/// Whether clients are shown the certificate that this service names.
fn is_own(context: &ServiceContext<'_>, binding: &TlsBinding) -> bool {
    let Some(named) = context.references() else { return false };
    let key = named.key.as_ref().map_or(binding.key.is_none(), |key| key == binding.key_object());
    named.certificate.as_ref() == Some(&binding.certificate) && key
}

/// What a running operator found wrong with the certificate.
fn trouble(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let host = pool.host_key();
    let routes = context.routes.iter().filter(|route| route.host == host);
    let state = routes.filter_map(|route| route.tls.as_ref()).map(|tls| &tls.state).find(|state| !state.is_usable());
    state.map_or_else(String::new, |state| format!(", which cannot be used ({state}), so TLS is refused"))
}

/// How TLS is handled, in one sentence.
fn tls(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    match context.membership.tls(pool) {
        HostTls::Passed(_) if matches!(pool.behind, PoolRoute::Passthrough(_)) => "TLS is passed through to the application".to_owned(),
        HostTls::Passed(backend) => format!("overruled: TLS is passed through to {}", names(backend)),
        HostTls::Shown(_) => format!("TLS is terminated here{}", trouble(context, pool)),
        HostTls::Refused(binding) if binding.missing().next().is_none() => {
            format!("the certificate is in secret {}{}", binding.certificate.name, trouble(context, pool))
        }
        HostTls::Refused(binding) => format!("TLS is refused, because there is no secret {} that the service may use", missing(binding)),
        HostTls::None if context.membership.table.https_port.is_none() => {
            let front = if context.cluster.has_front() { "; clients see the certificate of the load balancer in front" } else { "" };
            format!("no TLS: the cluster publishes no TLS port{front}")
        }
        HostTls::None => "no TLS".to_owned(),
    }
}

fn names(backend: &Backend) -> String {
    list(&backend.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>())
}

fn missing(binding: &TlsBinding) -> String {
    binding.missing().collect::<Vec<_>>().join(" and ")
}

fn https_only(context: &ServiceContext<'_>, pool: &ServicePool<'_>) -> String {
    let (requested, table) = (context.requested.tls.only, context.membership.table);
    let redirected = match pool.behind {
        PoolRoute::Path(_, _, route) => route.https_only,
        PoolRoute::Passthrough(host) => table.hosts.get(host).is_some_and(|host| host.https_only),
        PoolRoute::Default(default) => default.https_only,
    };
    let answered = matches!(context.membership.tls(pool), HostTls::Passed(_) | HostTls::Shown(_));
    let effect = match (redirected, answered) {
        (true, true) => "plain HTTP is redirected to HTTPS",
        (true, false) if context.cluster.has_front() => "plain HTTP is redirected to HTTPS, which the load balancer in front terminates",
        (true, false) => "plain HTTP is redirected to HTTPS, which gets no answer",
        (false, _) if matches!(pool.behind, PoolRoute::Passthrough(_)) => "plain HTTP is not served",
        (false, _) if table.https_port.is_none() && !context.cluster.has_front() => {
            return "plain HTTP is served: the cluster publishes no TLS port".to_owned();
        }
        (false, _) => "plain HTTP is served",
    };
    describe_decision(context, pool, redirected == requested, effect.to_owned())
}
