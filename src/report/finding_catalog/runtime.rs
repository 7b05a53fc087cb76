//! The remedies for the running system: endpoints, engines, proxies, extensions, and the operator itself.

remedies! {
    NoEndpoints {
        /// `UnknownAccessLabel` closes the service.
        Closed => "Remove that label if everyone may have access; the finding UnknownAccessLabel names it.";
        /// The service is scaled to zero.
        ScaledToZero => "Scale the service up.";
        /// All weights are 0.
        NoWeight => "Give one of the route's services a weight above 0.";
        /// The service is a job.
        Job =>
            "See `docker service ps`; `docker service update --force` runs a job again. Do not use a job for a service that must always \
             answer.";
        /// The service is reached at ports of its nodes.
        OnNodes =>
            "See its endpoints in the status for the reason, `docker service ps` for tasks that do not run, and docs/labels.md for \
             addresses and ports of nodes.";
        /// Its network is not used.
        UnusedNetwork => "See the other findings about the service.";
        /// It shares no network with the proxies.
        NoNetwork => "Attach the service to an overlay network that the proxies may use.";
        /// No task is running.
        NoTask => "Run `docker service ps` to see why its tasks do not run.";
    }
    EngineRefused =>
        "Find the host or option in the engine's error message, and change the label or setting that it comes from.";
    EngineUnavailable =>
        "If this persists, give the extension more CPU (spec.extension.resources), or spread the hosts over several clusters.";
    EngineVulnerable<'a> { engine, version } =>
        "Use an image with {engine} {version} or newer. If your distribution has backported the fixes to this version, ignore this \
         finding.";
    RouteQuarantined {
        /// The engine refuses it.
        Refused => "Correct what the engine's error message names; it is tried again when it changes.";
        /// The configuration would be too large with it.
        TooLarge =>
            "Publish fewer hosts, paths or replicas, or ask an administrator to lower spec.limits or to add another cluster.";
    }
    MessageTooLarge =>
        "Publish fewer hosts or replicas of the parts that the message names, lower spec.limits of the cluster, or spread its services \
         over several clusters.";
    ProxiesNotFollowing =>
        "Read each proxy's last message, and `docker service logs` of the proxy service. A proxy that sends no reports cannot reach the \
         extension, or hangs: `docker service update --force` replaces it.";
    ExtensionSilent =>
        "Check `docker service ps` and `docker service logs` of the extension service; it must be able to reach the operator's channel \
         port.";
    ConfigTooLarge {
        /// The configuration (`rollout: replace`).
        Configuration => "Use `rollout: live`, or spread the services over several clusters.";
        /// The boot snapshot (`rollout: live`).
        BootSnapshot =>
            "Spread the services over several clusters. Running proxies are not affected: they get their configuration from the \
             extension.";
    }
    NameTaken<'a> { kind } => "Remove or rename the other {kind}, or choose another name in the document.";
    NetworkNotEncrypted =>
        "Use another control network, or remove this one while nothing is attached to it; Swarm cannot change a network.";
    RolloutFailed<'a> { service } =>
        "Find out why its tasks failed (docker service ps --no-trunc {service}); a changed document is tried immediately.";
    Drift {
        /// Most fields.
        Field => "Change the document instead, or remove the field from it to manage the value by hand.";
        /// The number of proxies with `mode: global`.
        OneOnEachNode =>
            "With mode: global, one proxy runs on each suitable node; set mode: replicated to choose the number of proxies.";
    }
    ServiceTakenOver =>
        "After an upgrade or a new installation, state in the document what should stay. Otherwise find out who created the service.";
    ProxiesReplacedTogether<'a> {
        /// The operator can count the nodes.
        CountedNodes { service } =>
            "Remove the service at a quiet time (docker service rm {service}): the operator immediately creates it again without this \
             problem, but nothing is served until the new proxies run.";
        /// The operator cannot count the nodes.
        UncountedNodes { service } =>
            "First use constraints that compare only node.id, node.hostname, node.role, node.platform or node.labels: the \
             operator cannot count the nodes that match the current constraints. Then remove the service at a quiet time (docker service rm {service}): the operator immediately \
             creates it again without this problem, but nothing is served until the new proxies run.";
    }
    ProxyNodesUnknown =>
        "Use constraints on node.id, node.hostname, node.role, node.platform or node.labels only, or set mode: replicated with the number \
         of replicas.";
    UpdateGap<'a> {
        /// An application in a stack.
        InStack => "Set deploy.update_config.order to start-first, or run two replicas.";
        /// An application outside of stacks.
        WithoutStack { service } => "Run `docker service update --update-order start-first {service}`, or run two replicas.";
        /// An application with a port of its node.
        PortOfNode => "Run two replicas on two nodes: only one task can use a port of a node, so the successor cannot start first.";
        /// The only proxy.
        OnlyProxy = Warning =>
            "Run at least two replicas (with mode: global, on at least two nodes), or publish through the routing mesh with order \
             start-first.";
        /// The mode of a service changes.
        ModeChanges = Warning =>
            "Change the mode while traffic goes elsewhere, or declare a second cluster and move traffic to it.";
        /// The name of a service changes.
        Renamed = Warning => "Change the name while traffic goes elsewhere, or temporarily publish other ports as well.";
    }
    ControlNetworkNotAttached =>
        "Attach the service to the control network in the stack file, or set SWARMGATE_CONTROL_NETWORK to a network of the service.";
    EventsLost => "No action is needed; if this persists, check the log of the manager's Docker daemon.";
}
