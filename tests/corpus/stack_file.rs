//! Converts a stack file to services as `docker stack deploy` does, in the short form of the golden cases: names get the
//! stack's prefix, variables their values, and all desired tasks run. Reads only what routing uses.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::compact_swarm::yaml;

/// The label by which access control separates teams.
const ACCESS: &str = "com.docker.ucp.access.label";

/// The name under which the author deploys the stack: the prefix that labels use for the file's own networks and secrets.
pub fn name_of(file: &str, text: &str) -> String {
    let file_name = file.trim_end_matches(".yml");
    let stack = parsed(text, file_name);
    let own: Vec<&String> = ["networks", "secrets"].iter().filter_map(|kind| stack[*kind].as_object()).flat_map(Map::keys).collect();
    let labels: Vec<(String, String)> =
        entries(&stack["services"]).iter().flat_map(|(_, service)| labels(&service["deploy"]["labels"])).collect();
    let mut names = labels.iter().filter(|(key, _)| ["network", "ssl_cert"].iter().any(|name| key.ends_with(name)));
    let prefix = |value: &str| own.iter().find_map(|own| value.strip_suffix(&format!("_{own}")).map(str::to_owned));
    names.find_map(|(_, value)| prefix(value)).unwrap_or_else(|| file_name.to_owned())
}

/// The Swarm after the deployment.
pub fn read(name: &str, text: &str) -> Value {
    let file = parsed(text, name);
    let services: Vec<Value> = entries(&file["services"]).iter().map(|(own, given)| service(name, &file, own, given)).collect();
    let used: BTreeSet<&str> =
        services.iter().flat_map(|service| service["networks"].as_array().unwrap()).filter_map(Value::as_str).collect();
    let network = |name: &&str| json!({"name": name, "driver": if *name == "bridge" { "bridge" } else { "overlay" }});
    let collection = services.iter().find_map(|service| service["labels"][ACCESS].as_str());
    let secrets: Vec<Value> = entries(&file["secrets"]).iter().map(|(own, given)| secret(name, own, given, collection)).collect();
    json!({"nodes": [{"name": "n1", "address": "192.0.2.1"}], "networks": used.iter().map(network).collect::<Vec<_>>(), "secrets": secrets, "services": services})
}

/// Parses the file. Some authors write `services:` twice, which YAML forbids but whose meaning is plain.
fn parsed(text: &str, stack: &str) -> Value {
    let text = substituted(text, stack);
    let Some((head, again)) = text.match_indices("\nservices:").nth(1).map(|(at, _)| text.split_at(at)) else { return yaml(&text) };
    let mut file = yaml(head);
    let more = entries(&yaml(again)["services"]);
    file["services"].as_object_mut().expect("services are a map").extend(more);
    file
}

fn service(stack: &str, file: &Value, own: &str, given: &Value) -> Value {
    let deploy = &given["deploy"];
    let replicas = deploy["replicas"].as_u64().unwrap_or(1);
    json!({
        "name": format!("{stack}_{own}"), "stack": stack, "tasks": replicas, "global": deploy["mode"] == "global",
        "labels": map(labels(&deploy["labels"])), "containerLabels": map(labels(&given["labels"])),
        "networks": networks(stack, file, &given["networks"]), "dnsrr": deploy["endpoint_mode"] == "dnsrr",
        "hostPorts": host_ports(&given["ports"]), "updateOrder": deploy["update_config"]["order"].as_str().unwrap_or("stop-first"),
    })
}

/// A list of names, or a map with options; otherwise the stack's default network.
fn networks(stack: &str, file: &Value, given: &Value) -> Vec<String> {
    let listed = given.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned));
    let mut names: Vec<String> = listed.chain(entries(given).into_iter().map(|(name, _)| name)).collect();
    if names.is_empty() {
        names.push("default".to_owned());
    }
    names.iter().map(|name| object_name(stack, name, &file["networks"][name])).collect()
}

/// A secret of the stack, or one that was created for it by hand: in the stack's collection if it has one, otherwise marked as
/// belonging to that stack.
fn secret(stack: &str, own: &str, declared: &Value, collection: Option<&str>) -> Value {
    let external = declared["external"] == true || declared["external"].is_object();
    let name = object_name(stack, own, declared);
    match collection {
        Some(label) => json!({"name": name, "labels": {ACCESS: label}}),
        None if external => json!({"name": name, "labels": {"swarmgate.use-by": format!("stack:{stack}")}}),
        None => json!({"name": name, "stack": stack}),
    }
}

/// The real name of a network or secret: as stated, its external name, or with the stack's prefix.
fn object_name(stack: &str, own: &str, declared: &Value) -> String {
    let external = &declared["external"];
    let stated = declared["name"].as_str().or_else(|| external["name"].as_str());
    match stated {
        Some(name) => name.to_owned(),
        None if *external == true || external.is_object() => own.to_owned(),
        None => format!("{stack}_{own}"),
    }
}

fn host_ports(given: &Value) -> Vec<u64> {
    let long = given.as_array().into_iter().flatten().filter(|port| port["mode"] == "host");
    long.filter_map(|port| port["target"].as_u64()).collect()
}

/// Reads a map, or a list of `key=value`.
pub fn labels(given: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let listed = given.as_array().into_iter().flatten().filter_map(Value::as_str);
    let listed = listed.map(|label| label.split_once('=').unwrap_or((label, ""))).map(|(key, value)| (key.to_owned(), value.to_owned()));
    listed.chain(entries(given).into_iter().map(|(key, value)| (key, text(&value)))).collect()
}

fn map(labels: Vec<(String, String)>) -> Value {
    labels.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>().into()
}

fn entries(value: &Value) -> Vec<(String, Value)> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter(|(name, _)| *name != "<<").map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Substitutes `${NAME}`, `${NAME:-default}`, `$NAME` and `$$`. A variable without a default is one that the author set: its
/// value is its own name as a word, except for the name of the stack. Tabs before comments, which YAML forbids, become spaces.
fn substituted(text: &str, stack: &str) -> String {
    let text = text.replace('\t', "  ");
    let mut parts = text.split('$');
    let mut done = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        let braced = part.strip_prefix('{').and_then(|part| part.split_once('}'));
        let bare = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        match braced {
            Some((inside, rest)) => done.extend([variable(inside, stack).as_str(), rest]),
            None if bare > 0 => done.extend([variable(&part[..bare], stack).as_str(), &part[bare..]]),
            None => done.extend(["$", part, parts.next().unwrap_or_default()]),
        }
    }
    done
}

fn variable(inside: &str, stack: &str) -> String {
    let (name, default) =
        inside.split_once(":-").or_else(|| inside.split_once('-')).map_or((inside, None), |(name, default)| (name, Some(default)));
    match default {
        _ if name == "STACK_NAME" => stack.to_owned(),
        Some(default) => default.to_owned(),
        None if name.ends_with("_REPLICAS") => "1".to_owned(),
        None => name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
    }
}
