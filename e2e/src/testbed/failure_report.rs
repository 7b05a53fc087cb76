//! Everything a person needs to see when a case fails: Swarmgate's status, services, tasks, logs. It must never fail itself: if
//! something cannot be read, the report says so.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use super::Testbed;
use crate::command::{LIMIT, end_within};

/// Enough of a log to show what happened last.
const LOG_LINES: u32 = 200;

/// Enough time for all the logs of a service that are available.
const LOG_SECONDS: &str = "10";

/// The state of a testbed as text.
pub fn report(testbed: &Testbed) -> String {
    let mut text = String::new();
    let mut section = |title: &str, content: Result<String>| {
        let content = content.unwrap_or_else(|reason| format!("(not to be had: {reason:#})"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "---- {title}\n{}", content.trim_end());
    };
    section("lab", Ok(testbed.lab.status().join("\n")));
    if let Some(trouble) = testbed.shim.trouble() {
        section("VIP shim", Ok(trouble));
    }
    section("swarmgate status", testbed.status().and_then(|status| Ok(serde_json::to_string_pretty(&status)?)));
    section("nodes", testbed.docker(&["node", "ls"]));
    for k in (1..=testbed.lab.nodes()).filter(|k| testbed.lab.is_on(*k)) {
        section(&format!("published ports of node{k}"), testbed.lab.published_ports(k));
    }
    section("services", testbed.docker(&["service", "ls"]));
    for name in services(testbed) {
        section(&format!("tasks of {name}"), testbed.docker(&["service", "ps", "--no-trunc", "--format", TASK_LINE, &name]));
        if is_ours(&name) {
            section(&format!("log of {name}"), testbed.log(&name, LOG_LINES));
        }
    }
    text
}

impl Testbed {
    /// The last lines of each task of a service, both streams: programs write logs to standard error, and the Docker command
    /// line passes them on there.
    pub fn log(&self, service: &str, lines: u32) -> Result<String> {
        let socket = format!("unix://{}", self.lab.socket(self.manager()?).display());
        // The command waits forever for the logs of lost nodes.
        let mut command = Command::new("timeout");
        command.args([LOG_SECONDS, "docker", "-H", &socket, "service", "logs", "--raw", "--tail", &lines.to_string(), service]);
        let ended = end_within(&mut command, LIMIT)?;
        Ok(ended.output + &ended.complaint)
    }
}

const TASK_LINE: &str = "{{.Name}} {{.Image}} {{.Node}} {{.DesiredState}} | {{.CurrentState}} | {{.Error}}";

fn services(testbed: &Testbed) -> Vec<String> {
    let names = testbed.docker(&["service", "ls", "--format", "{{.Name}}"]).unwrap_or_default();
    names.lines().map(str::to_owned).collect()
}

fn is_ours(name: &str) -> bool {
    ["operator", "extension", "proxy"].iter().any(|part| name.contains(part))
}
