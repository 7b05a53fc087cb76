//! Optional texts of a document on their way to checked values. Knows no field; what may stand in a text is the parser's matter.

use crate::types::Refused;

/// An optional text, checked.
pub(super) fn some<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, Refused>) -> Result<Option<T>, Refused> {
    text.map(parse).transpose()
}

/// The value of an optional text, or the default.
pub(super) fn or<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, Refused>, default: T) -> Result<T, Refused> {
    text.map_or(Ok(default), parse)
}
