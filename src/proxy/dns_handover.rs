//! The step between addresses and names, and the step before a start by names: the engine loads a configuration that makes it
//! resolve names before requests depend on them. Decides when such a step is needed; the engine defines what it looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::protocol::messages::{Bundle, ProxyConfig};
use crate::runtime::{Engine, ResolverWarmup};

/// The configuration for the change from addresses to names, and how many names the engine resolves meanwhile; `None` if no such
/// step is needed.
pub(super) fn addresses_to_names(engine: &dyn Engine, config: &ProxyConfig) -> Option<(Bundle, usize)> {
    let ResolverWarmup { files, names } = engine.resolving_beside_addresses(&config.live.files, &config.boot.files)?;
    Some((Bundle { files, ..config.boot.clone() }, names))
}

/// The configuration before the first one with names serves, and how many names the engine resolves meanwhile; `None` if no such
/// step is needed.
pub(super) fn initial_names(engine: &dyn Engine, by_name: &Bundle) -> Option<(Bundle, usize)> {
    let ResolverWarmup { files, names } = engine.resolving_only(&by_name.files)?;
    Some((Bundle { files, ..by_name.clone() }, names))
}

/// For each name, in lower case, the addresses of the pools that contain it. Some of them are its own.
pub(super) fn former_addresses(engine: &dyn Engine, config: &ProxyConfig) -> BTreeMap<String, BTreeSet<IpAddr>> {
    engine.addresses_by_name(&config.live.files, &config.boot.files)
}
