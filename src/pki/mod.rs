//! The operator's own public key infrastructure: a certificate authority, short-lived certificates for operator, extensions
//! and proxies, signatures on configurations, and seals on the objects that the operator creates. Processes trust each
//! other because of certificates, never because of addresses or names on a network. It must never let a private key out of
//! memory, except that of the authority into the one Swarm secret that the operator mounts; never touches sockets or files.

mod authority;
mod certificate_names;
mod credentials;
mod seal;
mod signature;
mod tls;
mod trust;

pub use authority::{Authority, AuthorityError, CERTIFICATE_LIFETIME, RequestError};
pub use certificate_names::{ChannelRole, OPERATOR_NAME, is_task_name, role_name, task_name};
pub use credentials::{ChannelIdentity, Credentials, CredentialsError, request};
pub use seal::{SealOrigin, Seals};
pub use signature::{Signature, Signer};
pub use tls::{ClientAuthentication, TlsError, client_config, server_config};
pub use trust::{NotTrusted, TrustRoot};
