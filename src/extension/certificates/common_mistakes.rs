//! Common mistakes that leave an object without anything the engine can read, with a message for each. Recognizes them by their
//! traces, and quotes nothing.

use super::MaterialFault;
use super::pem_blocks::contains;
use crate::protocol::messages::MaterialState;

/// The greatest size of an object: Swarm's own limit is 500 KB for a secret and 1 MB for a config.
const BYTES_MAX: usize = 1 << 20;

/// PEM is text. Binary (DER) and empty files are common mistakes with messages of their own.
pub(super) fn check_text(content: &[u8], state: MaterialState, remedy: &str) -> Result<(), MaterialFault> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(MaterialFault::new(state, "it is empty"));
    }
    if content.len() > BYTES_MAX {
        return Err(MaterialFault::new(state, "it is larger than any certificate"));
    }
    // A DER file is a SEQUENCE with a long length.
    if matches!(content, [0x30, 0x81..=0x84, ..]) {
        return Err(MaterialFault::new(state, format!("it is in the binary format DER; convert it to PEM ({remedy})")));
    }
    if matches!(content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'-', ..] | [b'-', 0, ..]) {
        return Err(MaterialFault::new(state, "it is UTF-16 text; store it as plain text (ASCII or UTF-8)"));
    }
    Ok(())
}

/// Why it has no block: common ways to spoil PEM text. `None` if there is no trace of any.
pub(super) fn missing_block_reason(content: &[u8]) -> Option<&'static str> {
    let has = |wanted: &[u8]| contains(content, wanted);
    let message = if has(b"\\n") && has(b"-----BEGIN") {
        "it is a single line with \\n instead of line breaks; store it with real line breaks (printf '%b' \"$TEXT\")"
    } else if has(b"-----BEGIN") && !has(b"\n") && has(b"\r") {
        "its lines end with CR only; store it with Unix or Windows line breaks"
    } else if has(b"-----BEGIN") {
        "its -----BEGIN ...----- line contains other characters; it must be alone on its line, without leading spaces"
    } else if has(b"LS0tLS1CRUdJTi") {
        "it is PEM text that was encoded in base64 a second time; decode it (base64 -d)"
    } else if std::str::from_utf8(content).is_err() || content.contains(&0) {
        "it is not PEM text"
    } else {
        return None;
    };
    Some(message)
}
