//! How a boot snapshot is written into a config and read from its mount. A Swarm config is limited to less than 1 MB and
//! occupies memory in every manager, so larger bundles are compressed. Deterministic: equal bundles give equal bytes.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::messages::Bundle;
use super::size_limits::BUNDLE_BYTES_MAX;

/// Bundles up to this size stay readable for people (`docker config inspect --pretty`).
const PLAIN_BYTES_MAX: usize = 256 * 1024;
/// The magic bytes of gzip; JSON never begins with them.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a boot snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// It is not the JSON of a bundle.
    #[error("the boot snapshot is not a bundle")]
    Json(#[from] serde_json::Error),
    /// It is not readable as gzip.
    #[error("cannot decompress the boot snapshot")]
    Gzip(#[from] std::io::Error),
}

/// The content of the config.
pub fn encode(bundle: &Bundle) -> Result<Vec<u8>, BootError> {
    let json = serde_json::to_vec(bundle)?;
    if json.len() <= PLAIN_BYTES_MAX {
        return Ok(json);
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&json)?;
    Ok(packed.finish()?)
}

/// The path at which a part of the content is mounted, derived from the path of the first part, which has the number 0.
pub fn part_file(first: &str, number: usize) -> String {
    if number == 0 { first.to_owned() } else { format!("{first}.{}", number + 1) }
}

/// Decodes the bundle from the complete content. Check it ([`Bundle::check`]) before use.
pub fn decode(content: &[u8]) -> Result<Bundle, BootError> {
    if !content.starts_with(&GZIP_MAGIC) {
        return Ok(serde_json::from_slice(content)?);
    }
    let mut json = Vec::new();
    GzDecoder::new(content).take(BUNDLE_BYTES_MAX).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::types::{ClusterName, Digest};

    fn bundle(lines: usize) -> Bundle {
        let text = (0..lines).map(|number| number.to_string()).collect::<Vec<_>>().join(";\n");
        let files = BTreeMap::from([("nginx.conf".to_owned(), text)]);
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files)
    }

    #[test]
    fn a_boot_snapshot_of_any_size_is_restored_unchanged_and_fits_a_config() {
        for lines in [0, 10, 200_000] {
            let content = encode(&bundle(lines)).unwrap();
            assert!(content.len() < 1_000_000, "{lines} lines are {} bytes", content.len());
            assert_eq!(content.starts_with(&GZIP_MAGIC), lines > 100_000);
            assert_eq!(decode(&content).unwrap(), bundle(lines));
            assert_eq!(content, encode(&bundle(lines)).unwrap(), "deterministic");
        }
    }

    #[test]
    fn a_damaged_boot_snapshot_is_an_error() {
        let mut content = encode(&bundle(200_000)).unwrap();
        content.truncate(content.len() / 2);
        assert!(matches!(decode(&content), Err(BootError::Gzip(_))));
        assert!(matches!(decode(b"{}"), Err(BootError::Json(_))));
    }
}
