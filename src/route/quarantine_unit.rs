//! The parts of a table that can be left out individually if an engine refuses them. Pure.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Backend, LineList, PathRoute, RouteTable};
use crate::types::{ContextPath, Digest, EngineLine, HostPattern, json_size};

/// A piece of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[schemars(rename = "Part")]
pub enum QuarantineUnit {
    /// A raw line written by an administrator.
    Line {
        /// The list that contains it.
        list: LineList,
        /// The line.
        line: EngineLine,
    },
    /// A template written by an administrator.
    Template,
    /// The default backend.
    DefaultBackend,
    /// A host whose TLS is passed through.
    Passthrough {
        /// The host.
        host: HostPattern,
    },
    /// The redirects of a host.
    Redirects {
        /// The host.
        host: HostPattern,
    },
    /// A path of a host.
    Route {
        /// The host.
        host: HostPattern,
        /// The path.
        path: ContextPath,
    },
}

impl QuarantineUnit {
    /// Whether an administrator wrote it, not the author of a service.
    pub fn is_setting(&self) -> bool {
        self.setting().is_some()
    }

    /// The field of `spec.settings` that contains it, if an administrator wrote it.
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Line { list, .. } => Some(list.field()),
            Self::Template => Some("template"),
            Self::DefaultBackend | Self::Passthrough { .. } | Self::Redirects { .. } | Self::Route { .. } => None,
        }
    }
}

impl RouteTable {
    /// Every part of the table, sorted.
    pub fn quarantine_units(&self) -> BTreeSet<QuarantineUnit> {
        let lines = LineList::ALL
            .into_iter()
            .flat_map(|list| self.settings.lines(list).iter().map(move |line| QuarantineUnit::Line { list, line: line.clone() }));
        let single = self
            .settings
            .template()
            .map(|_| QuarantineUnit::Template)
            .into_iter()
            .chain(self.default_backend.iter().map(|_| QuarantineUnit::DefaultBackend));
        let passthrough = self.passthrough.keys().map(|host| QuarantineUnit::Passthrough { host: host.clone() });
        let redirecting = self.hosts.iter().filter(|(_, virtual_host)| !virtual_host.redirects.is_empty());
        let redirects = redirecting.map(|(host, _)| QuarantineUnit::Redirects { host: host.clone() });
        let routes = self.hosts.iter().flat_map(|(host, virtual_host)| {
            virtual_host.paths.keys().map(|path| QuarantineUnit::Route { host: host.clone(), path: path.clone() })
        });
        lines.chain(single).chain(passthrough).chain(redirects).chain(routes).collect()
    }

    /// The content of a part, regardless of its endpoints: if it is unchanged, trying the part again is pointless.
    pub fn identity_of(&self, part: &QuarantineUnit) -> Option<Digest> {
        let named = |backend: &Backend| {
            let mut backend = backend.clone();
            backend.services.iter_mut().for_each(|service| service.endpoints.clear());
            backend
        };
        match part {
            QuarantineUnit::Line { list, line } => self.settings.lines(*list).contains(line).then(|| Digest::of_json(line)),
            QuarantineUnit::Template => self.settings.template().map(Digest::of_json),
            QuarantineUnit::DefaultBackend => {
                let default = self.default_backend.as_ref();
                default.map(|default| Digest::of_json(&(named(&default.backend), &default.tls, default.https_only)))
            }
            QuarantineUnit::Passthrough { host } => self.passthrough.get(host).map(|backend| Digest::of_json(&named(backend))),
            QuarantineUnit::Redirects { host } => self.hosts.get(host).map(|host| Digest::of_json(&host.redirects)),
            QuarantineUnit::Route { host, path } => {
                let route = self.hosts.get(host)?.paths.get(path)?;
                Some(Digest::of_json(&(named(&route.backend), route.rewrite, route.https_only, &route.websockets)))
            }
        }
    }

    /// The size in bytes of a part, with its endpoints, as it is passed on.
    pub fn size_of(&self, part: &QuarantineUnit) -> usize {
        match part {
            QuarantineUnit::Line { line, .. } => json_size(line),
            QuarantineUnit::Template => json_size(&self.settings.template()),
            QuarantineUnit::DefaultBackend => json_size(&self.default_backend),
            QuarantineUnit::Passthrough { host } => json_size(&self.passthrough.get(host)),
            QuarantineUnit::Redirects { host } => json_size(&self.hosts.get(host).map(|host| &host.redirects)),
            QuarantineUnit::Route { host, path } => json_size(&self.hosts.get(host).and_then(|host| host.paths.get(path))),
        }
    }

    /// The table without these parts, as if no service or administrator had asked for them.
    #[must_use]
    pub fn without(&self, parts: &BTreeSet<QuarantineUnit>) -> Self {
        self.changed(parts, |table, part| match part {
            QuarantineUnit::Passthrough { host } => drop(table.passthrough.remove(host)),
            QuarantineUnit::Route { host, path } => {
                if let Some(virtual_host) = table.hosts.get_mut(host) {
                    virtual_host.paths.remove(path);
                }
            }
            QuarantineUnit::Line { .. } | QuarantineUnit::Template | QuarantineUnit::DefaultBackend | QuarantineUnit::Redirects { .. } => {}
        })
    }

