//! Combines the redirects of all hosts, because one can lead to another. A redirect that would send a client in circles is
//! left out. If two redirects form a circle the older one is kept, so a later service never takes a route from an earlier
//! one.

use std::collections::BTreeMap;

use super::TranslationContext;
use super::endpoints::ServiceEndpoints;
use super::published_service::label_key;
use crate::intent::labels::RedirectLabel;
use crate::report::{Finding, FindingCase, cases};
use crate::route::{Backend, PathAction, Redirect, VirtualHost};
use crate::types::{ContextPath, HostPattern, Scheme, SiteUrl};

/// Browsers give up after 20 redirects; no useful chain is longer than this.
const HOPS_MAX: usize = 10;

/// What a redirected request can reach.
pub struct RedirectTargets<'a> {
    /// The hosts, to which redirects are added.
    pub hosts: &'a mut BTreeMap<HostPattern, VirtualHost>,
    /// The hosts whose TLS is passed through.
    pub passthrough: &'a BTreeMap<HostPattern, Backend>,
}

/// Adds the redirects of services. `reaches` is ordered by age.
pub fn add_redirects(
    context: &TranslationContext<'_>,
    reaches: &[ServiceEndpoints<'_>],
    sites: &mut RedirectTargets<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut counting = BTreeMap::<(HostPattern, Scheme, ContextPath), &ServiceEndpoints<'_>>::new();
    for (member, label) in all(reaches) {
        let source = &label.source;
        if source.scheme == Scheme::Https && !sites.terminates(&source.host) && !context.cluster.has_front() {
            findings.push(never_requested(member, label));
            continue;
        }
        let key = (source.host.clone(), source.scheme, source.path.clone());
        if let Some(oldest) = counting.get(&key) {
            if !sites.redirects(label) {
                findings.push(conflict(oldest, member, label));
            }
            continue;
        }
        sites.add(label);
        if let Some(way) = sites.circle(context, label) {
            sites.take_back(label);
            findings.push(circle(member, label, &way));
            continue;
        }
        findings.extend((sites.lacks_tls(&label.target) && !context.cluster.has_front()).then(|| target_without_tls(member, label)));
        counting.insert(key, member);
    }
}

/// Every requested redirect by age; those on hosts of another team last.
fn all<'r>(reaches: &'r [ServiceEndpoints<'r>]) -> impl Iterator<Item = (&'r ServiceEndpoints<'r>, &'r RedirectLabel)> {
    let of = |guest: bool| {
        move |(member, label): &(&ServiceEndpoints<'_>, &RedirectLabel)| member.published.guest_at.contains(&label.source.host) == guest
    };
    let each = || {
        reaches.iter().flat_map(|member| {
            let labels = &member.published.labels;
            labels.redirects.iter().filter(|label| labels.hosts.contains(&label.source.host)).map(move |label| (member, label))
        })
    };
    each().filter(of(false)).chain(each().filter(of(true)))
}

impl RedirectTargets<'_> {
    fn add(&mut self, label: &RedirectLabel) {
        let redirects = &mut self.hosts.entry(label.source.host.clone()).or_default().redirects;
        if let Err(at) = redirects.binary_search(&redirect(label)) {
            redirects.insert(at, redirect(label));
        }
    }

    /// A host that has nothing but this redirect disappears with it.
    fn take_back(&mut self, label: &RedirectLabel) {
        let Some(host) = self.hosts.get_mut(&label.source.host) else { return };
        host.redirects.retain(|known| *known != redirect(label));
        if host.redirects.is_empty() && host.paths.is_empty() && !host.https_only {
            self.hosts.remove(&label.source.host);
        }
    }

    /// Whether exactly this redirect is there.
    fn redirects(&self, label: &RedirectLabel) -> bool {
        self.hosts.get(&label.source.host).is_some_and(|host| host.redirects.contains(&redirect(label)))
    }

    fn terminates(&self, host: &HostPattern) -> bool {
        self.hosts.get(host).is_some_and(|host| host.tls.is_some())
    }

    /// Whether a URL leads by TLS to a host that is published here without it.
    fn lacks_tls(&self, url: &SiteUrl) -> bool {
        let published = HostPattern::matching(url.host.as_str())
            .find(|pattern| self.hosts.contains_key(pattern) || self.passthrough.contains_key(pattern));
        let lacks = |pattern: &HostPattern| !self.terminates(pattern) && !self.passthrough.contains_key(pattern);
        url.scheme == Scheme::Https && published.as_ref().is_some_and(lacks)
    }

    /// The path of a client that this redirect sends in circles, if it does. Without this redirect there was no circle, so
    /// a new circle passes through it again. A path that only grows passes through it as well, or becomes longer than any
    /// useful chain.
    fn circle(&self, context: &TranslationContext<'_>, label: &RedirectLabel) -> Option<Vec<String>> {
        let own = redirect(label);
        let mut at = sent(context, &own.target, own.path.as_str())?;
        let mut way = Vec::new();
        for hop in 0..HOPS_MAX {
            if hop > 0 {
                at = self.next(context, &at)?;
            }
            way.push(at.to_string());
            if matches!(self.action_at(context, &at), Some(PathAction::Redirect(redirect)) if *redirect == own) {
                break;
            }
        }
        Some(way)
    }

    /// Where a client at this stop is sent next. `None` if it gets an answer or leaves these hosts.
    fn next(&self, context: &TranslationContext<'_>, at: &Stop) -> Option<Stop> {
        match self.action_at(context, at)? {
            PathAction::Redirect(redirect) => sent(context, &redirect.target, &at.path),
            PathAction::Https => Some(Stop { scheme: Scheme::Https, ..at.clone() }),
            PathAction::Application(_) | PathAction::NoPath | PathAction::NoRoute => None,
        }
    }

    fn action_at(&self, context: &TranslationContext<'_>, at: &Stop) -> Option<PathAction<'_>> {
        let known = |pattern: &HostPattern| self.hosts.contains_key(pattern) || self.passthrough.contains_key(pattern);
        let pattern = HostPattern::matching(&at.host).find(known)?;
        let reachable = |host: &&VirtualHost| at.scheme == Scheme::Http || host.tls.is_some() || context.cluster.has_front();
        let host = self.hosts.get(&pattern).filter(reachable)?;
        host.path_match(at.scheme, &at.path).map(|action_at| action_at.answer)
    }
}

/// One request on the path.
#[derive(Debug, Clone)]
struct Stop {
    scheme: Scheme,
    host: String,
    path: String,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.host, self.path)
    }
}

