//! Route table to nginx's configuration: the only folder with its syntax. Pure and total: every table gives a
//! configuration, equal tables give equal bytes, and no value of a table can leave the place it is written to
//! ([`writer`] takes checked types only). Must never read files, clocks or the environment.

pub mod security_advisories;
mod scheme_locations;
mod client_address;
mod main_context;
mod config_size;
mod hash_sizes;
mod path_escapes;
mod client_limits;
mod listeners;
mod administrator_options;
mod proxying;
mod request_headers;
mod servers;
mod stream;
mod template;
mod tls;
mod upstreams;
mod writer;

use std::collections::BTreeMap;

pub use main_context::{TRIES_MAX, retry_time_ms};
pub use config_size::{Measure, footprint};
pub use hash_sizes::slot_of;

use super::{Layout, Materials, Purpose, SecretFile, authorities};
use crate::channel::bounds::BOUNDS_FILE;
use crate::channel::contract;
use crate::channel::wire::{Bundle, Material};
use crate::route::{Backend, BackendService, Endpoint, EngineSettings, MaterialRef, RouteTable, TlsBinding};
use crate::types::{Digest, HostPattern, TEMPLATE_FAULT};
use hash_sizes::Hashed;
use writer::{Word, Writer};

/// The main file of every bundle.
pub const CONFIG_FILE: &str = contract::ENGINE_MAIN_FILE;

/// Renders a table for the containers that Swarmgate starts, as if all its TLS material were good: for those who look.
pub fn render(table: &RouteTable, purpose: Purpose) -> Bundle {
    render_in(table, purpose, &Layout::default(), &Materials::assumed(table))
}

/// Renders a table for containers that are laid out in some way (directories, ports, name server), with the TLS material
/// that was found good. Hosts whose material is not in `materials` are not published by TLS.
pub fn render_in(table: &RouteTable, purpose: Purpose, layout: &Layout, materials: &Materials) -> Bundle {
    let named;
    let table = if purpose == Purpose::Boot {
        named = without_endpoints(table, |endpoint| endpoint.lasting);
        &named
    } else {
        table
    };
    let rendering = Rendering { table, purpose, layout, materials };
    let (mut files, mut material, mut elsewhere) = (BTreeMap::new(), BTreeMap::new(), Hashed::default());
    if purpose == Purpose::Stock {
        rendering.note_mounts(&mut material);
    } else {
        files.extend(rendering.host_files(&mut material, &mut elsewhere));
        files.extend(rendering.authority_files());
        files.extend(client_limits::agent_bounds(&table.settings).to_file().map(|bounds| (BOUNDS_FILE.to_owned(), bounds)));
    }
    if purpose == Purpose::Live && !table.awaited.is_empty() {
        let places: Vec<String> = table.awaited.iter().map(ToString::to_string).collect();
        files.insert(contract::AWAITED_FILE.to_owned(), places.join("\n") + "\n");
    }
    files.insert(CONFIG_FILE.to_owned(), write_config(&rendering, elsewhere));
    Bundle::new(table.cluster.clone(), table.digest(), files)
        .with_material(material)
        .with_control_plane_timeout_ms(table.settings.control_plane_timeout_ms)
}

/// The names of the headers that applications are told about a request by.
pub fn request_headers(settings: &EngineSettings) -> impl Iterator<Item = &'static str> {
    request_headers::TOLD.iter().copied().chain(request_headers::forwarded(settings))
}

/// The name of the header that tells applications which path was cut off.
pub const PREFIX_HEADER: &str = request_headers::PREFIX;

/// The names of the headers that answers tell about their way by.
pub fn info_headers(settings: &EngineSettings) -> impl Iterator<Item = &'static str> {
    main_context::info_headers(settings).map(|(name, _)| name)
}

/// Whether requests are passed on to this backend where endpoints are found by name ([`Purpose::Boot`]).
pub fn answers_by_name(backend: &Backend) -> bool {
    let mut named = backend.clone();
    named.services.iter_mut().for_each(|service| forget_endpoints(service, |endpoint| endpoint.lasting));
    upstreams::has_named_servers(&named)
}

/// Whether a service has a name, or a port of a node that is its own.
pub fn is_found_by_name(service: &BackendService) -> bool {
    !service.on_nodes || service.endpoints.iter().any(|endpoint| endpoint.lasting)
}

