//! Computes the outputs of golden cases. To add an output, add it to [`outputs`]: because that is a map of file names,
//! comparing and blessing need no change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use swarmgate::intent::cluster::Cluster;
use swarmgate::intent::inactive_clusters::InactiveClusters;
use swarmgate::plan::Plan;
use swarmgate::render::{ConfigPurpose, render};
use swarmgate::report::{Finding, Subject};
use swarmgate::route::{EngineSettings, RouteTable};
use swarmgate::swarm::Snapshot;
use swarmgate::translate::{Translation, node_addresses, translate, unclaimed};

use crate::golden_cases::{COMMON, GoldenCase, INPUTS, read_snapshot};
use crate::golden_elided::elided;
use crate::golden_fleet::{add_standing_fleet, plan_for};
use crate::golden_json::json as written;

/// Only cases whose folder already contains this file have this output. In all others it would repeat `nginx.conf` with names
/// in place of addresses.
const BOOT_CONFIG: &str = "boot.nginx.conf";

/// The names of the outputs in the folder.
pub fn files(case: &GoldenCase) -> Vec<String> {
    let entries = fs::read_dir(&case.folder).expect("a case can be read").map(|entry| entry.expect("an entry can be read"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !INPUTS.contains(&name.as_str())).collect()
}

/// Every output by file name. If there are several clusters, each name includes its cluster.
pub fn outputs(case: &GoldenCase) -> BTreeMap<String, String> {
    let (clusters, findings) = case.clusters();
    let snapshot = snapshot_with_fleet(case);
    let common = &*COMMON_OUTPUTS;
    let wanted = files(case);
    let mut outputs = BTreeMap::new();
    let mut findings_text = String::new();
    for cluster in &clusters {
        let name = |file: &str| if clusters.len() == 1 { file.to_owned() } else { format!("{}.{file}", cluster.name) };
        let translation = translate(cluster, &snapshot);
        write_findings(&mut findings_text, &format!("cluster {}", cluster.name), &translation.findings);
        let plan = plan_for(cluster, &snapshot);
        let changes = case.before().is_some();
        outputs.insert(name("routes.json"), written(&routes(&translation.table)));
        outputs.insert(name("status.json"), written(&status(&translation, &plan, &snapshot)));
        let (shown, whole) = (|text: &str, common: &str, sign| elided(text, common, sign), case.name == COMMON);
        for (file, purpose, common) in [("nginx.conf", ConfigPurpose::Live, &common.live), (BOOT_CONFIG, ConfigPurpose::Boot, &common.boot)]
        {
            let text = config(&translation.table, purpose);
            if file != BOOT_CONFIG || wanted.contains(&name(file)) {
                outputs.insert(name(file), if whole { text } else { shown(&text, common, "#") });
            }
        }
        let plan = plan_text(&plan, &snapshot);
        let usual = common.plan.replace(COMMON_CLUSTER, cluster.name.as_str());
        outputs.insert(name("plan.txt"), if whole || changes { plan } else { shown(&plan, &usual, "  #") });
    }
    write_findings(&mut findings_text, "documents", &findings);
    write_findings(&mut findings_text, "no cluster", &unclaimed(&clusters, &InactiveClusters::default(), &snapshot));
    write_findings(&mut findings_text, "nodes", &node_addresses(&snapshot));
    outputs.insert("findings.txt".to_owned(), findings_text);
    outputs
}

/// The case's Swarm. In a case about a change, it includes the existing fleet.
fn snapshot_with_fleet(case: &GoldenCase) -> Snapshot {
    let mut raw = case.raw();
    if let Some((clusters, before)) = case.before() {
        add_standing_fleet(&mut raw, &clusters, &before);
    }
    read_snapshot(&raw)
}

/// The name of the cluster in the common case; its outputs apply to a cluster of any name.
const COMMON_CLUSTER: &str = "default";
static COMMON_OUTPUTS: LazyLock<Common> = LazyLock::new(Common::new);

/// What every case has in common: the outputs of the case without services.
struct Common {
    live: String,
    boot: String,
    plan: String,
}

impl Common {
    fn new() -> Self {
        let case = GoldenCase::named(COMMON);
        let (clusters, snapshot) = (case.clusters().0, case.snapshot());
        let cluster: &Cluster = clusters.first().expect("the common case has a cluster");
        let table = translate(cluster, &snapshot).table;
        let plan = plan_text(&plan_for(cluster, &snapshot), &snapshot);
        Self { live: config(&table, ConfigPurpose::Live), boot: config(&table, ConfigPurpose::Boot), plan }
    }
}

/// The table, without settings that equal the defaults.
fn routes(table: &RouteTable) -> Value {
    let mut value = serde_json::to_value(table).expect("a table is JSON");
    let defaults = serde_json::to_value(EngineSettings::default()).expect("settings are JSON");
    let settings = value["settings"].as_object_mut().expect("a table has settings");
    settings.retain(|name, stated| defaults[name.as_str()] != *stated);
    value
}

/// The part of the status that follows from declarations and the Swarm. Other tests cover what runs where.
fn status(translation: &Translation, plan: &Plan, snapshot: &Snapshot) -> Value {
    let name = |id| snapshot.networks.get(id).map_or_else(String::new, |network| network.name.clone());
    let networks: Vec<_> = translation.networks.iter().map(name).collect();
    json!({"networks": networks, "routes": translation.routes, "waiting": plan.waiting})
}

/// The configuration without the version, which changes with every release.
fn config(table: &RouteTable, purpose: ConfigPurpose) -> String {
    let ours = concat!("swarmgate/", env!("CARGO_PKG_VERSION"));
    let bundle = render(table, purpose);
    let main_file = table.engine.main_file();
    let others = bundle.files.iter().filter(|(name, _)| *name != main_file);
    let others = others.map(|(name, text)| format!("# --- {name}\n{text}"));
    std::iter::once(bundle.files[main_file].clone()).chain(others).collect::<String>().replace(ours, "swarmgate/VERSION")
}

/// The plan without what changes with every configuration: digests in names, sizes, and state stored in labels.
fn plan_text(plan: &Plan, snapshot: &Snapshot) -> String {
    let known = snapshot.configs.values().map(|config| (config.name.as_str(), "DIGEST-BEFORE"));
    let named = plan.steps.iter().map(|step| (step.name(), "DIGEST")).chain(known);
    let configs = named.filter(|(name, _)| name.starts_with("swarmgate-boot-") || name.starts_with("swarmgate-live-"));
    let text = configs.fold(plan.to_string(), |text, (name, word)| {
        let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
        text.replace(name, &format!("{stem}-{word}"))
    });
    text.lines().filter(|line| !line.contains("Labels.swarmgate.managed")).map(|line| without_size(line).to_owned() + "\n").collect()
}

fn without_size(line: &str) -> &str {
    line.rsplit_once(" (").filter(|(_, rest)| rest.ends_with(" bytes)")).map_or(line, |(line, _)| line)
}

fn write_findings(text: &mut String, about: &str, findings: &[Finding]) {
    for finding in findings {
        let subject = match &finding.subject {
            Subject::Service(name) => format!("service {name}"),
            Subject::Document(name) => format!("document {name}"),
            Subject::Cluster(name) => format!("cluster {name}"),
            Subject::Object(name) => format!("object {name}"),
        };
        writeln!(text, "{about}: {:?} {}: {subject}", finding.severity, finding.code.as_str()).expect("text grows");
        if let Some(field) = &finding.field {
            let value = finding.value.as_ref().map_or_else(String::new, |value| format!(" = {value:?}"));
            writeln!(text, "    {field}{value}").expect("text grows");
        }
        writeln!(text, "    {}\n    -> {}", finding.message, finding.remedy).expect("text grows");
    }
}
