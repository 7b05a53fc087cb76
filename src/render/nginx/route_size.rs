//! How much of a configuration routes take, counted in the actual output. Does not decide how much is too much.

use super::super::engine::RouteSize;
use super::writer::Writer;
use super::{Rendering, servers, stream, tls, upstreams};

/// Locations and bytes of everything that grows with routes. The part before the routes (table sizes, formats) is the same
/// except for a few digits.
pub fn route_size(rendering: &Rendering<'_>) -> RouteSize {
    let mut writer = Writer::default();
    stream::write_routes(&mut writer, rendering);
    upstreams::write_upstreams(&mut writer, rendering);
    servers::write_servers(&mut writer, rendering);
    for (host, virtual_host, binding) in tls::terminated(rendering) {
        tls::write_host(&mut writer, rendering, host, virtual_host, binding);
    }
    counted(&writer.take())
}

/// No value from a route is ever at the beginning of a line.
fn counted(text: &str) -> RouteSize {
    let locations = text.lines().filter(|line| line.trim_start().starts_with("location ")).count();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    RouteSize { locations: number(locations), bytes: number(text.len()) }
}
