//! The remedies for hosts that services do not get: because of limits, or because they belong to other services.

remedies! {
    LimitExceeded<'a> {
        /// Too many hosts.
        Routes { limit } =>
            "Publish fewer hosts, or a wildcard instead of many, or have an administrator raise {limit}.";
        /// Too many locations.
        Locations { limit } =>
            "Publish fewer hosts, redirects or websocket endpoints, or have an administrator raise {limit}.";
        /// Too much text.
        Bytes { limit } =>
            "Publish fewer hosts, or use the virtual IP of services with many replicas (com.docker.lb.backend_mode=vip), or have an \
             administrator raise {limit}.";
        /// The services of a team ask for too many hosts that they do not get.
        ClaimsOfTeam { limit } =>
            "Remove hosts that services do not get (HostTaken, HostNotAllowed, LimitExceeded) from the labels of this team's services, or \
             have an administrator raise {limit}.";
        /// All services together ask for too many hosts that they do not get.
        ClaimsOfAll { limit } =>
            "Remove hosts that services do not get (HostTaken, HostNotAllowed, LimitExceeded) from the labels of those services, or have \
             an administrator raise {limit}.";
        /// Hosts have the same hash.
        SameHash => "Rename the hosts, for example by changing their first label, or publish a wildcard instead of them.";
        /// Too many configs are named as CAs.
        Configs =>
            "Store the CA as a secret with `docker secret create` (secrets have no such limit), or use one config for several services.";
    }
    LimitNear<'a> {
        /// All services together.
        Cluster { limit } =>
            "Raise {limit} if the extension and the proxies have enough memory (docs/limits.md), lower spec.limits.team or \
             spec.limits.service, or split the services across several clusters.";
        /// The services of one team.
        Team { limit } =>
            "Raise {limit} if this team may use more of the cluster, lower spec.limits.service, or split its services across several \
             clusters.";
    }
    HostNotAllowed {
        /// A host.
        Host => "Publish another host, or have an administrator add this one to spec.hosts.allow of the cluster.";
        /// The default backend.
        DefaultBackend =>
            "Remove the label, or have an administrator name the service in spec.hosts.defaultBackend of the cluster.";
    }
    HostTaken<'a> {
        /// The other service was first.
        First { host, service } =>
            "Publish another host. If this service should own the host, have an administrator add `- {{host: {host}, services: \
             [{service}]}}` to spec.hosts.allow of the cluster (if you create this closed list, also add `- \"*\"`, so that nothing else \
             changes): a service that is named there takes precedence. If both should have it, also set spec.hosts.sharing: allowed.";
        /// A pattern in `spec.hosts.allow` names the other service.
        Pattern { host, service } =>
            "Publish another host. If this service should own the host, have an administrator add `- {{host: {host}, services: \
             [{service}]}}` to spec.hosts.allow of the cluster: an entry for exactly this host takes precedence over one with a `*`. If \
             both should have it, also set spec.hosts.sharing: allowed.";
        /// An entry for exactly this host names the other service.
        Named { other } =>
            "Publish another host. If this service should own the host, have an administrator name this service instead of {other} in \
             spec.hosts.allow. If both should have it, have both named there and spec.hosts.sharing set to allowed.";
        /// An entry for exactly this host names both.
        BothNamed { other } =>
            "Publish another host. If this service should own the host, have an administrator remove {other} from the entry that names \
             both. If both should have it, set spec.hosts.sharing: allowed.";
        /// An entry names this service only as an additional one.
        Guest { other } =>
            "Publish another host. If this service should own the host, remove it from the labels of {other}, or have an administrator \
             remove the entry that names this service and add it again once this finding no longer mentions an entry. If both should have \
             it, set spec.hosts.sharing: allowed.";
        /// `spec.hosts.sharing` is `allowed`.
        NotNamed { host, service } =>
            "Publish another host, or have an administrator add `- {{host: {host}, services: [{service}]}}` to spec.hosts.allow of the \
             cluster (if you create this closed list, also add `- \"*\"`, so that nothing else changes).";
        /// The two share the host.
        Shared = Warning =>
            "No action is needed if both should have the host; otherwise remove it from the label of one of them.";
    }
    HostContested {
        /// The others do not get the host.
        Refused =>
            "No action is needed now. If this service is removed, another stack gets the host: to keep it permanently, have an \
             administrator name this service, and none of the others, in spec.hosts.allow.";
        /// `spec.hosts.allow` names this service.
        Named =>
            "No action is needed: spec.hosts.allow names this service, so it gets the host back even if it is removed for a while.";
        /// The others share the host.
        Shared = Warning =>
            "No action is needed if this is intended; otherwise have an administrator set spec.hosts.sharing: sameStack, or remove the \
             host from the labels of the other services.";
        /// The others ask to be the default backend.
        DefaultBackend =>
            "No action is needed now; to keep it this way, have an administrator name only this service in spec.hosts.defaultBackend.";
    }
    HostRegisterFull =>
        "Remove hosts from the labels of services that do not get those hosts (HostTaken), or name the owning services in spec.hosts.allow.";
}
