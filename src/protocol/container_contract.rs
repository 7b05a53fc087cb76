//! What the operator guarantees to the containers it starts: environment variables, files and ports. `fleet` writes them into
//! service specs, `extension` and `proxy` read them; a change here replaces tasks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The cluster's name (extension and proxy).
pub const ENV_CLUSTER: &str = "SWARMGATE_CLUSTER";
/// The task's id, from Swarm's template `{{.Task.ID}}`.
pub const ENV_TASK: &str = "SWARMGATE_TASK";
/// The node's host name, from Swarm's template `{{.Node.Hostname}}`.
pub const ENV_NODE: &str = "SWARMGATE_NODE";
/// The cluster's engine (extension and proxy). Absent for nginx, so that introducing the variable replaced no proxy.
pub const ENV_ENGINE: &str = "SWARMGATE_ENGINE";
/// How the container reaches its peers: `host` without a control network; else absent.
pub const ENV_CHANNEL: &str = "SWARMGATE_CHANNEL";
/// Base URL of the operator's channel; without a control network, one for each manager, comma-separated.
pub const ENV_OPERATOR_URL: &str = "SWARMGATE_OPERATOR_URL";
/// Base URL of the extension (proxy): `https://tasks.NAME:8082`. Absent without a control network.
pub const ENV_EXTENSION_URL: &str = "SWARMGATE_EXTENSION_URL";
/// Networks that are new to the proxies, and when their first tasks start with them: a task that starts then proves that it is
/// reachable and reaches them before it counts as running. Written by [`super::NewNetworks`].
pub const ENV_NEW_NETWORKS: &str = "SWARMGATE_NEW_NETWORKS";
/// The file with which a task gets its first certificate (a [`super::Bootstrap`]): a mounted Swarm secret.
pub const ENV_TOKEN_FILE: &str = "SWARMGATE_TOKEN_FILE";
/// Where that secret is mounted.
pub const TOKEN_FILE: &str = "/run/secrets/swarmgate-token";
/// Where the operator's own service mounts the secret with its certificate authority.
pub const AUTHORITY_FILE: &str = "/run/secrets/swarmgate-ca";
/// Where secrets and configs with certificates, keys and CAs are mounted, each under its id: in the extension those that the
/// routes name, in the proxy those that the boot snapshot names (or, with `rollout: replace`, the configuration).
pub const MATERIAL_DIR: &str = "/run/secrets/swarmgate";
/// The root certificates of the image of extension and proxy.
pub const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where the boot snapshot (a [`super::messages::Bundle`], written and read by [`super::boot_snapshot`]) is mounted in the proxy.
pub const BOOT_FILE: &str = "/etc/swarmgate/boot.json";
/// The proxy's volume with its last good state.
pub const STATE_DIR: &str = "/var/lib/swarmgate";
/// The memory-backed directory of extension and proxy for everything else. If an image contains it, its mode must be 1777: runc
/// 1.1 gives a mounted tmpfs the mode of the directory beneath, whatever the service requests, and root as its owner.
pub const RUN_DIR: &str = "/run/swarmgate";
/// The prefix of the names of shared memory zones that count clients. The agent gives each configuration that it loads its own
/// zones by a number after this prefix: a worker that is terminated drops its requests, but not what it counted. No label value
/// can contain the bar.
pub const ENGINE_COUNTERS: &str = "swarmgate|";
/// The user and group that extension and proxy run as.
pub const USER: &str = "65532:65532";
/// The operator's alias on the control network.
pub const OPERATOR_ALIAS: &str = "swarmgate-operator";
/// The operator's channel port: on the control network only, or published on its node if there is none.
pub const OPERATOR_CHANNEL_PORT: u16 = 8081;
/// The operator's port for people: status, page, metrics.
pub const OPERATOR_STATUS_PORT: u16 = 8080;
/// The extension's channel port.
pub const EXTENSION_PORT: u16 = 8082;
/// The agent's port on its container's loopback: `/healthz` answers 200 while the engine serves.
pub const AGENT_PORT: u16 = 8083;
/// The agent's port on its container's loopback at which the engine resolves names.
pub const AGENT_NAMES_PORT: u16 = 8085;
/// Docker's name server in every container that is on a user-defined network.
pub const DOCKER_NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// The engine's own port on its container's loopback; live and boot configurations only.
pub const ENGINE_STATUS_PORT: u16 = 8084;
/// The path on [`ENGINE_STATUS_PORT`] that the engine answers with 200 while it serves; any other path there is 404.
pub const ENGINE_READY_PATH: &str = "/ready";
/// The default name of the control network.
pub const CONTROL_NETWORK: &str = "swarmgate-control";
/// Owner label on every created object: the operator's instance name.
pub const LABEL_OWNER: &str = "swarmgate.owner";
/// Label: the cluster an object belongs to.
pub const LABEL_CLUSTER: &str = "swarmgate.cluster";
/// Label: `extension`, `proxy`, `boot`, `live`, `extension-token`, `proxy-token`, `ca`, `status-token` or `network`.
pub const LABEL_ROLE: &str = "swarmgate.role";
/// The value of [`LABEL_ROLE`] on a proxy service.
pub const ROLE_PROXY: &str = "proxy";
/// Label on a token secret: the SHA-256 of the token, by which the operator recognizes it.
pub const LABEL_TOKEN_DIGEST: &str = "swarmgate.token-sha256";
/// Label on a token secret: the fingerprint of the authority whose operator created it.
pub const LABEL_AUTHORITY: &str = "swarmgate.authority";
/// Label: the operator's seal on an object that it created; no other party can make it.
pub const LABEL_SEAL: &str = "swarmgate.seal";
/// Label on a config with an engine configuration: the digest of its bundle.
pub const LABEL_CONTENT: &str = "swarmgate.content";
/// Label on a boot snapshot or mounted configuration: the ids of the secrets and configs with TLS material that it names,
/// separated by commas, so that the proxy service can mount them, too.
pub const LABEL_MATERIAL: &str = "swarmgate.material";
/// Label on the first config of an engine configuration that is split into several: how many there are.
pub const LABEL_PARTS: &str = "swarmgate.parts";
/// Label on the other configs: the name of the first one.
pub const LABEL_PART_OF: &str = "swarmgate.part-of";
/// Label on a service: the fields that the last applied declaration managed, as JSON.
pub const LABEL_MANAGED: &str = "swarmgate.managed";
/// Label on a proxy service: the networks with which no proxy started successfully, as JSON.
pub const LABEL_FAILED_NETWORKS: &str = "swarmgate.failed-networks";
/// Label on an extension service: the holders of hosts that older services of other owners also request, as JSON.
pub const LABEL_HOST_HOLDERS: &str = "swarmgate.host-holders";
/// Label on a proxy service that gets a new network: how Swarm replaced its tasks before, as JSON. The first proxy with the
/// network is tried alone.
pub const LABEL_UPDATE_BEFORE: &str = "swarmgate.update-before";
/// The directory below the engine's prefix for request bodies that are larger than its buffer.
pub const ENGINE_BODY_DIR: &str = "client-body";
/// The file of a bundle with the places of `RouteTable::awaited`, one per line. The engine does not read it.
pub const AWAITED_FILE: &str = "awaited.txt";

/// The path at which the secret or config with this id is mounted, if its routes need it.
pub fn material_file(id: &str) -> String {
    format!("{MATERIAL_DIR}/{id}")
}
