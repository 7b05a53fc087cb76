//! The remedies for TLS: secrets and configs that labels name, and what is in them.

remedies! {
    SecretNotFound<'a> {
        /// No secret or config in the Swarm has an access label.
        Absent => "Create it with `docker secret create`, or use its full name as shown by `docker secret ls`.";
        /// The service has an access label.
        OtherAccess { access } =>
            "Create it with `docker secret create`, or use its full name as shown by `docker secret ls`; a secret with another access \
             label needs the label swarmgate.use-by=access:{access}.";
        /// Access labels are in use, but the service has none, or one that is not a plain path.
        AnyAccess =>
            "Create it with `docker secret create`, or use its full name as shown by `docker secret ls`; a secret with another access \
             label needs the label swarmgate.use-by, which lists its users (docs/labels.md).";
        /// The service may use a secret with a similar name (REMEDY: the one above for this service).
        Similar { name, remedy } => "Did you mean {name}? Otherwise {remedy}";
    }
    RefNotPermitted<'a> {
        /// It belongs to a stack, or to services without one.
        NotGranted { kind, user, name, rule, cluster } =>
            "Recreate it with `docker {kind} create --label swarmgate.use-by={user} NEW-NAME FILE` and use the new name, or have an \
             administrator add `- {{name: {name}, {rule}}}` to spec.material.allow of the cluster {cluster}.";
        /// It is one of Swarmgate's own.
        OfSwarmgate { kind } => "Use a {kind} of your own.";
    }
    TlsNotPublished => "Add spec.proxy.publish.https to the cluster's document.";
    NotACertificate {
        /// The secret contains something else.
        Content =>
            "Store a certificate that the engine supports, with its chain, as PEM text in a new secret, and name that secret.";
        /// The image contains no root certificates.
        NoRoots => "Add the ca-certificates package to the image, or name a secret that contains the CA's certificates.";
    }
    NotAPrivateKey => "Store the private key as PEM text without a passphrase in a new secret, and name that secret.";
    KeyMismatch =>
        "Name the private key that belongs to the certificate; in a chain, the server's own certificate must come first.";
    CertificateExpired =>
        "Store the renewed certificate in a new secret and name that secret: proxies switch to it without a restart.";
    CertificateNotYetValid =>
        "Name a certificate that is valid now, such as the previous one; this one is used as soon as it becomes valid. If it should be \
         valid now, correct the clock of the node or of the CA.";
    CertificateExpires =>
        "Store the renewed certificate in a new secret and name that secret: proxies switch to it without a restart.";
    CertificateUnsupported =>
        "Issue a certificate with a key that all clients accept (ECDSA P-256, or RSA with 2048 bits) and a SHA-256 signature.";
    CertificateChainInvalid =>
        "Store the certificate with the CA's current chain in a new secret, and name that secret.";
    AuthorityHoldsKey =>
        "Store only the certificates (openssl x509 -in FILE) in a new config or secret, and name that object. If the key was in a config, \
         treat it as disclosed and replace it.";
    CertificateNameMismatch =>
        "Name a certificate whose subject alternative names include these hosts; a wildcard covers exactly one label.";
}