    /// The table in which these parts keep their names but nothing answers there (503, or a closed connection), so that
    /// requests for them reach no other route.
    #[must_use]
    pub fn with_unavailable(&self, parts: &BTreeSet<QuarantineUnit>) -> Self {
        self.changed(parts, |table, part| match part {
            QuarantineUnit::Passthrough { host } => {
                if let Some(backend) = table.passthrough.get_mut(host) {
                    *backend = Backend::default();
                }
            }
            QuarantineUnit::Route { host, path } => {
                if let Some(route) = table.hosts.get_mut(host).and_then(|virtual_host| virtual_host.paths.get_mut(path)) {
                    *route = PathRoute::to(Backend::default());
                }
            }
            QuarantineUnit::Line { .. } | QuarantineUnit::Template | QuarantineUnit::DefaultBackend | QuarantineUnit::Redirects { .. } => {}
        })
    }

    /// Leaves out the parts that can only be left out, and passes the others to `change`. A host that becomes empty is
    /// removed, too.
    fn changed(&self, parts: &BTreeSet<QuarantineUnit>, change: impl Fn(&mut Self, &QuarantineUnit)) -> Self {
        let mut table = self.clone();
        for part in parts {
            match part {
                QuarantineUnit::Line { list, line } => table.settings.lines_mut(*list).retain(|other| other != line),
                QuarantineUnit::Template => table.settings.remove_template(),
                QuarantineUnit::DefaultBackend => table.default_backend = None,
                QuarantineUnit::Redirects { host } => {
                    if let Some(virtual_host) = table.hosts.get_mut(host) {
                        virtual_host.redirects.clear();
                    }
                }
                QuarantineUnit::Passthrough { .. } | QuarantineUnit::Route { .. } => change(&mut table, part),
            }
        }
        table.hosts.retain(|_, host| !host.paths.is_empty() || !host.redirects.is_empty() || host.https_only);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{BackendService, VirtualHost};
    use crate::types::{ClusterName, Port, ServiceId, ServiceName};

    fn table() -> RouteTable {
        let port = Port::new(80).unwrap();
        let service = BackendService::new(ServiceId("id".to_owned()), ServiceName::parse("app").unwrap(), port, Vec::new());
        let route = PathRoute::to(Backend::new(vec![service]));
        let paths = ["/", "/a"].map(|path| (ContextPath::parse(path).unwrap(), route.clone()));
        let host = VirtualHost { paths: paths.into(), ..VirtualHost::default() };
        let mut table = RouteTable::empty(ClusterName::parse("dev").unwrap(), port);
        table.hosts = ["x", "y"].map(|name| (HostPattern::parse(name).unwrap(), host.clone())).into();
        table.settings.nginx.http_options = vec![EngineLine::parse("gzip on;").unwrap()];
        table
    }

    #[test]
    fn removing_all_parts_empties_a_table_and_removing_none_changes_nothing() {
        assert_eq!(table().quarantine_units().len(), 5);
        let nothing = table().without(&table().quarantine_units());
        assert_eq!(nothing, RouteTable::empty(nothing.cluster.clone(), nothing.http_port));
        assert_eq!(table().without(&BTreeSet::new()), table());
        assert_eq!(table().with_unavailable(&BTreeSet::new()), table());
    }

    #[test]
    fn each_part_can_be_removed_alone() {
        for part in table().quarantine_units() {
            let left = table().without(&BTreeSet::from([part.clone()]));
            assert_eq!(
                left.quarantine_units(),
                table().quarantine_units().into_iter().filter(|other| *other != part).collect(),
                "{part:?}"
            );
        }
    }

    #[test]
    fn a_muted_route_keeps_its_name_but_has_no_backend() {
        let all = table().quarantine_units();
        let reduced = table().with_unavailable(&all);
        assert_eq!(reduced.quarantine_units().len(), 4, "the line is gone");
        assert!(reduced.backends().all(|backend| backend.services.is_empty()));
    }

    #[test]
    fn an_identity_depends_on_the_content_of_the_part_and_not_on_endpoints() {
        let part = table().quarantine_units().into_iter().next_back().unwrap();
        let before = table().identity_of(&part);
        let mut other = table();
        let endpoint = crate::route::Endpoint { address: [10, 0, 0, 1].into(), port: other.http_port, task: None, lasting: false };
        other.backends_mut().for_each(|backend| backend.services[0].endpoints.push(endpoint.clone()));
        assert_eq!(other.identity_of(&part), before);
        other.hosts.values_mut().flat_map(|host| host.paths.values_mut()).for_each(|route| route.rewrite = true);
        assert_ne!(other.identity_of(&part), before);
        assert_eq!(other.without(&BTreeSet::from([part.clone()])).identity_of(&part), None);
    }
}
