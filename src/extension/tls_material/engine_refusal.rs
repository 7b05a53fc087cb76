//! Faults of material that looks good: those that only the engine finds, and material that cannot be written again.

use crate::extension::certificates::MaterialFault;
use crate::protocol::messages::MaterialState;
use crate::runtime::{CertificateFault, CertificateFaultKind};

/// A fault that the engine found.
pub(super) fn by_engine(fault: CertificateFault) -> MaterialFault {
    let state = match fault.kind {
        CertificateFaultKind::Certificate => MaterialState::NotACertificate,
        CertificateFaultKind::Key => MaterialState::NotAKey,
        CertificateFaultKind::Mismatch => MaterialState::Mismatch,
    };
    MaterialFault::new(state, fault.message)
}

/// It was parsed as certificates but cannot be written as such.
pub(super) fn unwritable() -> MaterialFault {
    MaterialFault::new(MaterialState::NotACertificate, "it contains no certificate")
}
