//! The Autobahn test suite against an echo application, directly and through a proxy: a proxy must change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Ingress;
use crate::command::finish;
use crate::testbed::{Socket, Testbed};
use crate::wait::eventually;

/// Where the application answers without a proxy.
const DIRECT: u16 = 9091;
/// Message compression is an extension that the echo application does not support.
const LEFT_OUT: [&str; 2] = ["12.*", "13.*"];

/// Runs the suite's client (`wstest`), which writes its reports below `state`, and prints the count of each verdict and the
/// cases whose verdicts differ.
pub fn websockets(testbed: &Testbed, ingress: &Ingress, wstest: &Path, state: &Path) -> Result<()> {
    let publish = format!("mode=host,published={DIRECT},target=8080");
    // Any host, because the suite sends the address as the host.
    let labels = ["--label", "com.docker.lb.default_backend=true", "--label", "com.docker.lb.port=8080"];
    let rest = ["--network", "measured", "--publish", &publish, "--constraint", "node.hostname==node1", "demo-app:v1"];
    testbed.create("autobahn", &[&labels[..], &rest[..]].concat())?;
    let agents = [("direct", testbed.at(1, DIRECT)), ("proxied", ingress.address(testbed))];
    for (name, address) in &agents {
        eventually(Duration::from_secs(60), name, || Socket::open(address, address, "/ws")?.echoes("ready"))?;
    }
    let reports = state.join("autobahn");
    fs::create_dir_all(&reports)?;
    let servers: Vec<_> = agents.iter().map(|(name, address)| json!({ "agent": name, "url": format!("ws://{address}/ws") })).collect();
    let plan = json!({ "outdir": reports, "servers": servers, "cases": ["*"], "exclude-cases": LEFT_OUT, "exclude-agent-cases": {} });
    fs::write(reports.join("plan.json"), plan.to_string())?;
    finish(Command::new(wstest).args(["-m", "fuzzingclient", "-s"]).arg(reports.join("plan.json")))?;
    let index = fs::read_to_string(reports.join("index.json")).context("read the suite's results")?;
    compare(&serde_json::from_str(&index)?);
    Ok(())
}

fn compare(index: &Value) {
    let verdicts = |agent: &str| -> BTreeMap<String, String> {
        let cases = index[agent].as_object().into_iter().flatten();
        let verdict =
            |about: &Value| [&about["behavior"], &about["behaviorClose"]].map(|part| part.as_str().unwrap_or("?")).join(", end: ");
        cases.map(|(case, about)| (case.clone(), verdict(about))).collect()
    };
    let (direct, proxied) = (verdicts("direct"), verdicts("proxied"));
    for (agent, verdicts) in [("direct", &direct), ("proxied", &proxied)] {
        let mut counts = BTreeMap::<_, u32>::new();
        for verdict in verdicts.values() {
            *counts.entry(verdict).or_default() += 1;
        }
        println!("{agent}: {} cases: {counts:?}", verdicts.len());
    }
    for (case, verdict) in direct.iter().filter(|(case, verdict)| proxied.get(*case) != Some(verdict)) {
        println!("case {case} differs: {verdict} directly, {:?} through the proxy", proxied.get(case));
    }
}
