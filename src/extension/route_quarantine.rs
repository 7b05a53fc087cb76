//! Parts of a table that the engine refused: left out until they change, so that all others are served. Finds these parts by
//! testing subsets; see [`super::bisect`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::bisect;
use super::tls_material::ResolvedTable;
use super::validator::{RenderedTable, Validator};
use crate::protocol::messages::{Desired, Quarantined};
use crate::route::{EngineSettings, QuarantineUnit, RouteTable};
use crate::runtime::EngineError;
use crate::types::Digest;

/// An unchanged part is tried again when something else changes after this time: the engine may have refused it only in combination
/// with another part.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The parts that are left out now.
#[derive(Default)]
pub(super) struct Quarantine {
    held: BTreeMap<QuarantineUnit, Held>,
    /// The table that was accepted last, without the parts that were left out.
    good: Option<RouteTable>,
}

/// Why a part is left out.
struct Held {
    identity: Option<Digest>,
    message: String,
    /// It is left out because of its size, without running the engine.
    too_large: bool,
    since: Instant,
    removal: Removal,
}

/// How much of a part is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Removal {
    /// Its content: routes keep their names and answer 503; settings are those of the last good configuration.
    Content,
    /// All of it, including names.
    Whole,
}

impl Quarantine {
    /// The table without the parts that are known to be refused and have not changed.
    pub(super) fn applied_to(&mut self, table: &RouteTable) -> RouteTable {
        self.held
            .retain(|part, held| held.since.elapsed() < RETRY_AFTER && table.identity_of(part) == held.identity && held.identity.is_some());
        let removal = self.held.values().map(|held| held.removal).max().unwrap_or(Removal::Content);
        self.reduced(table, &self.held.keys().cloned().collect(), removal)
    }

    /// Remembers that the engine accepted this table.
    pub(super) fn settle(&mut self, table: &RouteTable) {
        self.good = Some(table.clone());
    }

    /// What is left out, for the report.
    pub(super) fn reports(&self) -> Vec<Quarantined> {
        self.held
            .iter()
            .map(|(part, held)| Quarantined { part: part.clone(), message: held.message.clone(), too_large: held.too_large })
            .collect()
    }

    /// After a refusal: finds and keeps the refused parts. Returns the configuration without them if the engine accepts that.
    pub(super) async fn search(
        &mut self,
        validator: &Validator,
        desired: &Desired,
        resolved: &ResolvedTable,
    ) -> Result<Option<(RouteTable, RenderedTable)>, EngineError> {
        let found = self.refused_parts(validator, desired, resolved).await?;
        let Some(found) = found.filter(|found| !found.is_empty()) else { return Ok(None) };
        let parts: BTreeSet<QuarantineUnit> = found.iter().map(|(part, _)| part.clone()).collect();
        for removal in [Removal::Content, Removal::Whole] {
            let table = self.reduced(&resolved.table, &parts, removal);
            if validator.refusal(desired, resolved, &table).await?.is_none() {
                self.hold(&resolved.table, found, removal, false);
                let rendered = validator.render_table(desired, resolved, &table);
                return Ok(Some((table, rendered)));
            }
        }
        Ok(None)
    }

    /// The parts that the engine refuses, each with its message: among those that changed, or else among all.
    async fn refused_parts(
        &self,
        validator: &Validator,
        desired: &Desired,
        resolved: &ResolvedTable,
    ) -> Result<Option<Vec<(QuarantineUnit, String)>>, EngineError> {
        let all = resolved.table.quarantine_units();
        let changed = self.changed(&resolved.table, &all);
        let refusal = |left_out: BTreeSet<QuarantineUnit>| async move {
            validator.refusal(desired, resolved, &resolved.table.without(&left_out)).await
        };
        let found = bisect::find(changed.clone(), refusal).await?;
        if found.is_some() || changed == all { Ok(found) } else { bisect::find(all, refusal).await }
    }

    /// For a table that is larger than proxies can read: leaves out as few of its largest parts as possible. `None` if that does
    /// not help, or if the engine refuses the rest.
    pub(super) async fn drop_to_fit(
        &mut self,
        validator: &Validator,
        desired: &Desired,
        resolved: &ResolvedTable,
        message: &str,
    ) -> Result<Option<(RouteTable, RenderedTable)>, EngineError> {
        let parts = resolved.table.quarantine_units();
        let mut by_size: Vec<(usize, QuarantineUnit)> = parts.into_iter().map(|part| (resolved.table.size_of(&part), part)).collect();
        by_size.sort_by(|a, b| b.cmp(a));
        let without = |count: usize| -> BTreeSet<QuarantineUnit> { by_size[..count].iter().map(|(_, part)| part.clone()).collect() };
        for removal in [Removal::Content, Removal::Whole] {
            let fits = |count: usize| validator.fits(desired, resolved, &self.reduced(&resolved.table, &without(count), removal));
            let Some(count) = least(by_size.len(), fits) else { continue };
            let table = self.reduced(&resolved.table, &without(count), removal);
            if validator.refusal(desired, resolved, &table).await?.is_none() {
                self.hold(&resolved.table, without(count).into_iter().map(|part| (part, message.to_owned())).collect(), removal, true);
                let rendered = validator.render_table(desired, resolved, &table);
                return Ok(Some((table, rendered)));
            }
        }
        Ok(None)
    }

    /// What has changed since the engine last accepted a configuration, and is the likely cause.
    fn changed(&self, table: &RouteTable, all: &BTreeSet<QuarantineUnit>) -> BTreeSet<QuarantineUnit> {
        let Some(good) = &self.good else { return all.clone() };
        all.iter().filter(|part| good.identity_of(part) != table.identity_of(part)).cloned().collect()
    }

    fn hold(&mut self, table: &RouteTable, found: Vec<(QuarantineUnit, String)>, removal: Removal, too_large: bool) {
        self.held.clear();
        for (part, message) in found {
            tracing::warn!(part = ?part, error = message, too_large, "the engine rejects a part, which is left out; everything else is served");
            let identity = table.identity_of(&part);
            self.held.insert(part, Held { identity, message, too_large, since: Instant::now(), removal });
        }
    }

    fn reduced(&self, table: &RouteTable, parts: &BTreeSet<QuarantineUnit>, removal: Removal) -> RouteTable {
        if removal == Removal::Whole {
            return table.without(parts);
        }
        let mut muted = table.with_unavailable(parts);
        if let Some(settings) = self.former_settings(parts) {
            muted.settings = settings.clone();
        }
        muted
    }

    /// A refused line may be one that restricts access, so keeping the former lines is safer than having none.
    fn former_settings(&self, parts: &BTreeSet<QuarantineUnit>) -> Option<&EngineSettings> {
        self.good.as_ref().filter(|_| parts.iter().any(QuarantineUnit::is_setting)).map(|good| &good.settings)
    }
}

/// The least number from 1 to `most` for which `holds` is true, if it is also true for all greater ones. `None` if not even for
/// `most`.
fn least(most: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    if most == 0 || !holds(most) {
        return None;
    }
    let (mut low, mut high) = (1, most);
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::least;

    #[test]
    fn the_smallest_matching_number_is_found() {
        for wanted in 1..=10 {
            assert_eq!(least(10, |number| number >= wanted), Some(wanted));
        }
        assert_eq!(least(10, |_| false), None);
        assert_eq!(least(0, |_| true), None);
    }
}
