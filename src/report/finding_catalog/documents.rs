//! The remedies for documents as a whole and for their fields; single values have a file of their own (`values`).

remedies! {
    UnreadableDocument<'a> {
        /// The file is larger than 1 MiB.
        TooLarge => "Split the file, or name the intended one.";
        /// There is no such file or folder.
        Missing => "Correct the path, or create the file.";
        /// The folder contains no document.
        EmptyFolder => "Add a *.yaml or *.yml file to the folder, or name another folder.";
        /// The encoding is wrong.
        NotText => "Save the file as UTF-8 text.";
        /// The file cannot be read for another reason.
        Unreadable => "Remove the cause that the error message names, for example missing permissions.";
        /// The file contains no document.
        Empty { kind } = Warning => "Add a {kind} document to the file, or remove the file.";
        /// The YAML has a syntax error.
        Syntax => "Correct this line or the one before it; check the indentation.";
        /// The schema in Swarmgate itself is broken.
        BrokenSchema => "Report this as a bug.";
    }
    UnknownField<'a> {
        /// A similar field exists, or the field belongs elsewhere.
        Similar { field } => "Did you mean {field}?";
        /// It is a merge key (`<<`).
        MergeKey => "Merge keys are not supported; write out the fields.";
        /// Otherwise.
        Other { fields } => "Remove the field; the fields here are {fields}.";
    }
    ImpossibleCombination {
        /// `replicas` with `mode: global`.
        ReplicasOfGlobal => "Remove replicas, or set mode: replicated.";
        /// The same port for `http` and `https`.
        SamePort => "Change one of the two ports.";
        /// `update.order: start-first` with host ports.
        StartFirstWithHostPorts => "Set it to stop-first, or set publish.mode: ingress.";
        /// `configPath` without `rollout: replace`.
        UnusedConfigPath => "Remove configPath, or set rollout: replace.";
        /// Options of a logging driver that is not named.
        OptionsWithoutDriver => "Name the driver that supports these options, or remove them.";
        /// A reservation above the limit.
        ReservationAboveLimit => "Reserve at most the limit.";
        /// `clientAddress` without addresses.
        NoLoadBalancer => "Add the addresses of the load balancers, or remove clientAddress.";
        /// A preferred network that is not in `only`.
        PreferredButNotListed => "Add the network to only, or remove it here.";
        /// `tlsProtocols` without a protocol.
        NoProtocol => "Add protocols, or remove the field.";
    }
    DuplicateDeclaration<'a> {
        /// The name of a cluster.
        Name => "Rename one of them.";
        /// The same `serviceCluster`.
        LabelValue => "Change the serviceCluster of one of them.";
        /// No `serviceCluster`.
        NoLabelValue => "Set a serviceCluster in one of them.";
        /// The name of a Swarm service.
        ServiceName => "Change the serviceName of one of them.";
        /// A port of the routing mesh.
        MeshPort => "Change the published port of one of them, or set publish.mode: host.";
        /// A document with errors, whose last good version makes the same claim (REMEDY: the one above for this claim).
        InForce { remedy } => "Correct the documents with errors first. {remedy}";
        /// A cluster that no readable document declares still uses it.
        InForceUnread { kind, name, remedy } => "Correct the documents that cannot be read first: while there are any, {kind} {name} stays in use. {remedy}";
        /// A port of nodes.
        HostPort = Warning => "Constrain them to different nodes, or change the port of one of them.";
        /// A port of nodes that is also a port of the routing mesh.
        HostPortInMesh = Warning => "Change the published port of one of them.";
    }
    SingleEqualsConstraint<'a> { constraint } => "Use {constraint}.";
}
