//! The remedies for values in documents: those that the schema excludes, and those that are possible but make no sense.

remedies! {
    InvalidValue<'a> {
        // Errors: the field itself.
        /// A required field is missing.
        MissingField => "Add the field.";
        /// A required field with a fixed set of values is missing (DESCRIPTION: the values and what they mean).
        MissingOption { description } => "Add the field. {description}";
        /// The field is empty.
        NoValue => "Set a value, or remove the field.";
        /// The field occurs twice.
        DuplicateField => "Remove one of the two.";
        /// It is a merge key (`<<`).
        MergeKey => "Merge keys are not supported; write out the fields.";

        // Errors: how the value is written.
        /// A number is in quotes.
        QuotedNumber => "Remove the quotes.";
        /// Text is not in quotes.
        UnquotedText => "Put the value in quotes.";
        /// A list is missing.
        NotAList => "Use a list: [\"…\"].";
        /// Fields are missing below it.
        NotAMapping => "Put its fields below it, indented.";
        /// A string contains a NUL character.
        Nul => "Remove the character.";

        // Errors: what the value is.
        /// The value is similar to a possible one.
        Similar { value } => "Did you mean {value}?";
        /// Only some values are possible.
        NotAnOption { values } => "Use {values}.";
        /// The format is wrong.
        Format { example } => "Use, for example, {example}.";
        /// The value is out of range, or of another type.
        OutOfRange => "Correct the value.";
        /// The list is too long.
        LongList => "Shorten the list.";
        /// A name has the wrong form.
        Name => "Choose another name.";

        // Errors: single fields and objects.
        /// The engine is not supported.
        Engine { engines } => "Use an engine that this version supports: {engines}.";
        /// `template` has an error.
        Template => "Correct the line; docs/template.md has an example.";
        /// `material.allow` is neither a list nor `anyone`.
        MaterialRules => "See `Who may use which certificates` in docs/settings.md.";
        /// A service has a name that no container can have.
        ServiceName => "Create the service under another name.";

        // Errors: everything else.
        /// Only the schema explains the mistake.
        Schema { kind } => "Compare the document with `swarmgate schema {kind}`.";
        /// The document has too many mistakes to list them all.
        More => "Correct the mistakes above first.";

        // Warnings: fields of any topic.
        /// The value is too small.
        TooSmall { example } = Warning => "Set it to {example}, for example.";
        /// The value is larger than another field.
        AboveField { field } = Warning => "Set it to at most {field}.";
        /// A list is empty.
        EmptyList { items } = Warning => "Add {items}, or remove the field.";
        /// A list has the same entry twice.
        DuplicateEntry = Warning => "Remove one of the two.";
        /// Another field takes the effect away.
        WithoutEffect = Warning => "Remove one of the two fields.";

        // Warnings: proxies.
        /// `replicas` is 0.
        NoProxies = Warning => "Set it to 1 or more if this cluster is to serve traffic.";
        /// `stopSignal` ends proxies at once.
        StopSignal = Warning => "Use SIGQUIT or SIGTERM.";

        // Warnings: limits.
        /// A limit is higher than another one that includes it.
        AboveLimit { limit } = Warning => "Set it to at most {limit}, or raise that limit.";
        /// `limits.cluster.bytes` is more than a message can hold.
        AboveMessage = Warning =>
            "Set it to at most 24m, because a message contains two configurations, or remove the field: the default is 16m.";

        // Warnings: networks.
        /// `networks` names one of Docker's own networks.
        DockerNetwork = Warning => "Use an overlay network (docker network create --driver overlay NAME).";
        /// `networks.reserved` contains every address.
        EverythingReserved = Warning => "Use only the ranges of clients, offices and VPNs.";
        /// `networks.reserved` contains Docker's default addresses.
        DefaultPoolReserved = Warning =>
            "Use only the ranges of clients, or create the networks with a --subnet outside of this range.";

        // Warnings: access.
        /// An access label is empty.
        EmptyAccessLabel = Warning => "Use the value of com.docker.ucp.access.label, for example /Shared/shop.";

        // Warnings: addresses of clients.
        /// `clientAddress` trusts clients.
        TrustsClients = Warning => "Use only the addresses of the load balancers.";
        /// `clientAddress` behind the routing mesh.
        ClientAddressInMesh = Warning => "Set publish.mode: host, or remove clientAddress.";
        /// A raw line does the same as `clientAddress`.
        ClientAddressLine = Warning => "Remove the line.";

        // Warnings: connections.
        /// `openFiles` is less than `maxConnections`.
        FewOpenFiles = Warning => "Set openFiles to at least this value.";
        /// `maxConnectionsPerClient` is not less than `maxConnections`.
        PerClientTooHigh = Warning =>
            "Set it to a fraction of maxConnections, or remove the field: the default is a quarter.";
        /// `maxConnectionsPerClient` behind the routing mesh.
        PerClientInMesh = Warning => "Remove the field, or publish the proxies in host mode.";
        /// `keepaliveMinTimeout` is 0.
        NoKeepaliveMinimum = Warning => "Remove the field, or set it to 5s.";

        // Warnings: request bodies.
        /// `clientMaxBodySize` is more than the default of `requestBodySpoolMax`.
        LargeBody = Warning => "Set requestBodySpoolMax to several times this size, if the volume has enough space.";
        /// `requestBodySpoolMax` is less than `clientMaxBodySize`.
        SmallSpool = Warning => "Set it to several times clientMaxBodySize.";
        /// `requestBodySpoolMax` with bodies of any size.
        UnlimitedBody = Warning => "Set clientMaxBodySize to a small fraction of it.";

        // Warnings: TLS.
        /// A TLS version that is out of use.
        OldTls = Warning => "Remove it, unless you know of clients that need it.";
    }
}
