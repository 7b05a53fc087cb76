//! Route table to engine configuration: one folder per engine, the only ones with its syntax. Pure and total. Must never
//! read files, clocks or the environment.
//!
//! This file is the seam. The rest of the program asks it by the engine of a table or cluster ([`EngineKind`]) and names no
//! engine: it renders a table ([`render_in`]), measures what routes take ([`Measure`]), and asks what becomes of requests
//! ([`behavior`]). What is the same for every engine stands beside it.
//!
//! # A second engine
//!
//! 1. `types/engine_kind.rs`: a variant and its row: name, main file, path in stock images.
//! 2. `render/NAME/`: a unit struct that implements `Renderer` (what the engine writes) and [`Behavior`] (what becomes of
//!    requests, held against the real engine by a test program of its own, as `tests/nginx` is).
//! 3. Here: `mod NAME;` and one arm in each of `renderer` and [`behavior`].
//! 4. `route/NAME.rs`, `intent/settings_spec.rs` and `intent/documents/settings.rs`: settings that only this engine has.
//!    `intent/documents/field_dependencies.rs` says which of the others' it does not know.
//! 5. Generated: `BLESS=1 cargo test --test specs`; a golden case with `engine: NAME`.
//!
//! Nothing in `translate`, `route` (else), `fleet`, `plan`, `controller`, `channel` or `explain`: `tests/architecture` refuses
//! an engine's name there.

mod boot_view;
mod engine;
mod footprint;
mod layout;
mod nginx;
mod security;
mod table_parts;
mod tls_files;

pub use boot_view::is_found_by_name;
pub use engine::{BadPath, Behavior, ClientClaims, CutRequest, ReceivedRequest, RetryRule, StatusCodes};
pub use footprint::{Measure, footprint};
pub use layout::Layout;
pub use nginx::CONFIG_FILE;
pub use security::Faults;
pub use table_parts::parts;
pub use tls_files::{AuthorityFile, Materials, PairFiles, SecretFile, authorities};

use crate::protocol::agent_settings::{AGENT_SETTINGS_FILE, AgentSettings};
use crate::protocol::container_contract;
use crate::protocol::messages::Bundle;
use crate::route::{Backend, EngineSettings, RouteTable};
use crate::types::{EngineKind, HostPattern};
use engine::{Renderer, Written};

/// What each engine writes.
fn renderer(engine: EngineKind) -> &'static dyn Renderer {
    match engine {
        EngineKind::Nginx => &nginx::Nginx,
    }
}

/// What becomes of requests in each engine.
pub fn behavior(engine: EngineKind) -> &'static dyn Behavior {
    match engine {
        EngineKind::Nginx => &nginx::Nginx,
    }
}

/// What a configuration is for: who runs it, and whether it may hold addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// For our agent, now: addresses, no root, everything that the engine writes below the run directory.
    Live,
    /// For our agent, at a start when nobody answers: names that the engine's DNS resolves while it runs, because an
    /// address may have become a stranger's. Does not change when endpoints change, except for the only addresses in it:
    /// those of nodes with a port that is one service's own ([`crate::route::Endpoint::lasting`]).
    Boot,
    /// For any stock image of the engine (`rollout: replace`): addresses, its own user and paths, one file.
    Stock,
}

/// What every part of a configuration is written from.
struct Rendering<'a> {
    table: &'a RouteTable,
    purpose: Purpose,
    layout: &'a Layout,
    materials: &'a Materials,
}

/// Renders a table for the containers that Swarmgate starts, as if all its TLS material were good: for those who look.
pub fn render(table: &RouteTable, purpose: Purpose) -> Bundle {
    render_in(table, purpose, &Layout::default(), &Materials::assumed(table))
}

/// Renders a table for containers that are laid out in some way (directories, ports, name server), with the TLS material
/// that was found good. Hosts whose material is not in `materials` are not published by TLS.
pub fn render_in(table: &RouteTable, purpose: Purpose, layout: &Layout, materials: &Materials) -> Bundle {
    let named;
    let table = if purpose == Purpose::Boot {
        named = boot_view::without_endpoints(table, |endpoint| endpoint.lasting);
        &named
    } else {
        table
    };
    let Written { mut files, material } = renderer(table.engine).write(&Rendering { table, purpose, layout, materials });
    if purpose != Purpose::Stock {
        files.extend(agent_bounds(&table.settings).to_file().map(|bounds| (AGENT_SETTINGS_FILE.to_owned(), bounds)));
    }
    if purpose == Purpose::Live && !table.awaited.is_empty() {
        let places: Vec<String> = table.awaited.iter().map(ToString::to_string).collect();
        files.insert(container_contract::AWAITED_FILE.to_owned(), places.join("\n") + "\n");
    }
    Bundle::new(table.cluster.clone(), table.digest(), files)
        .with_engine(table.engine)
        .with_material(material)
        .with_control_plane_timeout_ms(table.settings.control_plane_timeout_ms)
}

/// What the agent keeps, because no engine does.
fn agent_bounds(settings: &EngineSettings) -> AgentSettings {
    let limits = &settings.limits;
    AgentSettings {
        retiring_workers_max: limits.retiring_workers_max,
        retiring_memory_max: limits.retiring_memory_max.map(|size| size.0),
        body_spool_max: limits.body_spool_max.map(|size| size.0),
    }
}

/// Why the administrator's own template gave no configuration, if that is what this bundle says.
pub fn template_fault(bundle: &Bundle) -> Option<&str> {
    renderer(bundle.engine).template_fault(bundle)
}

/// Whether requests are passed on to this backend where endpoints are found by name ([`Purpose::Boot`]).
pub fn answers_by_name(engine: EngineKind, backend: &Backend) -> bool {
    behavior(engine).has_named_servers(&boot_view::named(backend))
}

/// The slot of the engine's host table that a host is kept in, whatever the table's size; none: it crowds nobody.
pub fn host_slot(engine: EngineKind, host: &HostPattern) -> Option<u64> {
    renderer(engine).host_slot(host)
}

/// How many hosts fit into one slot of the engine's host table, even the longest.
pub fn hosts_per_slot_max(engine: EngineKind) -> usize {
    renderer(engine).hosts_per_slot_max()
}

/// The published faults of the version that an engine gives of itself; none if it has none that are known here.
pub fn faults(engine: EngineKind, version: &str) -> Option<Faults> {
    renderer(engine).faults(version)
}
