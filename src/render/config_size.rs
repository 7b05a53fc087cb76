//! How much of a configuration routes take: counted in the renderer's actual output, so that the number is always correct.
//! Pure; does not decide how much is too much.

use super::engine::RouteSize;
use super::{ConfigPurpose, Layout, Materials, Rendering, renderer};
use crate::route::{Footprint, RouteTable};

/// The size of a configuration with addresses, minus that of one without any routes. Ignores the administrator's own
/// template, which may write more or less.
pub fn footprint(table: &RouteTable) -> Footprint {
    ConfigSizer::new(table).footprint(table)
}

/// The part that is the same for all tables with the same engine, ports and settings: measured once for many small tables.
pub struct ConfigSizer {
    layout: Layout,
    without_routes: RouteSize,
}

impl ConfigSizer {
    /// For tables with the engine, ports and settings of this one.
    pub fn new(table: &RouteTable) -> Self {
        let mut empty = RouteTable::empty(table.cluster.clone(), table.http_port);
        (empty.engine, empty.settings) = (table.engine, table.settings.clone());
        (empty.https_port, empty.https_published) = (table.https_port, table.https_published);
        let layout = Layout::default();
        let without_routes = size(&empty, &layout);
        Self { layout, without_routes }
    }

    /// The size of the routes of such a table.
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
    renderer(table.engine).route_size(&Rendering { table, purpose: ConfigPurpose::Live, layout, materials: &Materials::assumed(table) })
}
