//! Explanations as users read them: each folder of `tests/explain` holds a Swarm, optionally a spec, and questions together
//! with their answers. `BLESS=1 cargo test --test explain` rewrites the answers; a reviewer then reads the changes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its case has failed")]

#[path = "golden/cases.rs"]
mod golden_cases;
#[path = "golden/compact_swarm.rs"]
mod golden_compact;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use golden_cases::GoldenCase;
use swarmgate::explain::{Request, RequestSource, Sources, configuration, explain, explain_service};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::report::{Finding, FindingCode, StatusReport};
use swarmgate::swarm::{RawSnapshot, Snapshot};
use swarmgate::translate::translate;

/// Replaces the files of a case that has no spec of its own.
const DEFAULT_SPEC: &str = "tests/golden/default-spec.yaml";
/// With fewer cases, the tests are looking in the wrong place.
const CASES_MIN: usize = 8;

fn cases() -> Vec<GoldenCase> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= CASES_MIN, "only {} cases were found", folders.len());
    folders.into_iter().map(|folder| GoldenCase { name: folder.file_name().unwrap().to_string_lossy().into_owned(), folder }).collect()
}

/// Every question with its answer and exit code. A question is a URL with options, or `--service NAME`.
fn answers(case: &GoldenCase) -> String {
    let (clusters, findings) = case.clusters();
    assert!(!clusters.is_empty(), "{}: {findings:?}", case.name);
    let snapshot = case.snapshot();
    let status: Option<StatusReport> =
        fs::read_to_string(case.folder.join("status.json")).ok().map(|text| serde_json::from_str(&text).expect("a status report"));
    let sources =
        Sources { clusters: &clusters, inactive: &InactiveClusters::default(), snapshot: &snapshot, held: &[], status: status.as_ref() };
    let questions = fs::read_to_string(case.folder.join("questions.txt")).expect("a case has questions");
    let commands = questions.lines().filter(|line| !line.is_empty());
    commands.map(|line| format!("$ swarmgate explain {line}\n{}\n", answer(&sources, line))).collect::<Vec<_>>().concat()
}

fn answer(sources: &Sources<'_>, question: &str) -> String {
    let args = shell_words::split(question).expect("a question is written for a shell");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (explanation, reached) = match args[..] {
        ["--service", name] => match explain_service(sources, name) {
            Ok(explanation) => (explanation.to_string(), explanation.served),
            Err(unknown) => (unknown.to_string(), false),
        },
        [url, ref rest @ ..] => {
            let options: Vec<(&str, &str)> = rest.chunks(2).map(|option| (option[0], option[1])).collect();
            let all = |name: &str| options.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value).collect::<Vec<_>>();
            let one = |name: &str| all(name).first().copied();
            let sent =
                RequestSource::parse(one("--from"), Some(&all("--header").join("\n")), one("--proxy-protocol")).expect("a connection");
            let request = Request::parse(url).expect("a question is a URL").with_source(sent);
            match explain(sources, &request, one("--cluster")) {
                Ok(explanation) => (explanation.to_string(), explanation.reached),
                Err(unknown) => (unknown.to_string(), false),
            }
        }
        [] => (String::new(), false),
    };
    format!("{}\n(exit code {})\n", explanation.trim_end(), u8::from(!reached))
}

#[test]
fn every_request_gets_exactly_its_expected_explanation() {
    for case in cases() {
        let path = case.folder.join("answers.txt");
        let given = answers(&case);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &given).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let diff = similar::TextDiff::from_lines(expected.as_str(), given.as_str());
        assert!(
            expected == given,
            "case {}:\n{}\nBLESS=1 cargo test --test explain writes what is given now",
            case.name,
            diff.unified_diff()
        );
    }
}

#[test]
fn redacting_a_snapshot_changes_no_explanation() {
    // Together these cases contain every kind of object on which a route can depend.
    for case in cases().into_iter().chain(golden_cases::all_cases()) {
        let (clusters, _) = case.clusters();
        let compact = golden_compact::yaml(&fs::read_to_string(case.folder.join("swarm.yaml")).unwrap());
        let raw: RawSnapshot = serde_json::from_value(golden_compact::expand(&compact)).unwrap();
        let shown = Snapshot::from_raw(&raw.shareable(&clusters.iter().flat_map(Cluster::named_objects).collect())).unwrap();
        for cluster in &clusters {
            let answers = |snapshot: &Snapshot| {
                let mut translation = translate(cluster, snapshot);
                translation.findings = translation.findings.into_iter().filter_map(without_hints).collect();
                translation
            };
            assert_eq!(answers(&shown), answers(&case.snapshot()), "{}", case.name);
        }
    }
}

/// Removes hints about objects that no label names: services that use another proxy's labels, and the object that was probably
/// meant. They do not affect routes.
fn without_hints(mut finding: Finding) -> Option<Finding> {
    if let Some(("Did you mean", rest)) = finding.remedy.split_at_checked("Did you mean".len())
        && finding.code == FindingCode::SecretNotFound
    {
        finding.remedy = rest.split_once("Otherwise ").map(|(_, rest)| rest.replacen("create", "Create", 1))?;
    }
    (!matches!(finding.code, FindingCode::OtherProxyLabels | FindingCode::LabelOnContainer)).then_some(finding)
}

