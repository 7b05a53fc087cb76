//! Reads the mounted boot snapshot; a large one has several files. Does not decide whether it may be used.

use std::fs;
use std::io;
use std::path::Path;

use crate::protocol::boot_snapshot::part_file;

/// The whole content, put together from all mounted parts.
///
/// # Errors
/// When the first part, or any other part that exists, cannot be read.
pub(super) fn read(first: &Path) -> io::Result<Vec<u8>> {
    let mut content = fs::read(first)?;
    for number in 1.. {
        match fs::read(part_file(&first.to_string_lossy(), number)) {
            Ok(part) => content.extend(part),
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("boot.json");
        assert!(read(&first).is_err());
        for (number, text) in ["one ", "two ", "three"].into_iter().enumerate() {
            fs::write(part_file(&first.to_string_lossy(), number), text).unwrap();
        }
        assert_eq!(read(&first).unwrap(), b"one two three");
    }
}
