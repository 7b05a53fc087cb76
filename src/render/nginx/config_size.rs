//! How much of a configuration routes take: counted in what is really written, by those who write it, so that it cannot be
//! another number than the truth. Pure; decides nothing about what is too much.

use super::{Layout, Materials, Purpose, Rendering, servers, stream, tls, upstreams};
use crate::render::nginx::writer::Writer;
use crate::route::{Footprint, RouteTable};

/// What a configuration with addresses takes beyond what it says without any route. A template of the administrator's is not
/// asked: it is his own, and may say more or less.
pub fn footprint(table: &RouteTable) -> Footprint {
    Measure::of(table).footprint(table)
}

/// What is the same for all tables with the same ports and settings: measured once for many small ones.
pub struct Measure {
    layout: Layout,
    without_routes: (u64, u64),
}

impl Measure {
    /// For tables with the ports and settings of this one.
    pub fn of(table: &RouteTable) -> Self {
        let mut empty = RouteTable::empty(table.cluster.clone(), table.http_port);
        (empty.https_port, empty.https_published, empty.settings) = (table.https_port, table.https_published, table.settings.clone());
        let layout = Layout::default();
        let without_routes = counted(&written(&empty, &layout));
        Self { layout, without_routes }
    }

    /// What the routes of such a table take.
    pub fn footprint(&self, table: &RouteTable) -> Footprint {
        let (locations, bytes) = counted(&written(table, &self.layout));
        let (locations_without, bytes_without) = self.without_routes;
        Footprint {
            routes: u64::try_from(table.backends().count()).unwrap_or(u64::MAX),
            locations: locations.saturating_sub(locations_without),
            bytes: bytes.saturating_sub(bytes_without),
        }
    }
}

/// Everything that grows with routes. What stands before them (sizes of tables, formats) is the same for all but a few digits.
fn written(table: &RouteTable, layout: &Layout) -> String {
    let rendering = Rendering { table, purpose: Purpose::Live, layout, materials: &Materials::assumed(table) };
    let mut writer = Writer::default();
    stream::write_routes(&mut writer, &rendering);
    upstreams::write_upstreams(&mut writer, &rendering);
    servers::write_servers(&mut writer, &rendering);
    for (host, virtual_host, binding) in tls::terminated(&rendering) {
        tls::write_host(&mut writer, &rendering, host, virtual_host, binding);
    }
    writer.take()
}

/// Locations and bytes. No word of a route begins a line.
fn counted(text: &str) -> (u64, u64) {
    let locations = text.lines().filter(|line| line.trim_start().starts_with("location ")).count();
    (u64::try_from(locations).unwrap_or(u64::MAX), u64::try_from(text.len()).unwrap_or(u64::MAX))
}
