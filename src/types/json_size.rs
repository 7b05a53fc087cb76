//! Computes the size of a value's JSON in bytes, without writing it anywhere.

use std::io;

use serde::Serialize;

/// Counts bytes and discards them.
#[derive(Default)]
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The size of a value's JSON. `usize::MAX` if it cannot be written as JSON.
pub fn json_size<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counter = Counter::default();
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

#[cfg(test)]
mod tests {
    use super::json_size;

    #[test]
    fn the_size_is_the_length_of_the_text() {
        for value in [serde_json::json!({"a": [1, "b\n\""], "ä": null}), serde_json::json!("x".repeat(100_000))] {
            assert_eq!(json_size(&value), serde_json::to_vec(&value).unwrap().len());
        }
    }
}
