//! The page's content, and that untrusted text never becomes HTML.

use serde_json::json;

use super::render;
use crate::report::StatusReport;

const ATTACK: &str = "<script>alert('1')</script><b onload=\"x\">&";

/// A status in which all untrusted text is `text`.
fn status(text: &str) -> StatusReport {
    let at = "2026-01-02T03:04:05Z";
    let finding = json!({"severity": "error", "code": "InvalidLabelValue", "subject": {"kind": "service", "name": text}, "field": text, "value": text,
        "message": text, "remedy": text});
    let cluster = json!({
        "generation": 1, "observedGeneration": 1, "phase": "Degraded",
        "conditions": [{"type": "Programmed", "status": "False", "reason": "ProxiesBehind", "message": text, "lastTransitionTime": at}],
        "routesDigest": null, "configDigest": null,
        "routes": [{"host": "app.example.org", "path": "/", "state": "Quarantined", "reason": text, "services": [
            {"service": text, "endpoints": [
                {"address": text, "task": "t1", "node": text, "state": "Active", "reason": null},
                {"address": "", "task": text, "node": null, "state": "Excluded", "reason": text}
            ]}
        ]}],
        "proxies": [{"task": text, "node": text, "state": "running", "runningDigest": null, "reloads": 3, "rejected": text, "seenAt": at}],
        "rollouts": [{"service": text, "state": "completed", "message": text, "running": 1, "desired": 2}],
        "waiting": [], "error": text, "nextRetryAt": null, "findings": [finding]
    });
    let status = json!({
        "apiVersion": "swarmgate/v1", "generatedAt": at,
        "operator": {"version": "1", "instance": text, "lastSnapshotAt": null, "snapshotError": text, "eventsAlive": true, "writesTotal": 0},
        "clusters": {text: cluster}, "findings": [finding]
    });
    serde_json::from_value(status).unwrap()
}

#[test]
fn untrusted_text_is_escaped() {
    let html = render(&status(ATTACK));
    for forbidden in ["<script", "<b ", "onload=\"", "alert('"] {
        assert!(!html.contains(forbidden), "{forbidden}: {html}");
    }
    let escaped = html.matches("&lt;script&gt;alert(&#x27;1&#x27;)&lt;&#x2f;script&gt;&lt;b onload=&quot;x&quot;&gt;&amp;").count();
    assert!(escaped >= 20, "every field is shown, escaped: {escaped} in {html}");
}

#[test]
fn the_markup_does_not_depend_on_untrusted_text() {
    let tags = |html: &str| html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    let plain = tags(&render(&status("word"))).into_iter().map(|tag| tag.replace("\"#word\"", "\"#\"").replace("\"word\"", "\"\""));
    let attacked =
        tags(&render(&status("<x>"))).into_iter().map(|tag| tag.replace("\"#&lt;x&gt;\"", "\"#\"").replace("\"&lt;x&gt;\"", "\"\""));
    assert_eq!(plain.collect::<Vec<_>>(), attacked.collect::<Vec<_>>());
}

#[test]
fn a_status_without_clusters_has_no_empty_tables() {
    let empty = StatusReport { clusters: std::collections::BTreeMap::new(), findings: Vec::new(), ..status("word") };
    let html = render(&empty);
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"), "{html}");
    assert!(
        !html.contains("<table") && html.contains("cannot be read: word") && html.contains("http-equiv=\"refresh\" content=\"5\""),
        "{html}"
    );
}

#[test]
fn each_section_shows_its_part_of_the_status() {
    let html = render(&status("word"));
    for shown in [
        "<h2 id=\"word\">word <span class=\"tag bad\">Degraded</span></h2>",
        "<a href=\"#word\">word</a>",
        "Programmed: word",
        "<span class=\"bad\">",
        "<span class=\"good\">word word on word</span><br><span class=\"meh\">word word: word</span>",
        "<td>1 of 2</td><td>completed</td><td>word</td>",
        "<td>word<div class=\"fix\">word</div></td>",
        "<small>last report at 2026-01-02T03:04:05Z</small>",
        "Findings outside clusters",
    ] {
        assert!(html.contains(shown), "{shown} in {html}");
    }
}

#[test]
fn a_served_route_whose_requests_lead_to_no_answer_is_not_shown_as_good() {
    let shown = |reason: Option<&str>| {
        let mut value = serde_json::to_value(status("word")).unwrap();
        let route = &mut value["clusters"]["word"]["routes"][0];
        (route["state"], route["reason"]) = (json!("Served"), json!(reason));
        render(&serde_json::from_value(value).unwrap())
    };
    assert!(shown(Some("TLS is refused")).contains("<span class=\"bad\">Served: TLS is refused</span>"));
    assert!(shown(None).contains("<span class=\"good\">Served</span>"));
}
