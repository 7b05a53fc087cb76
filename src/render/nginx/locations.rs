//! Paths: which locations the server of a host has.

use super::location_answers::{write_answer, write_both, write_default_backend};
use super::writer::Writer;
use super::{Rendering, forwarded_scheme_locations, path_escapes};
use crate::route::{Backend, VirtualHost};
use crate::types::{HostPattern, Scheme};

/// Writes the routes of a host, as requests of one scheme see them. The order is for readers: nginx uses the longest prefix.
pub fn write(server: &mut Writer, rendering: &Rendering<'_>, host: &HostPattern, virtual_host: &VirtualHost, scheme: Scheme) {
    path_escapes::write_refusal(server, virtual_host);
    if forwarded_scheme_locations::scheme_is_forwarded(rendering) {
        return forwarded_scheme_locations::write_locations(server, rendering, host, virtual_host);
    }
    for matched in virtual_host.path_matches(scheme) {
        write_both(server, &matched.path, |location, part| write_answer(location, rendering, host, &matched.path, &matched.answer, part));
    }
}

/// Writes the only location of the default backend, or 503.
pub fn write_default(server: &mut Writer, rendering: &Rendering<'_>, backend: Option<&Backend>) {
    server.block("location", &["/".into()], |location| write_default_backend(location, rendering, backend));
}
