//! Parts of a table that the engine refused: left out, so that all others are served, until they say something else. Which
//! they are is found by asking the engine; see [`super::bisect`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::bisect;
use super::material::Look;
use super::validator::{Bench, Rendered};
use crate::engine::EngineError;
use crate::protocol::messages::{Desired, Quarantined};
use crate::route::{EngineSettings, Part, RouteTable};
use crate::types::Digest;

/// A part that stays the same is tried again when something else changed and this time has passed: it may have been
/// refused for the company of another part.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What is left out now.
#[derive(Default)]
pub(super) struct Quarantine {
    held: BTreeMap<Part, Held>,
    /// The table that was accepted last, without what was left out.
    good: Option<RouteTable>,
}

/// Why a part is left out.
struct Held {
    identity: Option<Digest>,
    words: String,
    /// It is left out for its size, and the engine was not asked.
    too_large: bool,
    since: Instant,
    manner: Manner,
}

/// How parts are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Routes keep their names and answer 503; settings are those of the last good configuration.
    Muted,
    /// Not even the names may stay.
    Gone,
}

impl Quarantine {
    /// The table without the parts that are known to be refused and still say the same.
    pub(super) fn applied_to(&mut self, table: &RouteTable) -> RouteTable {
        self.held
            .retain(|part, held| held.since.elapsed() < TRY_AGAIN && table.identity_of(part) == held.identity && held.identity.is_some());
        let manner = self.held.values().map(|held| held.manner).max().unwrap_or(Manner::Muted);
        self.reduced(table, &self.held.keys().cloned().collect(), manner)
    }

    /// Notes that the engine accepted this table.
    pub(super) fn settle(&mut self, table: &RouteTable) {
        self.good = Some(table.clone());
    }

    /// What is left out, for those who look.
    pub(super) fn told(&self) -> Vec<Quarantined> {
        self.held
            .iter()
            .map(|(part, held)| Quarantined { part: part.clone(), words: held.words.clone(), too_large: held.too_large })
            .collect()
    }

    /// After a refusal: finds the parts to blame and holds them. The configuration without them, if that is accepted.
    pub(super) async fn search(
        &mut self,
        bench: &Bench,
        desired: &Desired,
        look: &Look,
    ) -> Result<Option<(RouteTable, Rendered)>, EngineError> {
        let all = look.table.parts();
        let changed = self.changed(&look.table, &all);
        let refusal = |left_out: BTreeSet<Part>| async move { bench.refusal(desired, look, &look.table.without(&left_out)).await };
        let mut found = bisect::find(changed.clone(), refusal).await?;
        if found.is_none() && changed != all {
            found = bisect::find(all, refusal).await?;
        }
        let Some(found) = found.filter(|found| !found.is_empty()) else { return Ok(None) };
        let parts: BTreeSet<Part> = found.iter().map(|(part, _)| part.clone()).collect();
        for manner in [Manner::Muted, Manner::Gone] {
            let table = self.reduced(&look.table, &parts, manner);
            if bench.refusal(desired, look, &table).await?.is_none() {
                self.hold(&look.table, found, manner, false);
                let rendered = bench.render_table(desired, look, &table);
                return Ok(Some((table, rendered)));
            }
        }
        Ok(None)
    }

    /// For a table that is larger than proxies can read: leaves out its largest parts, as few as there must be. Nothing: that does
    /// not help, or the engine refuses the rest.
    pub(super) async fn shed(
        &mut self,
        bench: &Bench,
        desired: &Desired,
        look: &Look,
        words: &str,
    ) -> Result<Option<(RouteTable, Rendered)>, EngineError> {
        let parts = look.table.parts();
        let mut by_size: Vec<(usize, Part)> = parts.into_iter().map(|part| (look.table.size_of(&part), part)).collect();
        by_size.sort_by(|a, b| b.cmp(a));
        let without = |count: usize| -> BTreeSet<Part> { by_size[..count].iter().map(|(_, part)| part.clone()).collect() };
        for manner in [Manner::Muted, Manner::Gone] {
            let fits = |count: usize| bench.fits(desired, look, &self.reduced(&look.table, &without(count), manner));
            let Some(count) = least(by_size.len(), fits) else { continue };
            let table = self.reduced(&look.table, &without(count), manner);
            if bench.refusal(desired, look, &table).await?.is_none() {
                self.hold(&look.table, without(count).into_iter().map(|part| (part, words.to_owned())).collect(), manner, true);
                let rendered = bench.render_table(desired, look, &table);
                return Ok(Some((table, rendered)));
            }
        }
        Ok(None)
    }

    /// What is not as it was when the engine last accepted a configuration: most likely to blame.
    fn changed(&self, table: &RouteTable, all: &BTreeSet<Part>) -> BTreeSet<Part> {
        let Some(good) = &self.good else { return all.clone() };
        all.iter().filter(|part| good.identity_of(part) != table.identity_of(part)).cloned().collect()
    }

    fn hold(&mut self, table: &RouteTable, found: Vec<(Part, String)>, manner: Manner, too_large: bool) {
        self.held.clear();
        for (part, words) in found {
            tracing::warn!(part = ?part, words, too_large, "this is refused; it is left out, and everything else is served");
            let identity = table.identity_of(&part);
            self.held.insert(part, Held { identity, words, too_large, since: Instant::now(), manner });
        }
    }

    fn reduced(&self, table: &RouteTable, parts: &BTreeSet<Part>, manner: Manner) -> RouteTable {
        if manner == Manner::Gone {
            return table.without(parts);
        }
        let mut muted = table.muted(parts);
        if let Some(settings) = self.former_settings(parts) {
            muted.settings = settings.clone();
        }
        muted
    }

    /// A line that went wrong may have been one that keeps somebody out: what was there before is better than nothing.
    fn former_settings(&self, parts: &BTreeSet<Part>) -> Option<&EngineSettings> {
        self.good.as_ref().filter(|_| parts.iter().any(Part::is_setting)).map(|good| &good.settings)
    }
}

/// The least number from 1 to `most` for which something holds that holds for all greater ones. None: not even for `most`.
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
    fn the_least_number_is_found() {
        for wanted in 1..=10 {
            assert_eq!(least(10, |number| number >= wanted), Some(wanted));
        }
        assert_eq!(least(10, |_| false), None);
        assert_eq!(least(0, |_| true), None);
    }
}
