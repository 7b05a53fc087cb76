//! What is known of good material, and what the time of day makes of it. Public things only: times and names.

use jiff::Timestamp;

use crate::protocol::messages::{Doubt, DoubtKind};

/// What is known of material that can be used as far as its content goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::extension) struct Facts {
    /// When the server's certificate is valid; of a CA's, each.
    pub(super) windows: Vec<Window>,
    /// The certificates between it and its CA, by their places in the object from 1.
    pub(super) chain: Vec<(usize, Window)>,
    /// The host names that it is for, in lower case; not more than are reported.
    pub(in crate::extension) names: Vec<String>,
    /// How many more there are.
    pub(in crate::extension) more_names: usize,
    /// What clients have against it at any time.
    pub(super) doubts: Vec<Doubt>,
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extension) struct Window {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// What the time makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extension) enum Standing {
    Valid,
    /// Valid from then on.
    Early(Timestamp),
    /// Valid until then.
    Expired(Timestamp),
}

impl Window {
    fn standing(self, now: Timestamp) -> Standing {
        if self.not_after <= now {
            Standing::Expired(self.not_after)
        } else if self.not_before > now {
            Standing::Early(self.not_before)
        } else {
            Standing::Valid
        }
    }
}

impl Facts {
    /// One valid certificate is enough: of several CAs the others cost nothing.
    pub(in crate::extension) fn standing(&self, now: Timestamp) -> Standing {
        let all = || self.windows.iter().map(|window| window.standing(now));
        let soonest = all().filter_map(|standing| if let Standing::Early(from) = standing { Some(from) } else { None }).min();
        if all().any(|standing| standing == Standing::Valid) {
            Standing::Valid
        } else if let Some(from) = soonest {
            Standing::Early(from)
        } else {
            Standing::Expired(self.not_after().unwrap_or(Timestamp::MIN))
        }
    }

    /// When it expires; of several CAs the last.
    pub(in crate::extension) fn not_after(&self) -> Option<Timestamp> {
        self.windows.iter().map(|window| window.not_after).max()
    }

    /// When the time changes something about it next.
    pub(in crate::extension) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = self.windows.iter().chain(self.chain.iter().map(|(_, window)| window));
        windows.flat_map(|window| [window.not_before, window.not_after]).filter(|time| *time > now).min()
    }

    /// What clients have against it now, although it is used.
    pub(in crate::extension) fn doubts(&self, now: Timestamp) -> Vec<Doubt> {
        let chain = self.chain.iter().filter_map(|(place, window)| {
            let words = match window.standing(now) {
                Standing::Valid => return None,
                Standing::Early(from) => format!("certificate {place} in it, of the chain, is not valid before {}", shown(from)),
                Standing::Expired(on) => format!("certificate {place} in it, of the chain, expired on {}", shown(on)),
            };
            Some(Doubt { kind: DoubtKind::Chain, words })
        });
        self.doubts.iter().cloned().chain(chain).collect()
    }
}

/// A time for people.
pub(in crate::extension) fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d at %H:%M UTC").to_string()
}
