//! An administrator's own template that replaces the built-in configuration: its variables (docs/template.md), and how it
//! fails. Pure like the rest of this folder: a template reads only its variables, and its steps are limited.

use std::net::SocketAddr;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::json;

use super::server_names::server_name;
use super::upstreams::pool_name;
use super::writer::Word;
use super::{ConfigPurpose, ConfigSections, Rendering};
use crate::protocol::container_contract;
use crate::route::{Endpoint, SizeBytes};
use crate::types::{ConfigTemplate, ContextPath, HostPattern, describe_error};

/// The maximum number of steps of a template: several times what five thousand hosts need, at most a second or two.
const STEPS_MAX: u64 = 10_000_000;

/// Renders the template. The error is for people and contains the template's line.
pub fn fill(template: &ConfigTemplate, rendering: &Rendering<'_>, builtin: &ConfigSections) -> Result<String, String> {
    let environment = environment();
    let filled = environment.template_from_str(template.as_str()).and_then(|template| template.render(data(rendering, builtin)));
    filled.map(|text| text.trim_end().to_owned() + "\n").map_err(|error| describe_error(&error))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // A misspelt name must not become an empty argument; optional fields can be tested with `if`.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // The text is not HTML; arguments need `quote`.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS_MAX));
    environment.add_filter("quote", |text: String| Word::quote(&text));
    environment.add_filter("duration", |ms: u64| Word::millis(ms).as_str().to_owned());
    environment.add_filter("size", |bytes: u64| Word::size(SizeBytes(bytes)).as_str().to_owned());
    environment
        .add_filter("address", |Serde(endpoint): Serde<Endpoint>| SocketAddr::new(endpoint.address, endpoint.port.get()).to_string());
    environment
        .add_filter("server_name", |host: String| parsed(HostPattern::parse(&host)).map(|host| Word::quote(server_name(&host).as_str())));
    environment.add_function("pool", |host: String, path: String| pool(&host, &path));
    environment
}

fn pool(host: &str, path: &str) -> Result<String, Error> {
    let (host, path) = (parsed(HostPattern::parse(host))?, parsed(ContextPath::parse(path))?);
    Ok(pool_name(&host, &path).as_str().to_owned())
}

fn parsed<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, Error> {
    result.map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// The settings without the template itself, which is being rendered.
fn data(rendering: &Rendering<'_>, builtin: &ConfigSections) -> Value {
    let mut table = json!(rendering.table);
    if let Some(settings) = table.get_mut("settings").and_then(serde_json::Value::as_object_mut) {
        settings.remove("template");
    }
    let layout = rendering.layout;
    Serde(json!({
        "table": table,
        "purpose": match rendering.purpose {
            ConfigPurpose::Live => "live",
            ConfigPurpose::Boot => "boot",
            ConfigPurpose::Stock => "stock",
        },
        "layout": {
            "runDir": layout.run_dir,
            "statusPort": layout.status_port,
            "readyPath": container_contract::ENGINE_READY_PATH,
            "resolver": layout.resolver.to_string(),
        },
        "builtin": {
            "main": builtin.main, "stream": builtin.stream, "http": builtin.http, "upstreams": builtin.upstreams, "servers": builtin.servers,
        },
    }))
    .into()
}
