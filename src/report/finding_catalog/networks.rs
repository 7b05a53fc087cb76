//! The remedies for networks, and for the ports and addresses of nodes.

remedies! {
    NetworkNotFound<'a> {
        /// The network is not in the closed list.
        NotListed => "Remove the label or name a network of the list, or have an administrator add this one to it.";
        /// A network of the service has a similar name.
        Similar { network } => "Did you mean {network}? Otherwise attach the service to the intended network.";
        /// No network of the service has this name.
        NoSuchName =>
            "Use the full name of one of its networks as shown by `docker network ls`, or attach the service to the intended network.";
        /// The service is on the host network.
        HostNetwork => "Remove the label, or set it to host.";
    }
    NetworkQuarantined<'a> { service, network } =>
        "Look at the errors of the tasks of {service} (docker service ps --no-trunc). Check that {network} has free addresses, does not \
         overlap with a network of any node, and lets nodes reach each other (UDP 4789). Otherwise move the service to a network that the \
         proxies have.";
    NetworkFailing<'a> { service } =>
        "See which tasks of {service} failed (docker service ps --no-trunc), and repair that node: it has another network with the same \
         addresses, or has lost this one. Restarting its Docker engine usually helps.";
    NetworkLingers => "No action is needed.";
    AmbiguousNetwork =>
        "Set com.docker.lb.network to the network that the proxies share with the service, or name that network in the cluster's \
         spec.networks.preferred.";
    UnreachableNetwork<'a> {
        /// None of its networks is in the closed list.
        NotListed =>
            "Attach the service to one of the cluster's networks, or have an administrator add its network to the closed list \
             (spec.networks.only).";
        /// The service has no overlay network.
        NoNetwork { port } =>
            "Attach the service to an overlay network (docker service update --network-add; `networks` in a stack file), or publish its \
             port in host mode (docker service update --publish-add mode=host,target={port}).";
    }
    UnsuitableNetwork {
        /// It is not an overlay network.
        NoOverlay => "Attach the service to an overlay network of the Swarm (docker network create --driver overlay NAME).";
        /// Its addresses are in use elsewhere.
        Overlap =>
            "Attach the service to an overlay network with its own subnet (docker network create --driver overlay --subnet RANGE NAME); \
             see docs/labels.md (network) for the rules.";
        /// It contains a load balancer or log server of the settings.
        ContainsPeer =>
            "Attach the service to an overlay network with another subnet; or, if everything at those addresses is reached over this \
             network itself, have an administrator add it to the closed list spec.networks.only.";
        /// Its addresses are not private.
        Public =>
            "Attach the service to an overlay network with its own subnet in private address space; or, if no client has such an address, \
             have an administrator add this one to the closed list spec.networks.only.";
        /// It is internal.
        Internal =>
            "Also attach the service to an overlay network that is not internal, or have an administrator publish the proxies through the \
             routing mesh (spec.proxy.publish.mode: ingress).";
        /// It is in the closed list of the cluster.
        Listed => "Recreate it with its own subnet in private address space, or remove it from the list.";
    }
    NetworkFull<'a> {
        /// The proxies are not attached to it.
        NotAttached => "Attach the service to a network with a larger subnet, or move services off this one.";
        /// It is in the closed list of the cluster.
        Listed => "Recreate it with a larger subnet, or remove it from the list.";
        /// The proxies are attached to it.
        Attached { network } => "Run fewer tasks on {network}, or move services to a network with a larger subnet.";
        /// The proxies have left it.
        Left { network } =>
            "No action is needed if {network} keeps addresses free; otherwise move services to a network with a larger subnet.";
    }
    NoHostPort<'a> { port } =>
        "Publish it (docker service update --publish-add mode=host,target={port}; in a stack file, `mode: host` in the long syntax of \
         `ports`), or attach the service to an overlay network.";
    NodeAddress {
        /// The address of a node is unknown.
        Unknown => "Set it with: docker node update --label-add swarmgate.address=ADDRESS NODE.";
        /// The label `swarmgate.address` is not usable.
        Label = Warning => "Set one IP address without a port, or remove the label.";
    }
    HostPortContested<'a> { service } =>
        "Remove the service, stop publishing this port, or keep the service off the nodes of {service} with constraints (node.labels, \
         node.hostname, node.id, node.role).";
}
