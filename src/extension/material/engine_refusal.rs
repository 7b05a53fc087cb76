//! Faults of material that looks good: those that the engine finds, and what cannot be written again.

use crate::extension::certificates::Fault;
use crate::protocol::messages::MaterialState;
use crate::runtime::{CertificateFault, CertificateFaultKind};

/// A fault that the engine finds.
pub(super) fn by_engine(fault: CertificateFault) -> Fault {
    let state = match fault.kind {
        CertificateFaultKind::Certificate => MaterialState::NotACertificate,
        CertificateFaultKind::Key => MaterialState::NotAKey,
        CertificateFaultKind::Mismatch => MaterialState::Mismatch,
    };
    Fault::new(state, fault.message)
}

/// It was read as certificates and cannot be written as such.
pub(super) fn unwritable() -> Fault {
    Fault::new(MaterialState::NotACertificate, "it holds no certificate")
}