/// What every part of the configuration is written from.
struct Rendering<'a> {
    table: &'a RouteTable,
    purpose: Purpose,
    layout: &'a Layout,
    materials: &'a Materials,
}

impl Rendering<'_> {
    /// How the configuration names a secret file: beside itself, or where a stock image's mounts are.
    fn secret_path(&self, file: &SecretFile) -> Word {
        match self.purpose {
            Purpose::Stock => self.mounted(file.secret()),
            _ => Word::identifier(file.name()),
        }
    }

    /// An object's id is Swarm's own: letters and digits.
    fn mounted(&self, id: &str) -> Word {
        Word::join([self.layout.material_dir.into(), "/".into(), Word::identifier(id)])
    }

    fn authority_path(&self, authority: &MaterialRef) -> Option<Word> {
        let file = self.materials.authority(authority)?;
        match (self.purpose, &authority.id) {
            (Purpose::Stock, Some(id)) => Some(self.mounted(id)),
            _ => Some(Word::identifier(file.name())),
        }
    }

    /// One file for each host that is published by TLS, and which secret files each needs.
    fn host_files(&self, material: &mut BTreeMap<String, Material>, hashed: &mut Hashed) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (host, virtual_host, binding) in tls::terminated(self) {
            let name = host_file(host);
            let mut writer = Writer::default();
            tls::write_host(&mut writer, self, host, virtual_host, binding);
            hashed.join(writer.hashed().clone());
            files.insert(name.clone(), writer.finish());
            self.note_material(material, binding, &name);
        }
        if self.purpose == Purpose::Live
            && let Some(binding) = self.table.default_backend.as_ref().and_then(|default| default.tls.as_ref())
        {
            self.note_material(material, binding, CONFIG_FILE);
        }
        files
    }

    /// What a stock image needs mounted, by id: everything stands in its one file, which names each object by its own mount.
    fn note_mounts(&self, material: &mut BTreeMap<String, Material>) {
        let pairs = self.table.bindings().filter_map(|(_, binding)| self.materials.pair(binding));
        let secrets = pairs.flat_map(|pair| [pair.certificate.secret(), pair.key.secret()]);
        let usable = authorities(self.table).filter(|authority| self.materials.authority(authority).is_some());
        for id in secrets.chain(usable.filter_map(|authority| authority.id.as_deref())) {
            let needed_by = vec![CONFIG_FILE.to_owned()];
            material.insert(id.to_owned(), Material { secret: id.to_owned(), needed_by });
        }
    }

    fn note_material(&self, material: &mut BTreeMap<String, Material>, binding: &TlsBinding, needed_by: &str) {
        let Some(pair) = self.materials.pair(binding) else { return };
        for file in [&pair.certificate, &pair.key] {
            let entry = || Material { secret: file.secret().to_owned(), needed_by: Vec::new() };
            let entry = material.entry(file.name().to_owned()).or_insert_with(entry);
            if entry.needed_by.last().is_none_or(|last| last != needed_by) {
                entry.needed_by.push(needed_by.to_owned());
            }
        }
    }

    fn authority_files(&self) -> BTreeMap<String, String> {
        let files = authorities(self.table).filter_map(|authority| self.materials.authority(authority));
        files.map(|file| (file.name().to_owned(), file.content().to_owned())).collect()
    }
}

/// The file of a host: a host's name may be longer than a file's.
fn host_file(host: &HostPattern) -> String {
    format!("host-{}.conf", Digest::of_bytes(host.as_str().as_bytes()).short())
}

/// No digest and no time stands in the text: it changes if and only if its meaning does.
fn write_config(rendering: &Rendering<'_>, elsewhere: Hashed) -> String {
    let builtin = write_pieces(rendering, elsewhere);
    match &rendering.table.settings.template {
        None => builtin.whole(),
        // No engine takes a configuration of nothing but a comment, so that no failed template is ever in force.
        Some(template) => template::fill(template, rendering, &builtin).unwrap_or_else(|why| format!("# {}\n", why.replace('\n', " "))),
    }
}

/// Why the administrator's own template gave no configuration, if that is what this bundle says.
pub fn template_fault(bundle: &Bundle) -> Option<&str> {
    let comment = bundle.files.get(CONFIG_FILE)?.strip_prefix("# ")?.strip_suffix('\n')?;
    (comment.starts_with(TEMPLATE_FAULT) && !comment.contains('\n')).then_some(comment)
}

