//! The messages as JSON Schema, for authors of an extension or a proxy in another language.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::agent_settings::AgentSettings;
use super::messages::{
    Addresses, CertificateRequest, Desired, ExtensionReport, IssuedCertificate, PeerAddresses, ProxyConfig, ProxyReport,
};

/// One schema document (2020-12) with every message in `properties` and their parts in `$defs`.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<WireMessages>().to_value()
}

/// All messages in one schema, so that types which several of them use are described once.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described, never built")]
struct WireMessages {
    /// Extension and proxy to operator: the body of `POST /v1/clusters/{cluster}/certificate`.
    certificate_request: CertificateRequest,
    /// Operator to extension and proxy: the answer to it.
    issued_certificate: IssuedCertificate,
    /// Operator to extension: the answer of `GET /v1/clusters/{cluster}/desired`.
    desired: Desired,
    /// Extension to operator: the body of `POST /v1/clusters/{cluster}/report`.
    extension_report: ExtensionReport,
    /// Operator to extension and proxy: the answer of `GET /v1/clusters/{cluster}/peers`.
    peers: PeerAddresses,
    /// Extension to proxy: the answer of `GET /v1/bundle`.
    proxy_config: ProxyConfig,
    /// Extension to proxy: the answer of `GET /v1/addresses`.
    addresses: Addresses,
    /// The file `agent.json` of a bundle: limits that the agent enforces, because the engine has no directive for them.
    agent_settings: AgentSettings,
    /// Proxy to extension: the body of `POST /v1/proxies/{task}`.
    proxy_report: ProxyReport,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::messages::{Delivery, WIRE_VERSION};
    use crate::route::RouteTable;
    use crate::types::{ClusterName, Port};

    fn problems(message: &str, value: &Value) -> Vec<String> {
        let mut one_message = schema();
        one_message["required"] = json!([message]);
        let validator = jsonschema::validator_for(&one_message).unwrap();
        validator.iter_errors(&json!({ message: value })).map(|error| error.to_string()).collect()
    }

    #[test]
    fn a_real_message_fits_the_schema_and_a_damaged_one_does_not() {
        let table = RouteTable::empty(ClusterName::parse("dev").unwrap(), Port::new(8080).unwrap());
        let mut value = serde_json::to_value(Desired::new(Delivery::Live, table)).unwrap();
        assert_eq!(problems("desired", &value), Vec::<String>::new());
        assert_eq!(value["version"], WIRE_VERSION);
        value["digest"] = json!("short");
        assert_eq!(problems("desired", &value).len(), 1);
    }
}
