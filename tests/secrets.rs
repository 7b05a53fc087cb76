//! Nothing that leaves the extension, except into the memory of proxies, contains any part of a private key: messages, reports,
//! bundles, config objects, volume, status, page, explanations, logs. The tests put keys of every kind, damaged in every way,
//! where labels name material, and search everything that comes out. Planted secrets prove that the search works.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up its stage has failed")]

#[path = "secrets/captured_outputs.rs"]
mod captured_outputs;
#[path = "secrets/damaged_objects.rs"]
mod damaged_objects;
#[path = "golden/compact_swarm.rs"]
#[allow(dead_code, reason = "shared with the tests that read cases from files")]
mod golden_compact;
#[path = "delivery/listening.rs"]
mod listening;
#[path = "support/nginx_binary.rs"]
mod nginx_binary;
#[path = "delivery/operator_hub.rs"]
#[allow(dead_code, reason = "shared with the tests of delivery")]
mod operator_hub;
#[path = "support/ports.rs"]
mod ports;
#[path = "secrets/secret_search.rs"]
mod secret_search;
#[path = "support/skip.rs"]
mod skip;
#[path = "delivery/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of delivery")]
mod stage;
#[path = "delivery/tasks.rs"]
#[allow(dead_code, reason = "shared with the tests of delivery")]
mod tasks;
#[path = "delivery/traffic.rs"]
#[allow(dead_code, reason = "shared with the tests of delivery")]
mod traffic;

use std::sync::LazyLock;

use captured_outputs::{CapturedOutput, Logs, RunningSystem, without_certificates};
use damaged_objects::TestKeys;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use secret_search::{RUN, SecretRuns};
use stage::on_stage;
use swarmgate::extension::tls_material_inspection;
use swarmgate::protocol::messages::MaterialState;

/// The keys whose certificate covers the domain of all hosts in these tests.
static TEST_KEYS: LazyLock<TestKeys> = LazyLock::new(|| TestKeys::new("*.example.org"));
static KEYS: LazyLock<SecretRuns> = LazyLock::new(|| TEST_KEYS.keys());

/// Checks that outputs contain nothing of these objects except certificates, and no part of a key.
fn check(objects: &[Vec<u8>], outputs: &[CapturedOutput]) {
    let stored = TEST_KEYS.stored(objects);
    assert!(KEYS.len() > 1000, "the keys are too few: the test proves nothing");
    for CapturedOutput { name, content } in outputs {
        let shown = || String::from_utf8_lossy(content).chars().take(3000).collect::<String>();
        assert_eq!(KEYS.find_in(content), None, "of a key, in {name}: {}", shown());
        assert_eq!(stored.find_in(&without_certificates(content)), None, "of what was stored, in {name}: {}", shown());
    }
}

/// The reader's messages about an object in the place of each label, and what it would publish.
fn outputs_of(object: &[u8]) -> Vec<CapturedOutput> {
    let (certificate, key) = (TEST_KEYS.certificate.as_bytes(), TEST_KEYS.key.as_bytes());
    let refused = |fault: tls_material_inspection::RejectedMaterial| format!("{fault:?}");
    let pair =
        |certificate: &[u8], key: &[u8]| tls_material_inspection::pair(certificate, key).map_or_else(refused, |pair| pair.certificate);
    let texts = [
        ("the certificate, key in one", pair(object, object)),
        ("the certificate, key elsewhere", pair(object, key)),
        ("the key", pair(certificate, object)),
        ("the authority", tls_material_inspection::authority(object).unwrap_or_else(refused)),
    ];
    texts.map(|(name, text)| CapturedOutput::new(name, text)).into()
}

#[test]
fn reports_about_common_mistakes_contain_no_part_of_a_key() {
    let objects = TEST_KEYS.common();
    assert!(objects.len() > 500);
    let outputs: Vec<CapturedOutput> = objects.iter().flat_map(|object| outputs_of(object)).collect();
    let messages: std::collections::BTreeSet<&[u8]> = outputs.iter().map(|output| output.content.as_slice()).collect();
    assert!(messages.len() > 20, "different mistakes must have different messages: {}", messages.len());
    check(&objects, &outputs);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn reports_about_any_object_contain_no_part_of_a_key(object in TEST_KEYS.any()) {
        check(std::slice::from_ref(&object), &outputs_of(&object));
    }
}

#[test]
fn a_key_in_an_authority_object_is_reported_whatever_its_encoding() {
    let whole = TEST_KEYS.sorts().flat_map(|key| [format!("{}{key}", TEST_KEYS.certificate), format!("{key}{}", TEST_KEYS.certificate)]);
    for object in whole {
        let refused = tls_material_inspection::authority(object.as_bytes()).unwrap_err();
        assert_eq!(refused.state, MaterialState::HoldsKey, "{object}: {refused:?}");
    }
    let damaged = [
        TEST_KEYS.key.replace("-----BEGIN PRIVATE KEY-----\n", ""),
        TEST_KEYS.key.replace("PRIVATE KEY", "X"),
        TEST_KEYS.key.replace('\n', "\\n"),
        TEST_KEYS.key.replace('\n', " "),
        TEST_KEYS.key.replace("-----", "\u{2013}\u{2013}"),
        TEST_KEYS.key.to_lowercase(),
        TEST_KEYS.key.replace("PRIVATE KEY", "CERTIFICATE REQUEST"),
    ];
    for key in damaged {
        let refused = tls_material_inspection::authority(format!("{}{key}", TEST_KEYS.certificate).as_bytes()).unwrap_err();
        assert_eq!(refused.state, MaterialState::HoldsKey, "{key}: {refused:?}");
    }
    let innocent = format!("The private key of this CA is in the vault -- ask Ann.\n{}", TEST_KEYS.certificate);
    assert_eq!(tls_material_inspection::authority(innocent.as_bytes()).unwrap(), TEST_KEYS.certificate);
}