/// The built-in configuration in its parts, which a template may use.
struct Pieces {
    /// Outside of everything, and `events`.
    main: String,
    /// The block `stream`, or nothing.
    stream: String,
    /// What stands in `http` before the pools.
    http: String,
    /// The pools.
    upstreams: String,
    /// The servers.
    servers: String,
}

impl Pieces {
    fn whole(&self) -> String {
        [
            "# Written by swarmgate from service labels. Changes made here are lost.\n",
            &self.main,
            &self.stream,
            "http {\n",
            &self.http,
            &self.upstreams,
            &self.servers,
            "}\n",
        ]
        .concat()
    }
}

/// `elsewhere` is what stands in files that the `http` block includes.
fn write_pieces(rendering: &Rendering<'_>, elsewhere: Hashed) -> Pieces {
    let mut writer = Writer::default();
    main_context::write_main(&mut writer, rendering);
    let main = writer.take();
    let mut stream = Writer::default();
    stream::write_stream(&mut stream, rendering);
    let stream = stream.finish();
    let mut pieces = Pieces { main, stream, http: String::new(), upstreams: String::new(), servers: String::new() };
    writer.block("http", &[], |http| {
        http.take();
        let settings = &rendering.table.settings;
        http.leave_out(administrator_options::replaced_by(settings.http_options.iter().chain(&settings.tls_options)));
        // What stands first says how large tables are for all that follows.
        servers::write_servers(http, rendering);
        pieces.servers = http.take();
        upstreams::write_upstreams(http, rendering);
        pieces.upstreams = http.take();
        http.also_hashed(elsewhere);
        main_context::write_http(http, rendering);
        pieces.http = http.take();
    });
    pieces
}

/// The table with only those endpoints. The digest that a boot snapshot names must not change with the others either.
fn without_endpoints(table: &RouteTable, kept: fn(&Endpoint) -> bool) -> RouteTable {
    let mut table = table.clone();
    table.awaited.clear();
    table.backends_mut().flat_map(|backend| &mut backend.services).for_each(|service| forget_endpoints(service, kept));
    table
}

fn forget_endpoints(service: &mut BackendService, kept: fn(&Endpoint) -> bool) {
    service.endpoints.retain(kept);
    service.endpoints.iter_mut().for_each(|endpoint| endpoint.task = None);
    // Names stand for tasks in both modes, so that a changed label is no new snapshot.
    service.vip = false;
}

/// The identity of what a configuration says about each host, so that a reload can name its reason: one digest per
/// part, where a part is `settings`, `endpoints of HOST`, `routes of HOST`, `certificate of HOST`, or the same of `(default)`.
pub fn parts(table: &RouteTable, materials: &Materials) -> BTreeMap<String, String> {
    let named = without_endpoints(table, |_| false);
    let settings = identity(&(&table.cluster, table.http_port, table.https_port, &table.settings));
    let mut parts = BTreeMap::from([("settings".to_owned(), settings)]);
    if !table.awaited.is_empty() {
        parts.insert("endpoints on networks to come".to_owned(), identity(&table.awaited));
    }
    for (host, virtual_host) in &table.hosts {
        parts.insert(format!("endpoints of {host}"), identity(virtual_host));
        parts.insert(format!("routes of {host}"), identity(&named.hosts.get(host)));
    }
    for (host, backend) in &table.passthrough {
        parts.insert(format!("endpoints of {host} (passthrough)"), identity(backend));
        parts.insert(format!("routes of {host} (passthrough)"), identity(&named.passthrough.get(host)));
    }
    if let Some(default) = &table.default_backend {
        parts.insert("endpoints of (default)".to_owned(), identity(default));
        parts.insert("routes of (default)".to_owned(), identity(&named.default_backend));
    }
    for (host, binding) in table.bindings() {
        let host = host.map_or("(default)", HostPattern::as_str);
        let files = materials.pair(binding).map(|pair| (pair.certificate.name(), pair.key.name()));
        parts.insert(format!("certificate of {host}"), identity(&files));
    }
    parts
}

fn identity<T: serde::Serialize>(value: &T) -> String {
    Digest::of_json(value).short().to_owned()
}

#[cfg(test)]
mod tests;
