//! The facts about good material, and what they mean at a given time. Only public facts: times and names.

use jiff::Timestamp;

use crate::protocol::messages::{CertificateWarning, CertificateWarningKind};

/// The facts about material whose content is usable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::extension) struct CertificateFacts {
    /// When the server's certificate is valid; for CAs, one entry for each.
    pub(super) windows: Vec<ValidityPeriod>,
    /// The certificates between it and its CA, by position in the object, starting at 1.
    pub(super) chain: Vec<(usize, ValidityPeriod)>,
    /// Its host names in lower case, as many as are reported.
    pub(in crate::extension) names: Vec<String>,
    /// How many more names it has.
    pub(in crate::extension) more_names: usize,
    /// Reasons for clients to refuse it at any time.
    pub(super) doubts: Vec<CertificateWarning>,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extension) struct ValidityPeriod {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Whether it is valid at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extension) enum Validity {
    Valid,
    /// Valid from this time on.
    Early(Timestamp),
    /// Valid until this time.
    Expired(Timestamp),
}

impl ValidityPeriod {
    fn standing(self, now: Timestamp) -> Validity {
        if self.not_after <= now {
            Validity::Expired(self.not_after)
        } else if self.not_before > now {
            Validity::Early(self.not_before)
        } else {
            Validity::Valid
        }
    }
}

impl CertificateFacts {
    /// One valid certificate is enough: if others of several CAs are not valid, that does no harm.
    pub(in crate::extension) fn validity(&self, now: Timestamp) -> Validity {
        let all = || self.windows.iter().map(|window| window.standing(now));
        let soonest = all().filter_map(|standing| if let Validity::Early(from) = standing { Some(from) } else { None }).min();
        if all().any(|standing| standing == Validity::Valid) {
            Validity::Valid
        } else if let Some(from) = soonest {
            Validity::Early(from)
        } else {
            Validity::Expired(self.not_after().unwrap_or(Timestamp::MIN))
        }
    }

    /// When it expires; for several CAs, when the last one does.
    pub(in crate::extension) fn not_after(&self) -> Option<Timestamp> {
        self.windows.iter().map(|window| window.not_after).max()
    }

    /// When this next changes with time.
    pub(in crate::extension) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = self.windows.iter().chain(self.chain.iter().map(|(_, window)| window));
        windows.flat_map(|window| [window.not_before, window.not_after]).filter(|time| *time > now).min()
    }

    /// Reasons for clients to refuse it now, although it is used.
    pub(in crate::extension) fn warnings(&self, now: Timestamp) -> Vec<CertificateWarning> {
        let chain = self.chain.iter().filter_map(|(position, window)| {
            let message = match window.standing(now) {
                Validity::Valid => return None,
                Validity::Early(from) => format!("chain certificate {position} is not valid before {}", shown(from)),
                Validity::Expired(on) => format!("chain certificate {position} expired on {}", shown(on)),
            };
            Some(CertificateWarning { kind: CertificateWarningKind::Chain, message })
        });
        self.doubts.iter().cloned().chain(chain).collect()
    }
}

/// A time for messages.
pub(in crate::extension) fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d at %H:%M UTC").to_string()
}
