//! The texts that describe a route, the same everywhere: tables, page, explanations. Plain text; the caller escapes it.

use super::{ProxyTaskReport, RouteKind, RouteReport, ServiceReport, TlsReport, TlsState};

impl RouteReport {
    /// The requests of the route: `app.example.org/path`, and whether TLS is passed through.
    pub fn address(&self) -> String {
        match self.kind {
            RouteKind::Http | RouteKind::Redirect => self.key().to_string(),
            RouteKind::Passthrough => format!("{} (TLS passed through)", self.host),
        }
    }

    /// How they are handled: the state and its reason, or the target of the redirect.
    pub fn outcome(&self) -> String {
        match (&self.target, &self.reason) {
            (Some(target), _) => format!("redirects to {target}"),
            (None, Some(reason)) => format!("{:?}: {reason}", self.state),
            (None, None) => format!("{:?}", self.state),
        }
    }

    /// The services of the route, with their shares if there are several.
    pub fn service_titles(&self) -> Vec<String> {
        let alone = self.services.len() == 1;
        self.services.iter().map(|service| if alone { service.service.clone() } else { service.title() }).collect()
    }

    /// The certificate of its host, or `-`.
    pub fn tls_summary(&self) -> String {
        match (&self.tls, self.kind) {
            (Some(tls), _) => tls.summary(),
            (None, RouteKind::Passthrough) => "the application's own".to_owned(),
            (None, _) => "-".to_owned(),
        }
    }
}

impl ProxyTaskReport {
    /// Why it does not run the newest configuration: what it refused, or what it is doing.
    pub fn lag_reason(&self) -> Option<&str> {
        self.rejected.as_deref().or(self.activity.as_deref())
    }
}

impl ServiceReport {
    /// The name and share of requests: `v2 (12.5 %)`.
    pub fn title(&self) -> String {
        let (whole, rest) = (self.share_permille / 10, self.share_permille % 10);
        if rest == 0 { format!("{} ({whole} %)", self.service) } else { format!("{} ({whole}.{rest} %)", self.service) }
    }
}

impl TlsReport {
    /// The certificate, its state, and when it becomes valid or expires.
    pub fn summary(&self) -> String {
        let when = match (self.not_before, self.not_after) {
            (Some(from), _) => format!(", from {from:.0}"),
            (None, Some(on)) if self.state == TlsState::Expired => format!(" on {on:.0}"),
            (None, Some(until)) => format!(", until {until:.0}"),
            (None, None) => String::new(),
        };
        format!("{}: {}{when}", self.certificate, self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::RouteState;
    use crate::types::{ContextPath, HostKey};

    fn route(kind: RouteKind, services: &[(&str, u16)]) -> RouteReport {
        let service =
            |(name, share): &(&str, u16)| ServiceReport { service: (*name).to_owned(), share_permille: *share, endpoints: vec![] };
        RouteReport {
            host: HostKey::parse("a.example").unwrap(),
            path: ContextPath::parse("/app").unwrap(),
            state: RouteState::Served,
            kind,
            target: None,
            tls: None,
            reason: None,
            services: services.iter().map(service).collect(),
        }
    }

    #[test]
    fn a_route_is_described_by_place_outcome_services_and_certificate() {
        let plain = route(RouteKind::Http, &[("v1", 875), ("v2", 125)]);
        assert_eq!((plain.address().as_str(), plain.outcome().as_str(), plain.tls_summary().as_str()), ("a.example/app", "Served", "-"));
        assert_eq!(plain.service_titles(), ["v1 (87.5 %)", "v2 (12.5 %)"]);
        assert_eq!(route(RouteKind::Http, &[("v1", 1000)]).service_titles(), ["v1"]);
        let tls = |state: &str, from: Option<&str>, until: Option<&str>| {
            let time = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            TlsReport {
                certificate: "c".to_owned(),
                key: "k".to_owned(),
                state: TlsState::from(state),
                not_before: time(from),
                not_after: time(until),
            }
        };
        let (early, late) = ("2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
        assert_eq!(tls("good", None, Some(late)).summary(), format!("c: good, until {late}"));
        assert_eq!(tls("not valid yet", Some(early), Some(late)).summary(), format!("c: not valid yet, from {early}"));
        assert_eq!(tls("expired", None, Some(early)).summary(), format!("c: expired on {early}"));
        assert_eq!(tls("missing", None, None).summary(), "c: missing");
        let passed = route(RouteKind::Passthrough, &[]);
        assert_eq!((passed.address().as_str(), passed.tls_summary().as_str()), ("a.example (TLS passed through)", "the application's own"));
        let redirect = RouteReport { target: Some("https://b.example".to_owned()), ..route(RouteKind::Redirect, &[]) };
        assert_eq!(redirect.outcome(), "redirects to https://b.example");
    }
}