#[test]
fn nothing_that_leaves_the_extension_contains_part_of_a_key() {
    let logs = Logs::start();
    on_stage(async |stage| {
        let site = RunningSystem::start(stage);
        let mut runner = TestRunner::deterministic();
        let mut any = || TEST_KEYS.any().new_tree(&mut runner).unwrap().current();
        let chosen = TEST_KEYS.common().into_iter().step_by(29);
        let objects: Vec<Vec<u8>> = chosen.chain(std::iter::repeat_with(&mut any).take(36)).collect();
        for batch in objects.chunks(objects.len().div_ceil(3)) {
            let outputs = site.run(&TEST_KEYS, batch).await;
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            for expected in ["report", "boot", "stock", "config object", "volume", "status", "page", "explain"] {
                assert!(names.contains(&expected), "{expected} is missing: {names:?}");
            }
            check(batch, &outputs);
            let outputs = logs.take();
            assert!(outputs.content.len() > 1000, "no logs were captured");
            check(batch, &[outputs]);
        }
        assert!(KEYS.find_in(&site.memory_of_proxies()).is_some(), "no key reached a proxy: the test proves nothing");
    });
}

/// What the search must find: secrets planted in text, in each form.
#[test]
fn the_search_finds_planted_secrets_in_every_encoding_and_nothing_else() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let bytes: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(37).wrapping_add(200)).collect();
    let public: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(91).wrapping_add(7)).collect();
    let secret = SecretRuns::new(&[&bytes, &public], &[&public]);
    let found = |text: &[u8]| secret.find_in(&[b"{\"words\":\"some 12 words: ", text, b" and 3 more\"}"].concat()).map(|leak| leak.form);
    let run = &bytes[20..20 + RUN];
    assert_eq!(found(run), Some("raw"));
    for start in 18..21 {
        let encoded = STANDARD.encode(&bytes[start..start + RUN + 4]);
        assert_eq!(found(encoded.as_bytes()), Some("base64"), "alignment {start}");
        let broken = format!("{}\n{}\\n{}", &encoded[..7], &encoded[7..13], &encoded[13..]);
        assert_eq!(found(broken.as_bytes()), Some("base64"), "over line breaks");
        assert_eq!(found(URL_SAFE_NO_PAD.encode(&bytes[start..start + RUN + 4]).as_bytes()), Some("base64"));
    }
    let each = |form: &dyn Fn(&u8) -> String, between: &str| run.iter().map(form).collect::<Vec<_>>().join(between);
    for (form, between) in [("{}", ""), ("{}", ":"), ("0x{}", ", "), ("\\x{}", ""), ("\\u00{}", "")] {
        let lower = each(&|byte| form.replace("{}", &format!("{byte:02x}")), between);
        assert_eq!(found(lower.as_bytes()), Some("hexadecimal"), "{lower}");
        assert_eq!(found(lower.to_uppercase().replace("0X", "0x").replace("\\U", "\\u").as_bytes()), Some("hexadecimal"), "{lower}");
    }
    assert_eq!(found(format!("{run:?}").as_bytes()), Some("numbers"));
    assert_eq!(found(format!("{run:#?}").as_bytes()), Some("numbers"));
    let short = &bytes[20..20 + RUN - 1];
    for harmless in [short.to_vec(), STANDARD.encode(short).into_bytes(), format!("{short:?}").into_bytes(), public.clone(), vec![b'A'; 64]]
    {
        assert_eq!(found(&harmless), None);
    }
}

/// The check of this file must fail if anything leaks, such as part of an error message or a file of a bundle.
#[test]
fn a_planted_leak_is_detected() {
    let object = TEST_KEYS.key.replace('\n', "\\n").into_bytes();
    let quoting = rustls_pki_types_error(&object);
    let raw_copy = format!("{}{}", TEST_KEYS.certificate, TEST_KEYS.key);
    for leak in [quoting, raw_copy] {
        let outputs = [CapturedOutput::new("planted", leak.clone())];
        let caught = std::panic::catch_unwind(|| check(std::slice::from_ref(&object), &outputs));
        assert!(caught.is_err(), "not found: {leak}");
    }
    let harmless = CapturedOutput::new("planted", format!("{{\"ca\": \"{}\"}}", TEST_KEYS.certificate.replace('\n', "\\n")));
    check(&[object], &[harmless]);
}

/// The error message that used to be shown.
fn rustls_pki_types_error(content: &[u8]) -> String {
    use rustls_pki_types::pem::PemObject as _;
    rustls_pki_types::PrivateKeyDer::from_pem_slice(content).unwrap_err().to_string()
}
