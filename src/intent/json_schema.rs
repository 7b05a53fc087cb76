//! The JSON Schema of ServiceCluster documents, generated from the types that read them. Closed: unnamed fields are not
//! allowed. Omitted fields are absent, never `null`, so the schema has no `null`.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::cluster_spec::ServiceCluster;

/// The schema of a ServiceCluster document, without references: every field is defined where it is used.
pub fn cluster_schema() -> Value {
    let mut schema = schema_with::<ServiceCluster>(|settings| settings.inline_subschemas = true);
    RecursiveTransform(without_null).transform(&mut schema);
    schema.to_value()
}

/// The schema of a message or report, with definitions for the types that it uses.
pub fn message_schema<T: JsonSchema>() -> Value {
    schema_with::<T>(|_| ()).to_value()
}

fn schema_with<T: JsonSchema>(configure: impl FnOnce(&mut SchemaSettings)) -> Schema {
    SchemaSettings::draft2020_12().with(configure).into_generator().into_root_schema_for::<T>()
}

/// serde treats absent and `null` fields alike; an empty value is probably a mistake, so it is refused.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            schema.insert("type".to_owned(), single);
        }
    }
    let Some(Value::Array(branches)) = schema.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        // The field's description is more specific than its type's.
        for (key, value) in only {
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
}
