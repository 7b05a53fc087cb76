//! How much of a configuration routes take: counted in what the engine's renderer really writes, so that it cannot be another
//! number than the truth. Pure; decides nothing about what is too much.

use super::engine::RouteSize;
use super::{Layout, Materials, Purpose, Rendering, renderer};
use crate::route::{Footprint, RouteTable};

/// What a configuration with addresses takes beyond what it says without any route. A template of the administrator's is not
/// asked: it is his own, and may say more or less.
pub fn footprint(table: &RouteTable) -> Footprint {
    Measure::of(table).footprint(table)
}

/// What is the same for all tables with the same engine, ports and settings: measured once for many small ones.
pub struct Measure {
    layout: Layout,
    without_routes: RouteSize,
}

impl Measure {
    /// For tables with the engine, ports and settings of this one.
    pub fn of(table: &RouteTable) -> Self {
        let mut empty = RouteTable::empty(table.cluster.clone(), table.http_port);
        (empty.engine, empty.settings) = (table.engine, table.settings.clone());
        (empty.https_port, empty.https_published) = (table.https_port, table.https_published);
        let layout = Layout::default();
        let without_routes = size(&empty, &layout);
        Self { layout, without_routes }
    }

    /// What the routes of such a table take.
    pub fn footprint(&self, table: &RouteTable) -> Footprint {
        let size = size(table, &self.layout);
        Footprint {
            routes: u64::try_from(table.backends().count()).unwrap_or(u64::MAX),
            locations: size.locations.saturating_sub(self.without_routes.locations),
            bytes: size.bytes.saturating_sub(self.without_routes.bytes),
        }
    }
}

fn size(table: &RouteTable, layout: &Layout) -> RouteSize {
    renderer(table.engine).route_size(&Rendering { table, purpose: Purpose::Live, layout, materials: &Materials::assumed(table) })
}
