//! What the document reader promises.
