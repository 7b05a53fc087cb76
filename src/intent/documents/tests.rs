//! Tests of the document reader.
use proptest::prelude::*;

use super::*;
use crate::intent::cluster_spec::{Mode, PublishMode, RolloutStrategy};
use crate::report::{FindingCode, Subject};

const PROXY_AT: &str = "  proxy:\n    image: p:1\n";

/// A valid document with this name and further lines below `spec.proxy`.
fn document(name: &str, proxy: &str) -> String {
    format!(
        "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata:\n  name: {name}\nspec:\n  serviceCluster: {name}\n  engine: nginx\n  \
         extension:\n    image: e:1\n{PROXY_AT}    publish: {{mode: host, http: {{published: 80, target: 80}}}}\n{proxy}"
    )
}

fn read(texts: &[&str]) -> Declaration {
    let files: Vec<_> = texts.iter().enumerate().map(|(at, text)| SourceFile::new(format!("{at}.yaml"), *text)).collect();
    read_documents(&files)
}

/// Names with `+` for valid and `-` for broken.
fn declared(declaration: &Declaration) -> Vec<String> {
    let sign = |declared: &ClusterDocument| if matches!(declared, ClusterDocument::Valid(_)) { '+' } else { '-' };
    declaration.all().map(|one: &ClusterDocument| format!("{}{}", sign(one), one.name())).collect()
}

/// Code and field of each error.
fn errors(declaration: &Declaration) -> Vec<(FindingCode, String)> {
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| (finding.code.clone(), finding.field.clone().unwrap_or_default())).collect()
}

#[test]
fn a_minimal_document_has_the_defaults_and_manages_nothing_else() {
    let text = "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {name: default}\nspec:\n  engine: nginx\n  extension: {image: e:1}\n  proxy: {image: p:1}\n";
    let declaration = read(&[text]);
    assert_eq!(declaration.findings, []);
    let cluster = declaration.valid().next().expect("a cluster");
    let proxy = &cluster.proxy;
    assert_eq!((cluster.service_cluster.as_deref(), cluster.extension.service_name.as_str()), (None, "swarmgate-extension-default"));
    assert_eq!((proxy.mode, proxy.rollout, proxy.publish.mode), (Mode::Replicated, RolloutStrategy::Live, PublishMode::Ingress));
    assert_eq!((proxy.publish.http.published.get(), proxy.publish.https.map(|port| port.published.get())), (80, Some(443)));
    assert_eq!((proxy.replicas, &proxy.stop_signal, proxy.stop_grace_period, &proxy.workload.env), (None, &None, None, &None));
    assert_eq!(cluster.settings, crate::route::EngineSettings::default());
}

#[test]
fn numbers_become_strings_where_the_field_is_a_string() {
    let text = document(
        "a",
        "    env: {PORT: 8080, VERSION: 1.10, DEBUG: true}\n    resources: {limits: {cpus: 0.50, memory: 67108864}}\n    replicas: 2.0\n",
    );
    let declaration = read(&[&text]);
    assert_eq!(declaration.findings, []);
    let proxy = &declaration.valid().next().expect("a cluster").proxy;
    let env: Vec<_> = proxy.workload.env.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["DEBUG=true", "PORT=8080", "VERSION=1.10"]);
    let limits = proxy.workload.resources.as_ref().expect("resources").limits.clone();
    assert_eq!((limits.nano_cpus, limits.memory_bytes, proxy.replicas), (Some(500_000_000), Some(64 << 20), Some(2)));
}

#[test]
fn the_default_limit_of_a_team_is_three_quarters_of_the_limit_of_the_cluster() {
    let share = |limits: &str| {
        let text = document("a", "").replace("  engine: nginx\n", &format!("  engine: nginx\n  limits: {limits}\n"));
        let declaration = read(&[&text]);
        assert_eq!(declaration.findings, [], "{text}");
        let team = declaration.valid().next().expect("a cluster").limits.team;
        (team.routes, team.locations, team.bytes)
    };
    assert_eq!(share("{}"), (7_500, 37_500, 12 << 20));
    assert_eq!(share("{cluster: {routes: 20000, bytes: 32m}}"), (15_000, 37_500, 24 << 20));
    assert_eq!(share("{cluster: {routes: 20000}, team: {routes: 100, bytes: 1m}}"), (100, 37_500, 1 << 20));
}

#[test]
fn a_broken_document_keeps_its_name_and_does_not_affect_others() {
    let declaration = read(&[&format!("{}---\n{}", document("a", "    mode: everywhere\n"), document("b", "")), &document("c", "")]);
    assert_eq!(declared(&declaration), ["-a", "+b", "+c"]);
    assert!(!declaration.incomplete);
    assert_eq!(errors(&declaration), [(FindingCode::InvalidValue, "spec.proxy.mode".to_owned())]);
    assert!(declaration.findings.iter().any(|finding| finding.subject == Subject::Document("0.yaml:13".to_owned())));
}

#[test]
fn a_document_without_a_readable_name_makes_the_declaration_incomplete() {
    let good = document("a", "");
    let hiding = [
        document("b", "   wrong: [\n"),
        document("B_1", ""),
        "apiVersion: swarmgate/v1\nkind: ServiceCluster\n".to_owned(),
        // Two documents whose separator is missing.
        format!("{}{}", document("b", ""), document("c", "")),
        String::new(),
        "x".repeat(FILE_BYTES_MAX + 1),
    ];
    for text in &hiding {
        let declaration = read(&[&good, text]);
        assert!(declaration.incomplete, "{text:.200}");
        assert!(declared(&declaration).contains(&"+a".to_owned()), "{text:.200}");
    }
    assert!(
        read_documents(&[SourceFile::new("a", good.clone()), SourceFile::unreadable("b", UnreadableFile::Missing("gone".to_owned()))])
            .incomplete
    );
    assert!(!read(&[&good]).incomplete);
}

