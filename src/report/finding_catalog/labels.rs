//! The remedies for labels: their names and values, what they require of each other, and what they refer to.

remedies! {
    InvalidLabelValue<'a> {
        /// A variable (`$NAME`) is in the value.
        Variable => "Set the variable when you deploy the stack; it was not substituted.";
        /// The value contains characters that cannot be seen.
        Invisible => "Type the value again instead of copying it.";
        /// `hosts` has line breaks or tabs.
        HostLines => "Separate hosts with commas, not with line breaks or tabs.";
        /// A host has letters that are not ASCII.
        HostLetters { character } =>
            "For an internationalized name, use its ASCII form (xn--…). Otherwise type the host again: its first non-ASCII character is \
             {character}.";
        /// `hosts` is `*`.
        EveryHost =>
            "Name the hosts, or set com.docker.lb.default_backend=true: the default backend answers for all unpublished hosts.";
        /// A host with a scheme.
        HostWithScheme => "Use the host alone, without scheme.";
        /// A host with a path.
        HostWithPath => "Use the host alone; a path belongs in com.docker.lb.context_root.";
        /// A host with a port.
        HostWithPort => "Use the host alone, without port; it matches requests to any port.";
        /// Another mistake in `hosts`.
        Hosts => "Use names like app.example.org, separated by commas.";
        /// `port`.
        Port => "Use only the number, for example 8080.";
        /// `context_root`, `websocket_endpoints`.
        Path => "Use a path like /app.";
        /// `redirects`.
        Redirects => "Use pairs like http://old.example.org,https://new.example.org, separated by ';'.";
        /// `fail_timeout`.
        Duration => "Use a duration like 10s.";
        /// Another label.
        Other => "Correct the value, or remove the label.";
        /// `context_root` looks like several paths.
        SeveralPaths = Warning => "Set a single path, and publish any other path with another service.";
        /// Too many `hosts`.
        TooManyHosts => "Use a wildcard, or several services.";
        /// Too many `redirects`.
        TooManyRedirects =>
            "Redirect whole hosts or a parent path (everything below it is redirected, too), or redirect in the application.";
        /// Too many `websocket_endpoints`.
        TooManyEndpoints =>
            "Name a parent path: everything below it is included. Upgrades work on every path of the service anyway.";
        /// More items of the list are invalid than are listed.
        More => "Correct or remove them.";
        /// `swarmgate.use-by` of a secret or config.
        UseBy { kind } = Warning => "Recreate the {kind} with a valid label.";
    }
    UnknownLabel<'a> {
        /// A similar label exists.
        Similar { label } => "Did you mean {label}?";
        /// The value became part of the name.
        Joined { label } =>
            "Did you mean {label}? Its name and value were read as one name: use NAME=VALUE in a list of labels, and NAME: VALUE in a \
             mapping.";
        /// Otherwise.
        Other => "Remove the label, or look up its correct name.";
        /// The service has more such labels than are listed.
        More => "Remove them.";
        /// `com.docker.network`.
        DockerNetwork = Info => "Use com.docker.lb.network if the label is intended for Swarmgate.";
        /// A label of a secret or config.
        OfObject { kind } => "Recreate the {kind} with the label swarmgate.use-by.";
    }
    UnknownAccessLabel =>
        "If the service is open to everyone, remove the label. Otherwise enforce access in the application, or in a proxy in front of it.";
    LabelOnContainer =>
        "Set the labels on the service: in a stack file under deploy.labels, on the command line with `docker service create --label` \
         instead of --container-label.";
    OtherProxyLabels<'a> {
        /// They name hosts and a port at most.
        Publication { hosts, port } =>
            "No action is needed if that proxy publishes it. To publish it with Swarmgate, set com.docker.lb.hosts={hosts} and \
             com.docker.lb.port={port} under deploy.labels; docs/labels.md lists all labels.";
        /// They have other settings as well.
        MoreSettings { hosts, port } =>
            "No action is needed if that proxy publishes it. To publish it with Swarmgate, set com.docker.lb.hosts={hosts} and \
             com.docker.lb.port={port} under deploy.labels, plus labels for the other settings (a path: context_root; a certificate: \
             ssl_cert), because these two alone publish the whole service to everyone; docs/labels.md lists all labels.";
    }
    LabelWithoutEffect {
        /// `ssl_key` without `ssl_cert`.
        KeyWithoutCertificate => "Add com.docker.lb.ssl_cert, which may name the same secret.";
        /// A label about requests, or a certificate, with `ssl_passthrough`.
        Passthrough => "Remove the label, or let Swarmgate terminate TLS (ssl_cert) instead of ssl_passthrough.";
        /// A redirect from `https://` with `ssl_passthrough`.
        RedirectOfPassthrough => "Add com.docker.lb.ssl_cert, or write http:// in front of the source.";
        /// Affinity with `backend_mode=vip`.
        AffinityOfVirtualIp => "Set backend_mode=task, or remove the label.";
        /// `ssl_backend_tls_verify` without TLS to the application.
        NothingToVerify => "Set com.docker.lb.ssl_backend=true, or remove the label.";
    }
    MissingLabel {
        /// `hosts` is missing.
        Hosts => "Set it to the host names that the service answers for, or set com.docker.lb.default_backend=true.";
        /// `port` is missing.
        Port => "Set it to the port on which the container listens.";
    }
    UnknownServiceCluster<'a> {
        /// A similar value exists.
        Similar { value } => "Did you mean {value}? Otherwise declare a ServiceCluster for this service.";
        /// The value is the name of the cluster for services without the label.
        NameOfCluster { cluster } => "Remove the label: the cluster {cluster} publishes services without it.";
        /// Clusters have other values.
        OtherValues { values } => "Set it to {values}, or declare a ServiceCluster for this service.";
        /// A cluster publishes services without the label.
        WithoutLabel { cluster } =>
            "Remove the label (the cluster {cluster} publishes services without it), or declare a ServiceCluster for this service.";
        /// Clusters have other values, and another one publishes services without the label.
        OtherValuesOrWithout { values, cluster } =>
            "Set it to {values}, remove the label (the cluster {cluster} publishes services without it), or declare a ServiceCluster for \
             this service.";
        /// There is no other cluster.
        NoCluster => "Declare a ServiceCluster for this service.";
        /// Another operator runs in the Swarm (REMEDY: the one above for the same label).
        OtherOperator { operator, remedy } = Info => "No action is needed if operator {operator} publishes it. Otherwise: {remedy}";
    }
    ClusterNotInForce<'a> {
        /// Its document is invalid.
        Invalid { cluster } => "Correct the document of cluster {cluster}; its findings show what is wrong.";
        /// Some documents cannot be read.
        Unreadable => "Correct the documents; their findings show what is wrong.";
    }
    ConflictingSetting {
        /// Most settings.
        Setting => "Set the same value on all services of one host and path.";
        /// TLS.
        Tls => "Set the same certificate, or ssl_passthrough, on all services of one host.";
        /// Redirects.
        Redirect => "Redirect each source to one target only.";
        /// `ip_hash` with `sticky_session_cookie`.
        Affinity => "Remove one of the two labels.";
    }
    SecondDefaultBackend =>
        "Keep com.docker.lb.default_backend on one service of the cluster, and remove it from the others.";
    NoVirtualIp {
        /// `endpoint_mode: dnsrr`.
        Dnsrr => "Set endpoint_mode: vip on the service (docker service update --endpoint-mode vip), or backend_mode=task.";
        /// `endpoint_mode: vip`.
        NotAssigned =>
            "No action is needed if the service was just created; otherwise check that its network has free addresses, or set \
             backend_mode=task.";
        /// The service is reached at ports of its nodes.
        OnNodes => "Set backend_mode=task: a service that is reached at ports of its nodes has no virtual IP there.";
    }
    RedirectWithoutTls {
        /// `ssl_only`.
        Only => "Add com.docker.lb.ssl_cert (or ssl_passthrough), or remove ssl_only.";
        /// A target of `redirects`.
        Target = Warning =>
            "Add com.docker.lb.ssl_cert (or ssl_passthrough) for that host, unless a load balancer in front of the proxies terminates its \
             TLS.";
    }
    RedirectLoop => "Redirect to another host, scheme or path, or remove ssl_only if it leads back.";
    LabelsFlapping =>
        "Find out what keeps updating the service, or have an administrator raise spec.limits.service.labelUpdates.";
}
