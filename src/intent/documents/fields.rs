//! Single fields of a document, by JSON pointer, for checks that compare several of them. Never reports a wrong type: the
//! schema does that.

use serde_json::Value;

use super::document_error::Mistakes;

/// A check of one document that its schema cannot express.
pub(super) type DocumentCheck = fn(&Fields<'_>, &mut Mistakes);

/// Reads single values; a value of the wrong type is treated as absent, because the shape check has reported it.
pub(super) struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    pub(super) fn any(&self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer)
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.any(pointer).and_then(Value::as_str)
    }

    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.any(pointer).and_then(Value::as_u64)
    }

    pub(super) fn list(&self, pointer: &str) -> &'a [Value] {
        self.any(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
