//! nginx: the only folder with nginx syntax. Pure and total: every table gives a configuration, equal tables give equal
//! bytes, and no value of a table can break out of its place ([`writer`] accepts only checked types). `behavior` describes
//! how nginx handles requests, for explanations. Live and boot configurations require nginx 1.27.4 or newer, stock images
//! 1.25.5 or newer. Must never read files, clocks or the environment.

mod administrator_options;
mod behavior;
mod client_address;
mod client_limits;
mod forwarded_scheme_locations;
mod hash_sizes;
mod listeners;
mod location_answers;
mod locations;
mod main_context;
mod path_escapes;
mod proxy_directives;
mod request_headers;
mod route_size;
mod security_advisories;
mod server_names;
mod servers;
mod stream;
mod template;
mod tls;
mod upstreams;
mod writer;

use std::collections::BTreeMap;

use super::engine::{EngineOutput, Renderer, RouteSize};
use super::{ConfigPurpose, Rendering, SecretFile, Vulnerabilities, authorities};
use crate::protocol::messages::{Bundle, Material};
use crate::route::{MaterialRef, TlsBinding};
use crate::types::{Digest, EngineKind, HostPattern, TEMPLATE_FAULT};
use hash_sizes::HashedNames;
use writer::{Word, Writer};

/// The main file of every bundle.
pub(super) const CONFIG_FILE: &str = EngineKind::Nginx.main_file();

/// nginx.
pub(super) struct NginxRenderer;

impl Renderer for NginxRenderer {
    fn write(&self, rendering: &Rendering<'_>) -> EngineOutput {
        let (mut written, mut elsewhere) = (EngineOutput::default(), HashedNames::default());
        if rendering.purpose == ConfigPurpose::Stock {
            rendering.note_mounts(&mut written.material);
        } else {
            written.files.extend(rendering.host_files(&mut written.material, &mut elsewhere));
            written.files.extend(rendering.authority_files());
        }
        written.files.insert(CONFIG_FILE.to_owned(), write_config(rendering, elsewhere));
        written
    }

    fn template_fault<'a>(&self, bundle: &'a Bundle) -> Option<&'a str> {
        let comment = bundle.files.get(CONFIG_FILE)?.strip_prefix("# ")?.strip_suffix('\n')?;
        (comment.starts_with(TEMPLATE_FAULT) && !comment.contains('\n')).then_some(comment)
    }

    fn route_size(&self, rendering: &Rendering<'_>) -> RouteSize {
        route_size::route_size(rendering)
    }

    fn host_slot(&self, host: &HostPattern) -> Option<u64> {
        hash_sizes::slot_of(host)
    }

    fn hosts_per_slot_max(&self) -> usize {
        hash_sizes::HOSTS_PER_SLOT_MAX
    }

    fn faults(&self, version: &str) -> Option<Vulnerabilities> {
        security_advisories::vulnerabilities(version)
    }
}

impl Rendering<'_> {
    /// The path of a secret file in the configuration: next to it, or the mount point in a stock image.
    fn secret_path(&self, file: &SecretFile) -> Word {
        match self.purpose {
            ConfigPurpose::Stock => self.mounted(file.secret()),
            _ => Word::identifier(file.name()),
        }
    }

    /// An object's id comes from Swarm: letters and digits.
    fn mounted(&self, id: &str) -> Word {
        Word::join([self.layout.material_dir.into(), "/".into(), Word::identifier(id)])
    }

    fn authority_path(&self, authority: &MaterialRef) -> Option<Word> {
        let file = self.materials.authority(authority)?;
        match (self.purpose, &authority.id) {
            (ConfigPurpose::Stock, Some(id)) => Some(self.mounted(id)),
            _ => Some(Word::identifier(file.name())),
        }
    }

    /// One file for each host that is published by TLS, and the secret files that each needs.
    fn host_files(&self, material: &mut BTreeMap<String, Material>, hashed: &mut HashedNames) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (host, virtual_host, binding) in tls::terminated(self) {
            let name = host_file(host);
            let mut writer = Writer::default();
            tls::write_host(&mut writer, self, host, virtual_host, binding);
            hashed.join(writer.hashed().clone());
            files.insert(name.clone(), writer.finish());
            self.note_material(material, binding, &name);
        }
        if self.purpose == ConfigPurpose::Live
            && let Some(binding) = self.table.default_backend.as_ref().and_then(|default| default.tls.as_ref())
        {
            self.note_material(material, binding, CONFIG_FILE);
        }
        files
    }

    /// The objects that a stock image needs mounted, by id: its single file refers to each object by its mount.
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

/// The file of a host. Uses no host name directly, because it may be too long for a file name.
fn host_file(host: &HostPattern) -> String {
    format!("host-{}.conf", Digest::of_bytes(host.as_str().as_bytes()).short())
}

/// The text contains no digest or time: it changes if and only if its meaning does.
fn write_config(rendering: &Rendering<'_>, elsewhere: HashedNames) -> String {
    let builtin = write_pieces(rendering, elsewhere);
    match &rendering.table.settings.nginx.template {
        None => builtin.whole(),
        // Engines reject a configuration that is only a comment, so a failed template never takes effect.
        Some(template) => template::fill(template, rendering, &builtin).unwrap_or_else(|why| format!("# {}\n", why.replace('\n', " "))),
    }
}

/// The built-in configuration in parts that a template may use.
struct ConfigSections {
    /// The main context and `events`.
    main: String,
    /// The block `stream`, or empty.
    stream: String,
    /// The part of `http` before the pools.
    http: String,
    /// The pools.
    upstreams: String,
    /// The servers.
    servers: String,
}

impl ConfigSections {
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

/// `elsewhere`: the names in files that the `http` block includes.
fn write_pieces(rendering: &Rendering<'_>, elsewhere: HashedNames) -> ConfigSections {
    let mut writer = Writer::default();
    main_context::write_main(&mut writer, rendering);
    let main = writer.take();
    let mut stream = Writer::default();
    stream::write_stream(&mut stream, rendering);
    let stream = stream.finish();
    let mut pieces = ConfigSections { main, stream, http: String::new(), upstreams: String::new(), servers: String::new() };
    writer.block("http", &[], |http| {
        http.take();
        let settings = &rendering.table.settings;
        http.leave_out(administrator_options::replaced_by(settings.nginx.http_options.iter().chain(&settings.nginx.tls_options)));
        // The first part declares the table sizes for everything after it.
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

#[cfg(test)]
mod tests;
