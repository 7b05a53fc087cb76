//! The services that a script creates with `docker service create`, or with a stack file in a loop. Reads the commands without
//! running them.

use serde_json::{Map, Value, json};

use crate::stack_file;

/// Options of `docker service create` that take no value.
const SWITCHES: [&str; 9] = ["-d", "--detach", "-q", "--quiet", "-t", "--tty", "--init", "--read-only", "--with-registry-auth"];

/// One Swarm with all services, and one per stack.
pub fn read(script: &str) -> Vec<Value> {
    let script = script.replace("\\\n", " ");
    let created: Vec<Value> = script.lines().filter_map(created).collect();
    let mut networks: Vec<&str> =
        created.iter().flat_map(|service| service["networks"].as_array().unwrap()).filter_map(Value::as_str).collect();
    networks.sort_unstable();
    networks.dedup();
    let plain = json!({"nodes": [{"name": "n1", "address": "192.0.2.1"}], "networks": networks, "services": created});
    stacks(&script).into_iter().chain((!created.is_empty()).then_some(plain)).collect()
}

fn created(line: &str) -> Option<Value> {
    let command = line.trim().strip_prefix("docker service create")?;
    let words = shell_words::split(command).expect("a command that a shell would read");
    let mut service = json!({"tasks": 1, "networks": [], "hostPorts": [], "labels": {}});
    let mut words = words.into_iter();
    while let Some(word) = words.next().filter(|word| word.starts_with('-')) {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option.to_owned(), value.to_owned()),
            _ if SWITCHES.contains(&word.as_str()) => continue,
            _ => (word, words.next().unwrap_or_default()),
        };
        apply(&mut service, &option, &value);
    }
    Some(service)
}

fn apply(service: &mut Value, option: &str, value: &str) {
    match option {
        "--name" => service["name"] = value.into(),
        "--replicas" => service["tasks"] = value.parse::<u64>().expect("a number of replicas").into(),
        "--network" => service["networks"].as_array_mut().unwrap().push(value.into()),
        "--endpoint-mode" => service["dnsrr"] = (value == "dnsrr").into(),
        "--label" | "-l" => {
            let (key, value) = value.split_once('=').unwrap_or((value, ""));
            service["labels"].as_object_mut().unwrap().insert(key.to_owned(), value.into());
        }
        "--publish" | "-p" => service["hostPorts"].as_array_mut().unwrap().extend(host_port(value)),
        _ => {}
    }
}

fn host_port(value: &str) -> Option<Value> {
    let fields: Map<String, Value> =
        value.split(',').filter_map(|field| field.split_once('=')).map(|(k, v)| (k.to_owned(), v.into())).collect();
    let target = fields.get("target")?.as_str()?.parse::<u64>().ok()?;
    (fields.get("mode")? == "host").then(|| target.into())
}

/// Expands `for i in {1..5}` around a stack file in the script itself.
fn stacks(script: &str) -> Vec<Value> {
    let Some((loop_head, rest)) = script.split_once("docker stack deploy ") else { return Vec::new() };
    let Some((range, (name, rest))) = range(loop_head).zip(rest.split_once(' ')) else { return Vec::new() };
    let Some((_, rest)) = rest.split_once("<<EOSTACK\n") else { return Vec::new() };
    let file = rest.split("EOSTACK").next().unwrap_or_default();
    range
        .map(|number| number.to_string())
        .map(|number| stack_file::read(&name.replace("$i", &number), &file.replace("$i", &number)))
        .collect()
}

fn range(head: &str) -> Option<std::ops::RangeInclusive<u64>> {
    let (first, last) = head.split_once('{')?.1.split_once('}')?.0.split_once("..")?;
    Some(first.parse().ok()?..=last.parse().ok()?)
}