/// The only property of a service without labels on which a route depends: it publishes the same port on its nodes.
#[test]
fn a_contested_port_is_explained_without_naming_the_other_service() {
    let swarm = |port: u16| {
        let text = format!(
            "nodes: [{{name: n1, address: 192.0.2.1}}]\nservices:\n  - {{name: web, labels: {{hosts: web.example.org, port: 80}}, hostPorts: [{{target: 80, published: 8000}}], tasks: [{{node: n1, hostPorts: [8000]}}]}}\n  \
             - {{name: foreign, hostPorts: [{{target: 80, published: {port}}}], tasks: 1}}\n"
        );
        serde_json::from_value::<RawSnapshot>(golden_compact::expand(&golden_compact::yaml(&text))).unwrap()
    };
    let cluster = GoldenCase::named("no-services").clusters().0.remove(0);
    let routes = |raw: &RawSnapshot| translate(&cluster, &Snapshot::from_raw(raw).unwrap()).table;
    for port in [8000, 9000] {
        let shown = swarm(port).shareable(&std::collections::BTreeSet::new());
        assert!(!serde_json::to_string(&shown).unwrap().contains("foreign"));
        assert_eq!(routes(&shown), routes(&swarm(port)));
    }
    assert_ne!(routes(&swarm(8000)), routes(&swarm(9000)), "the port matters");
}

/// The configuration as a running operator reports it, without invalid certificates and refused routes.
#[test]
fn a_running_operator_renders_the_configuration_its_proxies_receive() {
    let case = cases().into_iter().find(|case| case.name == "running").unwrap();
    let (clusters, snapshot) = (case.clusters().0, case.snapshot());
    let status: StatusReport = serde_json::from_str(&fs::read_to_string(case.folder.join("status.json")).unwrap()).unwrap();
    let files = |status| {
        let files = configuration(
            &Sources { clusters: &clusters, inactive: &InactiveClusters::default(), snapshot: &snapshot, held: &[], status },
            None,
            None,
        )
        .unwrap()
        .files;
        let by_tls = |host: &str| files.iter().any(|(name, text)| name.starts_with("host-") && text.contains(host));
        (by_tls("bad.example.org"), by_tls("good.example.org"), files["nginx.conf"].contains("upstream up-refused.example.org"))
    };
    assert_eq!(files(None), (true, true, true), "without an operator, quarantined routes are unknown");
    assert_eq!(files(Some(&status)), (false, true, false));
}

/// Runs the program on a case's files; returns its exit code and output.
fn run(case: &GoldenCase, args: &[&str]) -> (i32, String) {
    let own = case.folder.join("spec.yaml");
    let spec = if own.exists() { own } else { Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT_SPEC) };
    run_with(case, &spec, args)
}

fn run_with(case: &GoldenCase, spec: &Path, args: &[&str]) -> (i32, String) {
    let compact = golden_compact::yaml(&fs::read_to_string(case.folder.join("swarm.yaml")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("snapshot.json");
    fs::write(&snapshot, golden_compact::expand(&compact).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmgate"));
    command.args(args).arg("--spec").arg(spec).arg("--snapshot").arg(snapshot);
    let output = command.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), printed)
}

fn check(case: &str, args: &[&str], code: i32, printed: &str) {
    let case = cases().into_iter().find(|found| found.name == case).unwrap();
    let (got, text) = run(&case, args);
    assert!(got == code && text.contains(printed), "{args:?} gives {got}:\n{text}");
}

#[test]
fn the_command_explains_files_and_its_exit_code_shows_the_outcome() {
    check("routes", &["explain", "http://shop.example.org/cart"], 0, "=> shop or shop_next answers and receives /cart");
    check("routes", &["explain", "http://other.example.org/elsewhere"], 1, "=> 404: *.example.org is published only at /app");
    check("routes", &["explain", "ftp://shop.example.org/"], 2, "use a URL such as http://app.example.org/path");
    check("routes", &["explain"], 2, "<URL|--service <SERVICE>>");
    check("routes", &["explain", "http://x/", "--service", "y"], 2, "cannot be used with");
    check("routes", &["explain", "--service", "shop"], 0, "com.docker.lb.weight = 90");
    check("routes", &["explain", "--service", "shpo"], 1, "did you mean shop?");
    check("routes", &["explain", "--output", "json", "http://shop.example.org/"], 0, "\"reached\": true");
    check("clusters", &["explain", "http://app.example.org/", "--cluster", "pord"], 1, "did you mean prod?");
}

#[test]
fn a_service_of_a_broken_document_is_not_explained_as_one_without_a_cluster() {
    let case = cases().into_iter().find(|found| found.name == "clusters").unwrap();
    let valid = fs::read_to_string(case.folder.join("spec.yaml")).unwrap();
    let broken = valid.replace("published: 8082", "published: many");
    assert_ne!(broken, valid);
    let spec = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(spec.path(), broken).unwrap();
    let (code, text) = run_with(&case, spec.path(), &["explain", "--service", "dev_app"]);
    assert_eq!(code, 1, "{text}");
    for expected in ["none: the document of dev is invalid", "ClusterNotInForce"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("UnknownServiceCluster"), "{text}");
}

#[test]
fn the_command_prints_the_configuration_of_a_cluster() {
    check("routes", &["render"], 0, "server_name shop.example.org;");
    check("routes", &["render", "--purpose", "boot"], 0, "server tasks.shop.");
    check("clusters", &["render"], 2, "select one with --cluster NAME (in a URL: cluster=NAME); the declared clusters are dev and prod");
    check("clusters", &["render", "--cluster", "dev"], 0, "server_name dev.example.org;");
    check("tls", &["render"], 0, "# --- host-");
    check("template", &["render"], 0, "http { return 503; }");
    check("template-fails", &["render"], 1, "cluster default has no configuration: the template fails in its line 2");
}