#[test]
fn the_remedy_for_a_file_without_text_depends_on_the_reason() {
    let found = |why: UnreadableFile| read_documents(&[SourceFile::unreadable("a", why)]).findings.remove(0);
    let why = || "why".to_owned();
    let missing = found(UnreadableFile::Missing(why()));
    assert_eq!(
        (missing.message.as_str(), missing.remedy.as_str()),
        ("the file cannot be read: why", "Correct the path, or create the file.")
    );
    let empty = found(UnreadableFile::EmptyFolder(why()));
    assert_eq!(empty.message, "why");
    assert!(empty.remedy.starts_with("Add a *.yaml or *.yml file"), "{}", empty.remedy);
    assert_eq!(found(UnreadableFile::NotText(why())).remedy, "Save the file as UTF-8 text.");
    assert!(found(UnreadableFile::Other(why())).remedy.contains("permissions"));
}

#[test]
fn a_name_before_a_syntax_error_is_known() {
    let declaration = read(&[&document("a", "   wrong: [\n")]);
    assert_eq!(declared(&declaration), ["-a"]);
    assert_eq!(errors(&declaration), [(FindingCode::UnreadableDocument, String::new())]);
}

#[test]
fn conflicting_documents_are_both_broken_in_any_order() {
    let (a, b) = (document("a", ""), document("b", "").replace("serviceCluster: b", "serviceCluster: a"));
    let c = document("c", "");
    for files in [[&a, &b, &c], [&c, &b, &a]] {
        assert_eq!(declared(&read(&[files[0], files[1], files[2]])), ["-a", "-b", "+c"]);
    }
    assert_eq!(declared(&read(&[&a, &a])), ["-a"], "the same name twice is one broken cluster");
}

#[test]
fn extension_and_proxy_of_a_document_must_have_different_service_names() {
    let text = document("a", "    serviceName: same\n").replace("image: e:1", "image: e:1\n    serviceName: same");
    let fields = errors(&read(&[&text])).into_iter().map(|(_, field)| field).collect::<Vec<_>>();
    assert_eq!(fields, ["spec.extension.serviceName", "spec.proxy.serviceName"]);
}

#[test]
fn schema_mistakes_and_conflicting_fields_are_reported_together() {
    let text = document("a", "    mode: global\n    replicas: 2\n    stop_signal: SIGTERM\n    stopGracePeriod: 10\n");
    let expected = [
        (FindingCode::ImpossibleCombination, "spec.proxy.replicas"),
        (FindingCode::UnknownField, "spec.proxy.stop_signal"),
        (FindingCode::InvalidValue, "spec.proxy.stopGracePeriod"),
    ];
    assert_eq!(errors(&read(&[&text])), expected.map(|(code, field)| (code, field.to_owned())));
}

#[test]
fn a_document_with_thousands_of_mistakes_reports_at_most_a_hundred() {
    let fields = (0..5000).map(|n| format!("    x{n}: 1\n")).collect::<Vec<_>>().concat();
    let declaration = read(&[&document("a", &fields)]);
    assert_eq!(declaration.findings.len(), 101);
    assert!(declaration.findings[100].message.contains("4900"));
}

/// Valid documents with a piece removed, duplicated or replaced: typical editing mistakes.
fn damaged() -> impl Strategy<Value = String> {
    let text =
        document("a", "    env: {A: &x 1, B: *x}\n    constraints: [\"node.role==worker\"]\n    update: {order: stop-first, delay: 1s}\n");
    let piece = prop_oneof!["[\\[\\]{}:,&*!|>'\"%@`#~ \n\t-]{0,4}", "[a-z0-9]{0,6}", any::<String>()];
    (0..=text.len(), 0..40_usize, piece).prop_map(move |(start, cut, piece)| {
        let end = (start + cut).min(text.len());
        format!("{}{piece}{}", &text[..start], &text[end..])
    })
}

#[test]
fn a_broken_document_still_declares_its_label_value() {
    let check = |text: &str, expected: Option<&str>| match &read(&[text]).all().collect::<Vec<&ClusterDocument>>()[..] {
        [ClusterDocument::Broken { label, .. }] => assert_eq!(label.as_deref(), expected, "{text}"),
        other => panic!("{other:?}"),
    };
    let broken = document("a", "    replicas: many\n");
    check(&broken, Some("a"));
    check(&broken.replace("  serviceCluster: a\n", ""), Some(""));
    check(&broken.replace("serviceCluster: a", "serviceCluster: [a]"), None);
    check(&format!("{broken}    env: {{A: \n"), Some("a"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_deterministically(text in prop_oneof![damaged(), any::<String>(), "[\\[\\]{}:,&*!|>'\"%@`#~ \\na-c-]{0,60}"]) {
        let first = read(&[&text]);
        prop_assert_eq!(&first, &read(&[&text]));
        let broken = first.objects.values().any(|object| !object.is_valid());
        prop_assert!(!(broken || first.incomplete) || !first.findings.is_empty(), "a broken or incomplete declaration has a finding");
        prop_assert!(first.findings.iter().all(|finding| finding.value.as_ref().is_none_or(|value| value.chars().count() <= 121)));
    }

    #[test]
    fn a_document_next_to_any_text_stays_valid_unless_they_conflict(text in damaged()) {
        let other = document("z", "").replace("80, target", "81, target");
        let declaration = read(&[&text, &other]);
        let contradicted = declaration.findings.iter().any(|finding| finding.code == FindingCode::DuplicateDeclaration && finding.severity == Severity::Error);
        prop_assert!(contradicted || declared(&declaration).contains(&"+z".to_owned()));
    }
}
