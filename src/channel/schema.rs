//! The messages as JSON Schema, for those who write an extension or a proxy in another language.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::wire::{Desired, ExtensionReport, ProxyConfig, ProxyReport, WIRE_VERSION};

/// One schema document (2020-12) with every message below `properties`, and their parts below `$defs`.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let messages = json!({
        "desired": generator.subschema_for::<Desired>(),
        "extensionReport": generator.subschema_for::<ExtensionReport>(),
        "proxyConfig": generator.subschema_for::<ProxyConfig>(),
        "proxyReport": generator.subschema_for::<ProxyReport>(),
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Messages of the Swarmgate channel, version {WIRE_VERSION}"),
        "type": "object",
        "properties": messages,
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::wire::{Delivery, WIRE_VERSION};
    use crate::route::{EngineSettings, RouteTable};
    use crate::types::{ClusterName, Port};

    fn problems(message: &str, value: &Value) -> Vec<String> {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        validator.iter_errors(&json!({ message: value })).map(|error| error.to_string()).collect()
    }

    #[test]
    fn a_real_message_fits_the_schema_and_a_damaged_one_does_not() {
        let table = RouteTable {
            cluster: ClusterName::parse("dev").unwrap(),
            http_port: Port::new(8080).unwrap(),
            https_port: None,
            settings: EngineSettings::default(),
            hosts: std::collections::BTreeMap::new(),
            default_backend: None,
        };
        let mut value = serde_json::to_value(Desired::new(Delivery::Live, table)).unwrap();
        assert_eq!(problems("desired", &value), Vec::<String>::new());
        assert_eq!(value["version"], WIRE_VERSION);
        value["digest"] = json!("short");
        assert_eq!(problems("desired", &value).len(), 1);
    }
}
