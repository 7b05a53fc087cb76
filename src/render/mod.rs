//! Route table to engine configuration: one folder per engine, and only these folders contain engine syntax. Pure and total.
//! Must never read files, clocks or the environment.
//!
//! This file is the boundary. The rest of the program passes the engine of a table or cluster ([`EngineKind`]) and names no
//! engine: it renders a table ([`render_in`]), measures what routes take ([`ConfigSizer`]), and looks up how requests are
//! handled ([`behavior`]). Code that is the same for every engine is in the files next to this one.
//!
//! # A second engine
//!
//! 1. `types/engine_kind.rs`: a variant and its row: name, main file, path in stock images.
//! 2. `render/NAME/`: a unit struct that implements `Renderer` (what the engine writes) and [`Behavior`] (how it handles
//!    requests, compared with the real engine by a test program of its own, as in `tests/nginx`).
//! 3. Here: `mod NAME;` and one arm in each of `renderer` and [`behavior`].
//! 4. `route/NAME.rs` (as one field of `EngineSettings`, and in `route/settings_wire_form.rs`), `intent/settings_spec.rs` and
//!    `intent/documents/settings.rs`: settings that only this engine has. `route/raw_lines.rs` and
//!    `intent/formats.rs`: its lists of raw lines and its formats, if they differ. `intent/documents/field_dependencies.rs`
//!    lists the other engines' settings that it does not support.
//! 5. Generated: `BLESS=1 cargo test --test specs`; a golden case with `engine: NAME`.
//!
//! No changes in `translate`, `route` (otherwise), `fleet`, `plan`, `controller`, `channel` or `explain`:
//! `tests/architecture` rejects an engine's name there.

mod boot_snapshot_view;
mod config_size;
mod engine;
mod layout;
mod nginx;
mod reload_parts;
mod security_advisory;
mod tls_files;

pub use boot_snapshot_view::is_found_by_name;
pub use config_size::{ConfigSizer, footprint};
pub use engine::{BadPath, Behavior, ClientClaims, CutRequest, ReceivedRequest, RetryRule, StatusCodes};
pub use layout::Layout;
pub use reload_parts::parts;
pub use security_advisory::Vulnerabilities;
pub use tls_files::{AuthorityFile, Materials, PairFiles, SecretFile, authorities};

use crate::protocol::agent_settings::{AGENT_SETTINGS_FILE, AgentSettings};
use crate::protocol::container_contract;
use crate::protocol::messages::Bundle;
use crate::route::{Backend, EngineSettings, RouteTable};
use crate::types::{EngineKind, HostPattern};
use engine::{EngineOutput, Renderer};

/// The renderer of each engine.
fn renderer(engine: EngineKind) -> &'static dyn Renderer {
    match engine {
        EngineKind::Nginx => &nginx::NginxRenderer,
    }
}

/// How each engine handles requests.
pub fn behavior(engine: EngineKind) -> &'static dyn Behavior {
    match engine {
        EngineKind::Nginx => &nginx::NginxRenderer,
    }
}

/// The purpose of a configuration: who runs it, and whether it may contain addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigPurpose {
    /// For our agent, now: with addresses, without root, and everything that the engine writes is below the run directory.
    Live,
    /// For our agent, when it starts and the control plane does not answer: names that the engine resolves by DNS while it
    /// runs, because an address may have passed to another container. Does not change when endpoints change, except for the
    /// only addresses in it: those of nodes with a port that belongs to one service ([`crate::route::Endpoint::lasting`]).
    Boot,
    /// For any stock image of the engine (`rollout: replace`): with addresses, the image's own user and paths, and one file.
    Stock,
}

/// The input of every part of a configuration.
struct Rendering<'a> {
    table: &'a RouteTable,
    purpose: ConfigPurpose,
    layout: &'a Layout,
    materials: &'a Materials,
}

/// Renders a table for the containers that Swarmgate starts, as if all its TLS material were valid: for display.
pub fn render(table: &RouteTable, purpose: ConfigPurpose) -> Bundle {
    render_in(table, purpose, &Layout::default(), &Materials::assumed(table))
}

/// Renders a table for containers with a given layout (directories, ports, name server), with the TLS material that was
/// found valid. Hosts whose material is not in `materials` are not published by TLS.
pub fn render_in(table: &RouteTable, purpose: ConfigPurpose, layout: &Layout, materials: &Materials) -> Bundle {
    let named;
    let table = if purpose == ConfigPurpose::Boot {
        named = boot_snapshot_view::without_endpoints(table, |endpoint| endpoint.lasting);
        &named
    } else {
        table
    };
    let EngineOutput { mut files, material } = renderer(table.engine).write(&Rendering { table, purpose, layout, materials });
    if purpose != ConfigPurpose::Stock {
        files.extend(agent_bounds(&table.settings).to_file().map(|bounds| (AGENT_SETTINGS_FILE.to_owned(), bounds)));
    }
    if purpose == ConfigPurpose::Live && !table.awaited.is_empty() {
        let addresses: Vec<String> = table.awaited.iter().map(ToString::to_string).collect();
        files.insert(container_contract::AWAITED_FILE.to_owned(), addresses.join("\n") + "\n");
    }
    Bundle::new(table.cluster.clone(), table.digest(), files)
        .with_engine(table.engine)
        .with_material(material)
        .with_control_plane_timeout_ms(table.settings.control_plane_timeout_ms)
}

/// The data that the agent keeps because no engine does.
fn agent_bounds(settings: &EngineSettings) -> AgentSettings {
    let limits = &settings.limits;
    AgentSettings {
        retiring_workers_max: limits.retiring_workers_max,
        retiring_memory_max: limits.retiring_memory_max.map(|size| size.0),
        body_spool_max: limits.body_spool_max.map(|size| size.0),
    }
}

/// Why the administrator's own template produced no configuration, if this bundle reports that.
pub fn template_fault(bundle: &Bundle) -> Option<&str> {
    renderer(bundle.engine).template_fault(bundle)
}

/// Whether requests are passed on to this backend when endpoints are resolved by name ([`ConfigPurpose::Boot`]).
pub fn answers_by_name(engine: EngineKind, backend: &Backend) -> bool {
    behavior(engine).has_named_servers(&boot_snapshot_view::named(backend))
}

/// The slot of the engine's host table that holds a host, whatever the table's size; `None`: it takes no room from other
/// hosts.
pub fn host_slot(engine: EngineKind, host: &HostPattern) -> Option<u64> {
    renderer(engine).host_slot(host)
}

/// How many hosts of any length fit into one slot of the engine's host table.
pub fn hosts_per_slot_max(engine: EngineKind) -> usize {
    renderer(engine).hosts_per_slot_max()
}

/// The published vulnerabilities of the version that an engine reports; `None` if it has none that are known here.
pub fn faults(engine: EngineKind, version: &str) -> Option<Vulnerabilities> {
    renderer(engine).faults(version)
}
