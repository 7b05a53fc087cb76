//! The step between addresses and names, and the step before a start by names: the engine is loaded with a configuration that makes it
//! resolve names before requests depend on them. Decides when such a step is needed; what it looks like is the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::protocol::messages::{Bundle, ProxyConfig};
use crate::runtime::{Engine, Resolving};

/// The configuration for the change from addresses to names, and how many names the engine resolves meanwhile; `None` if it needs no
/// such step.
pub(super) fn between(engine: &dyn Engine, config: &ProxyConfig) -> Option<(Bundle, usize)> {
    let Resolving { files, names } = engine.resolving_beside_addresses(&config.live.files, &config.boot.files)?;
    Some((Bundle { files, ..config.boot.clone() }, names))
}

/// The configuration for the time before the first one with names serves, and how many names the engine resolves meanwhile; `None` if
/// it needs no such step.
pub(super) fn before(engine: &dyn Engine, by_name: &Bundle) -> Option<(Bundle, usize)> {
    let Resolving { files, names } = engine.resolving_only(&by_name.files)?;
    Some((Bundle { files, ..by_name.clone() }, names))
}

/// The addresses of the pools in which each name stands, in lower case: some of them are its own.
pub(super) fn former_addresses(engine: &dyn Engine, config: &ProxyConfig) -> BTreeMap<String, BTreeSet<IpAddr>> {
    engine.addresses_by_name(&config.live.files, &config.boot.files)
}
