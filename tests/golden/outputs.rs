//! Computes the outputs of golden cases. To add one, add it to [`outputs`]: a map of file names, so that comparing and
//! blessing need not know it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use swarmgate::render::{CONFIG_FILE, Purpose, render};
use swarmgate::report::{EndpointState, Finding, RouteReport, Subject};
use swarmgate::route::{EngineSettings, RouteTable};
use swarmgate::translate::{Translation, node_addresses, translate, unclaimed};

use crate::golden_cases::{Case, INPUTS};

/// The names of the outputs that the folder holds.
pub fn files(case: &Case) -> Vec<String> {
    let entries = fs::read_dir(&case.folder).expect("a case can be read").map(|entry| entry.expect("an entry can be read"));
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !INPUTS.contains(&name.as_str())).collect()
}

/// Every output, by file name. With several clusters each name carries its cluster.
pub fn outputs(case: &Case) -> BTreeMap<String, String> {
    let (clusters, findings) = case.clusters();
    let snapshot = case.snapshot();
    let mut outputs = BTreeMap::new();
    let mut told = String::new();
    for cluster in &clusters {
        let prefix = if clusters.len() == 1 { String::new() } else { format!("{}.", cluster.name) };
        let translation = translate(cluster, &snapshot);
        tell_findings(&mut told, &format!("cluster {}", cluster.name), &translation.findings);
        outputs.insert(format!("{prefix}routes.json"), routes(&translation.table));
        outputs.insert(format!("{prefix}report.txt"), report(&translation));
        outputs.insert(format!("{prefix}nginx.conf"), config(&translation.table, Purpose::Live));
        outputs.insert(format!("{prefix}boot.nginx.conf"), config(&translation.table, Purpose::Boot));
    }
    tell_findings(&mut told, "documents", &findings);
    tell_findings(&mut told, "no cluster", &unclaimed(&clusters, &[], false, &snapshot));
    tell_findings(&mut told, "nodes", &node_addresses(&snapshot));
    outputs.insert("findings.txt".to_owned(), told);
    outputs
}

/// The table, without settings that say what the defaults say.
fn routes(table: &RouteTable) -> String {
    let mut value = serde_json::to_value(table).expect("a table is JSON");
    let defaults = serde_json::to_value(EngineSettings::default()).expect("settings are JSON");
    let settings = value["settings"].as_object_mut().expect("a table has settings");
    settings.retain(|name, stated| defaults[name.as_str()] != *stated);
    serde_json::to_string_pretty(&value).expect("a table is JSON") + "\n"
}

/// The configuration, without the version that every release changes.
fn config(table: &RouteTable, purpose: Purpose) -> String {
    let ours = concat!("swarmgate/", env!("CARGO_PKG_VERSION"));
    render(table, purpose).files[CONFIG_FILE].replace(ours, "swarmgate/VERSION")
}

fn report(translation: &Translation) -> String {
    let mut text = String::new();
    let networks: Vec<_> = translation.networks.iter().map(ToString::to_string).collect();
    writeln!(text, "networks: {}", networks.join(" ")).expect("text grows");
    translation.routes.iter().for_each(|route| tell_route(&mut text, route));
    text
}

fn tell_route(text: &mut String, route: &RouteReport) {
    let reason = route.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    writeln!(text, "{} {} {:?}{reason}", route.host, route.path, route.state).expect("text grows");
    for service in &route.services {
        writeln!(text, "  {}", service.service).expect("text grows");
        for endpoint in &service.endpoints {
            let state = if endpoint.state == EndpointState::Active { "active" } else { "excluded" };
            let parts = [state, &endpoint.address, &endpoint.task, endpoint.node.as_deref().unwrap_or("-")];
            let said = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
            let reason = endpoint.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            writeln!(text, "    {said}{reason}").expect("text grows");
        }
    }
}

fn tell_findings(text: &mut String, about: &str, findings: &[Finding]) {
    for finding in findings {
        let subject = match &finding.subject {
            Subject::Service(name) => format!("service {name}"),
            Subject::Document(name) => format!("document {name}"),
            Subject::Cluster(name) => format!("cluster {name}"),
            Subject::Object(name) => format!("object {name}"),
        };
        writeln!(text, "{about}: {:?} {}: {subject}", finding.severity, finding.code.as_str()).expect("text grows");
        if let Some(field) = &finding.field {
            writeln!(text, "    {field} = {:?}", finding.value.as_deref().unwrap_or_default()).expect("text grows");
        }
        writeln!(text, "    {}\n    -> {}", finding.message, finding.remedy).expect("text grows");
    }
}