/// Where a redirect sends a request for this path. `None` for another port, about which nothing is known here.
fn sent(context: &TranslationContext<'_>, target: &SiteUrl, path: &str) -> Option<Stop> {
    let publish = &context.cluster.proxy.publish;
    let published = if target.scheme == Scheme::Http { Some(publish.http.published) } else { publish.https.map(|https| https.published) };
    let before = if target.path.is_root() { "" } else { target.path.as_str() };
    let stop = || Stop { scheme: target.scheme, host: target.host.as_str().to_owned(), path: format!("{before}{path}") };
    target.port.is_none_or(|port| Some(port) == published).then(stop)
}

fn redirect(label: &RedirectLabel) -> Redirect {
    Redirect { scheme: label.source.scheme, path: label.source.path.clone(), target: label.target.clone() }
}

fn finding_at(case: impl Into<FindingCase>, member: &ServiceEndpoints<'_>, label: &RedirectLabel, message: &str) -> Finding {
    let finding = Finding::new(case, member.published.subject(), message);
    finding.with_field(label_key("redirects"), &format!("{},{}", label.source, label.target))
}

fn circle(member: &ServiceEndpoints<'_>, label: &RedirectLabel, way: &[String]) -> Finding {
    const SHOWN: usize = 3;
    let more = if way.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<&str> = way.iter().take(SHOWN).map(String::as_str).collect();
    let message = format!("this redirect leads back to itself through {}{more}; it is ignored", shown.join(", then "));
    finding_at(cases::RedirectLoop, member, label, &message)
}

fn conflict(oldest: &ServiceEndpoints<'_>, member: &ServiceEndpoints<'_>, label: &RedirectLabel) -> Finding {
    let message =
        format!("service {} already redirects {} to another target, so its redirect is used", oldest.published.service.name, label.source);
    finding_at(cases::ConflictingSetting::Redirect, member, label, &message)
}

fn never_requested(member: &ServiceEndpoints<'_>, label: &RedirectLabel) -> Finding {
    let message = format!(
        "TLS of {} is not terminated here, so requests for {} never arrive; the redirect is ignored",
        label.source.host, label.source
    );
    finding_at(cases::LabelWithoutEffect::RedirectOfPassthrough, member, label, &message)
}

fn target_without_tls(member: &ServiceEndpoints<'_>, label: &RedirectLabel) -> Finding {
    let message = format!("{} is not published over TLS: clients are redirected to where nothing answers", label.target.host);
    finding_at(cases::RedirectWithoutTls::Target, member, label, &message)
}
