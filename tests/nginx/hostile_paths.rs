//! Paths as a stranger writes them, composed of everything that some reader may interpret as a dot, a separator, parameters or
//! white space: nginx does what `explain` says, and no application receives a path that some reader interprets as another
//! application's.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use swarmgate::explain::{Request, TraceOutcome};

use super::explain_agreement::AgreementFixture;
use super::test_application;

/// The pieces of paths, and how the most generous reader interprets each. Only some readers interpret an escaped slash as a
/// slash.
const PIECES: &[(&str, &str)] = &[
    ("%2f", "%2f"),
    ("%252f", "/"),
    ("%5c", "/"),
    ("\\", "/"),
    ("%c0%af", "/"),
    ("%ef%bc%8f", "/"),
    ("%2e", "."),
    ("%252e", "."),
    ("%c0%ae", "."),
    ("%e2%80%a4", "."),
    ("%ef%b9%92", "."),
    ("%EF%BC%8E", "."),
    ("%e2%80%a5", ".."),
    ("%ef%b8%b0", ".."),
    ("%25ef%25b8%25b0", ".."),
    ("\u{2025}", ".."),
    (";", ";"),
    ("%3b", ";"),
    ("%ef%bc%9b", ";"),
    ("%ef%b9%94", ";"),
    ("%cd%be", ";"),
    ("%25CD%25BE", ";"),
    ("\u{ff1b}", ";"),
    ("%c0%bb", ";"),
    ("%e0%80%bb", ";"),
    ("%20", " "),
    ("%c2%a0", " "),
    ("%c2%85", " "),
    ("%85", " "),
    ("%a0", " "),
    ("%e3%80%80", " "),
    ("\u{3000}", " "),
    ("%c2", "c"),
    ("%cd", "c"),
    ("%e3%80", "c"),
];
/// The plain pieces, which make up most of a path.
const PLAIN: &[&str] = &["/", "/../", "/..", "..", ".", "x", "/app/", "x%2fy/../"];
const REQUESTS: usize = 3000;

/// A path as sent, and as the most generous reader spells it.
fn path(random: &mut StdRng) -> (String, String) {
    let (mut sent, mut generous) = ("/app/".to_owned(), "/app/".to_owned());
    for _ in 0..random.random_range(1..7) {
        let piece = if random.random_bool(0.6) {
            let plain = *PLAIN.choose(random).unwrap();
            (plain, plain)
        } else {
            *PIECES.choose(random).unwrap()
        };
        sent.push_str(piece.0);
        generous.push_str(piece.1);
    }
    (sent, generous)
}

/// Where a path leads for a reader that knows parameters and drops white space around dots.
fn leads_to(path: &str, folds: bool) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        let name = segment.split(';').next().unwrap_or_default();
        match name.replace(' ', "").as_str() {
            ".." => _ = kept.pop(),
            "." => {}
            "" if folds && segment.is_empty() => {}
            _ => kept.push(name),
        }
    }
    format!("/{}/", kept.join("/"))
}

/// Checks that the path stays below `/app/` for every reader, whether or not it interprets escaped slashes and parameters, and
/// whether or not it merges slashes.
fn stays_below_app(sent: &str, generous: &str) {
    for read in [generous, &generous.replace("%2f", "/"), sent, &sent.replace("%2f", "/")] {
        for folds in [true, false] {
            let end = leads_to(read, folds);
            assert!(end.starts_with("/app/"), "{sent} may be read as {end}");
        }
    }
}

#[tokio::test]
async fn no_path_reading_escapes_an_application_and_explain_predicts_every_rejection() {
    let service = |name, labels| json!({"name": name, "networks": ["web"], "tasks": 1, "labels": labels});
    let services = [
        service("s0", json!({"hosts": "a.test,c.test", "context_root": "/app"})),
        service("s1", json!({"hosts": "a.test"})),
        service("s2", json!({"hosts": "d.test"})),
    ];
    let mut ports = Vec::new();
    for name in ["s0", "s1", "s2"] {
        ports.push(test_application::start(name).await.port());
    }
    let Some(scene) = AgreementFixture::start(&services, &ports).await else { return };
    let random = &mut StdRng::seed_from_u64(1);
    let mut seen = BTreeMap::<String, usize>::new();
    for _ in 0..REQUESTS {
        let host = *["a.test", "c.test", "d.test"].choose(random).unwrap();
        let (sent, generous) = path(random);
        let request = Request::parse(&format!("http://{host}/")).unwrap().with_target(&sent);
        let end = match scene.check_sent(host, &request).await {
            TraceOutcome::Application { services, .. } => services.join(","),
            TraceOutcome::Redirect { status, .. } => status.to_string(),
            TraceOutcome::Nobody { status, .. } => format!("{status:?}"),
        };
        if end == "s0" {
            stays_below_app(&sent, &generous);
        }
        *seen.entry(end).or_default() += 1;
    }
    for end in ["s0", "s1", "s2", "Some(400)", "Some(404)"] {
        assert!(seen.get(end).is_some_and(|times| *times > 9), "{end}: {seen:?}");
    }
}
