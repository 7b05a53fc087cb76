//! Converts optional texts of a document to checked values. Knows no field; the parser decides which texts are valid.

use crate::types::InvalidValue;

/// An optional text, checked.
pub(super) fn some<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, InvalidValue>) -> Result<Option<T>, InvalidValue> {
    text.map(parse).transpose()
}

/// The value of an optional text, or the default.
pub(super) fn or<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, InvalidValue>, default: T) -> Result<T, InvalidValue> {
    text.map_or(Ok(default), parse)
}
