//! Route table to engine configuration: the only room with proxy syntax. Pure and total: every table gives a
//! configuration, equal tables give equal bytes, and no value of a table can leave the place it is written to
//! ([`writer`] takes checked types only). Must never read files, clocks or the environment.

mod engine;
mod layout;
mod routes;
mod upstreams;
mod writer;

use std::collections::BTreeMap;

pub use layout::Layout;

use crate::channel::wire::Bundle;
use crate::route::{BackendService, RouteTable};
use crate::types::Digest;
use writer::Writer;

/// The one file of every bundle.
pub const CONFIG_FILE: &str = "nginx.conf";

/// What a configuration is for: who runs it, and whether it may hold addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// For our agent, now: addresses. nginx 1.27.4 or newer, no root, everything it writes below the run directory.
    Live,
    /// For our agent, at a start when nobody answers: names that the engine's DNS resolves while it runs, because an
    /// address may have become a stranger's. Does not change when endpoints change. nginx 1.27.3 or newer.
    Boot,
    /// For any stock nginx image from 1.18 on (`rollout: replace`): addresses, its own user and paths.
    Stock,
}

/// Renders a table for the containers that Swarmgate starts.
pub fn render(table: &RouteTable, purpose: Purpose) -> Bundle {
    render_in(table, purpose, &Layout::default())
}

/// Renders a table for containers that are laid out differently: other directories, ports, name server.
pub fn render_in(table: &RouteTable, purpose: Purpose, layout: &Layout) -> Bundle {
    let named;
    let table = if purpose == Purpose::Boot {
        named = without_endpoints(table);
        &named
    } else {
        table
    };
    let text = write_config(&Rendering { table, purpose, layout });
    Bundle::new(table.cluster.clone(), table.digest(), BTreeMap::from([(CONFIG_FILE.to_owned(), text)]))
}

/// What every part of the configuration is written from.
struct Rendering<'a> {
    table: &'a RouteTable,
    purpose: Purpose,
    layout: &'a Layout,
}

/// No digest and no time stands in the text: it changes if and only if its meaning does.
fn write_config(rendering: &Rendering<'_>) -> String {
    let mut writer = Writer::default();
    writer.comment("Written by swarmgate from service labels. Changes made here are lost.");
    engine::write_main(&mut writer, rendering);
    writer.block("http", &[], |http| {
        engine::write_http(http, rendering);
        upstreams::write_upstreams(http, rendering);
        routes::write_servers(http, rendering);
    });
    writer.finish()
}

/// The digest that a boot snapshot names must not change with endpoints either.
fn without_endpoints(table: &RouteTable) -> RouteTable {
    let mut table = table.clone();
    let routes = table.hosts.values_mut().flat_map(|host| host.paths.values_mut()).map(|route| &mut route.backend);
    routes.chain(table.default_backend.as_mut()).flat_map(|backend| &mut backend.services).for_each(forget_endpoints);
    table
}

fn forget_endpoints(service: &mut BackendService) {
    service.endpoints.clear();
    // Names stand for tasks in both modes, so that a changed label is no new snapshot.
    service.vip = false;
}

/// The identity of what a configuration says about each host, so that a reload can name its reason: one digest per
/// part, where a part is `settings`, `endpoints of HOST`, `routes of HOST` or the same of `(default)`.
pub fn parts(table: &RouteTable) -> BTreeMap<String, String> {
    let named = without_endpoints(table);
    let settings = identity(&(&table.cluster, table.http_port, table.https_port, &table.settings));
    let mut parts = BTreeMap::from([("settings".to_owned(), settings)]);
    for (host, virtual_host) in &table.hosts {
        parts.insert(format!("endpoints of {host}"), identity(virtual_host));
        parts.insert(format!("routes of {host}"), identity(&named.hosts.get(host)));
    }
    if let Some(backend) = &table.default_backend {
        parts.insert("endpoints of (default)".to_owned(), identity(backend));
        parts.insert("routes of (default)".to_owned(), identity(&named.default_backend));
    }
    parts
}

fn identity<T: serde::Serialize>(value: &T) -> String {
    Digest::of_json(value).short().to_owned()
}

#[cfg(test)]
mod tests;
