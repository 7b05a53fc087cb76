//! Feeds arbitrary bytes as certificate, key and CA to the reader. The reader never panics, and neither its messages nor what
//! it would publish contains any part of a key. The input is an object in which `@KEY@` and `@CERT@` stand for a real key and
//! its certificate, so that the fuzzer can place them anywhere and corrupt their surroundings.

#![no_main]

#[path = "../../tests/secrets/secret_search.rs"]
#[expect(dead_code, reason = "only tests of the search itself ask how much it looks for")]
mod secret_search;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use secret_search::SecretRuns;
use swarmgate::extension::tls_material_inspection;
use swarmgate::types::pem;

/// A PKCS#8 layout for P-256 with a key that belongs to nobody.
fn key() -> Vec<u8> {
    let head =
        [0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 4, 0x27];
    let inner = [0x30, 0x25, 2, 1, 1, 4, 0x20];
    let secret = (0..32_u8).map(|n| n.wrapping_mul(37).wrapping_add(200));
    head.into_iter().chain(inner).chain(secret).collect()
}

const CERTIFICATE: &str = include_str!("../certificate.pem");

/// The key in PEM.
static KEY: LazyLock<String> = LazyLock::new(|| pem("PRIVATE KEY", &key()));

/// What must not appear anywhere. Excludes the header of such a key, because every certificate contains it, too.
static SECRET: LazyLock<SecretRuns> = LazyLock::new(|| {
    let line = KEY.lines().nth(1).unwrap_or_default();
    SecretRuns::new(&[&key()[28..], line.as_bytes()], &[CERTIFICATE.as_bytes()])
});

fuzz_target!(|bytes: &[u8]| {
    let certificate = CERTIFICATE.as_bytes();
    let object = replaced(&replaced(bytes, b"@KEY@", KEY.as_bytes()), b"@CERT@", certificate);
    let pair = |certificate: &[u8], key: &[u8]| match tls_material_inspection::pair(certificate, key) {
        Ok(pair) => pair.certificate,
        Err(refused) => format!("{refused:?}"),
    };
    let authority = tls_material_inspection::authority(&object).unwrap_or_else(|refused| format!("{refused:?}"));
    for said in [pair(&object, &object), pair(certificate, &object), pair(&object, KEY.as_bytes()), authority] {
        assert_eq!(SECRET.find_in(said.as_bytes()), None, "{said}");
    }
});

fn replaced(bytes: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        out.extend(&rest[..at]);
        out.extend(with);
        rest = &rest[at + mark.len()..];
    }
    out.extend(rest);
    out
}
