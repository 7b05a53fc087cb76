//! The shape of a document: fields, types, ranges and grammars, checked against the generated schema. The same schema
//! serves editors, third parties and the operator; this file turns its errors into useful messages.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::super::formats::{FORMATS, StringFormat};
use super::super::suggest::nearest;
use super::super::yaml::{YamlData, YamlNode, escaped};
use super::document_error::{Mistakes, path_of};
use crate::report::FindingCase;
use crate::report::cases::{InvalidValue, UnknownField, UnreadableDocument};
use crate::types::{ClusterName, EngineKind, NetworkName, ServiceName};

/// The field with the engine.
const ENGINE: &str = "/spec/engine";

/// The schema of one kind of document.
pub(super) struct Schema {
    root: Value,
    validator: Result<Validator, String>,
}

impl Schema {
    /// Ready to validate; that a schema is broken is reported for each document.
    pub fn new(root: Value) -> Self {
        let options = FORMATS.iter().fold(jsonschema::options(), |options, format| {
            let check = format.check;
            options.with_format(format.name, move |text: &str| check(text).is_ok())
        });
        let validator = options.should_validate_formats(true).build(&root).map_err(|error| error.to_string());
        Self { root, validator }
    }

    /// The JSON Schema.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The tree as plain values. Numbers and booleans become text as written where the field is a text: `cpus: 0.5`, `PORT:
    /// 8080` and `tag: 1.10` mean what they look like.
    pub fn plain(&self, tree: &YamlNode) -> Value {
        plain_as(tree, &self.root)
    }

    /// Checks the document against the schema.
    pub fn check(&self, value: &Value, mistakes: &mut Mistakes) {
        match &self.validator {
            Ok(validator) => validator.iter_errors(value).for_each(|error| note(&error, &self.root, mistakes)),
            Err(why) => {
                mistakes.add(UnreadableDocument::BrokenSchema, "", format!("the built-in schema is broken: {why}"));
            }
        }
    }
}

fn plain_as(node: &YamlNode, schema: &Value) -> Value {
    match &node.data {
        YamlData::Scalar { value, text } if is_text(value, schema) => Value::String(text.clone()),
        YamlData::Scalar { value, .. } => value.clone(),
        YamlData::Sequence(items) => items.iter().map(|item| plain_as(item, &schema["items"])).collect(),
        YamlData::Mapping(entries) => {
            let of = |key: &str| schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
            entries.iter().map(|(key, entry)| (key.clone(), plain_as(&entry.node, of(key)))).collect()
        }
    }
}

/// Whether the field takes text, and accepts this other kind of value instead.
fn is_text(value: &Value, schema: &Value) -> bool {
    let takes = |kind: &str| schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind));
    takes("string") && ((value.is_number() && (takes("number") || takes("integer"))) || (value.is_boolean() && takes("boolean")))
}

/// Reports a kind that does not exist. In such a document every field would be unknown; reporting the kind is enough.
pub(super) fn note_unknown_kind(found: &str, kinds: &[String], mistakes: &mut Mistakes) {
    note_options("/kind", Some(found), kinds, mistakes);
}

/// No string that reaches Swarm or an engine may contain a NUL: C programs would read a different string.
pub(super) fn note_nul(value: &Value, pointer: &str, mistakes: &mut Mistakes) {
    match value {
        Value::String(text) if text.contains('\0') => {
            mistakes.add(InvalidValue::Nul, pointer, "a string must not contain a NUL character");
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| note_nul(item, &format!("{pointer}/{at}"), mistakes)),
        Value::Object(fields) => fields.iter().for_each(|(key, field)| note_nul(field, &format!("{pointer}/{}", escaped(key)), mistakes)),
        _ => {}
    }
}

/// One validator error as readable text.
fn note(error: &ValidationError<'_>, root: &Value, mistakes: &mut Mistakes) {
    let (pointer, found) = (error.instance_path().as_str(), error.instance().as_ref());
    let keyword = error.schema_path().as_str();
    let schema = keyword.rsplit_once('/').and_then(|(schema, _)| root.pointer(schema)).unwrap_or(&Value::Null);
    let compare = mistakes.only_in_schema();
    let mut invalid = |case: InvalidValue<'_>, message: String| mistakes.add(case, pointer, message);
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for key in unexpected {
                note_unknown(pointer, key, (schema, root), mistakes);
            }
        }
        Kind::Required { property } => note_missing(pointer, property.as_str().unwrap_or_default(), schema, mistakes),
        Kind::PropertyNames { error } => note_name(pointer, error, mistakes),
        _ if found.is_null() => invalid(InvalidValue::NoValue, "the field has no value".to_owned()),
        Kind::OneOfNotValid { .. } | Kind::Constant { .. } | Kind::Enum { .. } => {
            match found.as_str().filter(|_| pointer == ENGINE).map(str::parse::<EngineKind>) {
                Some(Err(_)) => note_unknown_engine(pointer, mistakes),
                _ => note_options(pointer, found.as_str(), &options_of(schema), mistakes),
            }
        }
        Kind::Type { .. } => invalid(type_case(pointer, schema, found).unwrap_or(compare), type_rule(schema, found)),
        Kind::Format { format } => {
            let (case, rule) = format_rule(format, found.as_str().unwrap_or_default())
                .unwrap_or_else(|| (compare, format!("the value is not a valid {format}")));
            invalid(case, rule);
        }
        Kind::Pattern { pattern } => invalid(InvalidValue::Name, pattern_rule(pattern, found.as_str().unwrap_or_default())),
        Kind::MaxItems { limit } => invalid(InvalidValue::LongList, format!("the list must have at most {limit} entries")),
        Kind::Minimum { .. } | Kind::Maximum { .. } => invalid(InvalidValue::OutOfRange, range_rule(schema)),
        _ => invalid(compare, error.to_string()),
    }
}

fn note_options(pointer: &str, found: Option<&str>, options: &[String], mistakes: &mut Mistakes) {
    let suggestion = found.and_then(|text| nearest(text, options.iter().map(String::as_str)));
    let values = one_of(options);
    let case = suggestion.map_or(InvalidValue::NotAnOption { values: &values }, |value| InvalidValue::Similar { value });
    mistakes.add(case, pointer, "unknown value");
}

/// An engine that this version does not support. The finding has its name as the value, and the remedy names the supported ones.
fn note_unknown_engine(pointer: &str, mistakes: &mut Mistakes) {
    let engines = EngineKind::ALL.map(EngineKind::as_str).join(", ");
    mistakes.add(InvalidValue::Engine { engines: &engines }, pointer, "unknown engine");
}

/// "a", "a or b", "a, b, or c".
fn one_of(options: &[String]) -> String {
    match options {
        [first @ .., last] if first.len() > 1 => format!("{}, or {last}", first.join(", ")),
        few => few.join(" or "),
    }
}

fn note_unknown(pointer: &str, key: &str, (schema, root): (&Value, &Value), mistakes: &mut Mistakes) {
    let known: Vec<&str> = schema["properties"].as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default();
    let elsewhere = paths_of(root, key);
    let case: FindingCase = if key == "<<" {
        UnknownField::MergeKey.into()
    } else if let Some(field) = nearest(key, known.iter().copied()) {
        UnknownField::Similar { field }.into()
    } else if let [field] = elsewhere.as_slice() {
        UnknownField::Similar { field }.into()
    } else if let [first, .., last] = elsewhere.as_slice() {
        UnknownField::Similar { field: &format!("{first} or {last}") }.into()
    } else {
        UnknownField::Other { fields: &known.join(", ") }.into()
    };
    let pointer = format!("{pointer}/{}", escaped(key));
    mistakes.add(case, &pointer, "there is no such field here");
}

/// Where in the document a field of exactly this name belongs.
fn paths_of(root: &Value, key: &str) -> Vec<String> {
    fn walk(schema: &Value, pointer: &str, key: &str, found: &mut Vec<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let pointer = format!("{pointer}/{name}");
            if name == key {
                found.push(path_of(&pointer));
            }
            walk(field, &pointer, key, found);
        }
    }
    let mut found = Vec::new();
    walk(root, "", key, &mut found);
    found
}

fn note_missing(pointer: &str, field: &str, schema: &Value, mistakes: &mut Mistakes) {
    let description = schema["properties"][field]["description"].as_str().unwrap_or_default();
    let description: String = description.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    // A description that opens with the values says what to write.
    let (meaning, case) = if description.starts_with('`') {
        (String::new(), InvalidValue::MissingOption { description: &description })
    } else {
        (in_brackets(&description), InvalidValue::MissingField)
    };
    let message = format!("the required field {field} is missing{meaning}");
    mistakes.add(case, &format!("{pointer}/{field}"), message);
}

/// What a description says first, as part of another sentence: ` (the proxy engine)`.
fn in_brackets(description: &str) -> String {
    let sentence = description.split(". ").next().unwrap_or_default();
    let summary = sentence.split(": ").next().unwrap_or_default().trim().trim_end_matches('.');
    let is_name = ["Docker", "Swarm"].iter().any(|name| summary.starts_with(name));
    let mut letters = summary.chars();
    match letters.next() {
        None => String::new(),
        Some(first) if !is_name => format!(" ({}{})", first.to_lowercase(), letters.as_str()),
        Some(_) => format!(" ({summary})"),
    }
}

fn note_name(pointer: &str, error: &ValidationError<'_>, mistakes: &mut Mistakes) {
    let name = error.instance().as_str().unwrap_or_default();
    let known = if let Kind::Format { format } = error.kind() { format_rule(format, name) } else { None };
    let (case, rule) = known.unwrap_or_else(|| (InvalidValue::Name, error.to_string()));
    mistakes.add(case, &format!("{pointer}/{}", escaped(name)), rule);
}

/// The allowed values of the field.
fn options_of(schema: &Value) -> Vec<String> {
    let branches = schema["oneOf"].as_array().into_iter().flatten().chain([schema]);
    let constants = branches.filter_map(|branch| branch["const"].as_str());
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    constants.chain(listed).map(str::to_owned).collect()
}

fn kinds_of(schema: &Value) -> String {
    let name = |kind: &Value| match kind.as_str().unwrap_or_default() {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "something else",
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
        kind => name(kind).to_owned(),
    }
}

/// What the field must be; for a string with a grammar its rule, which is more specific than "a string".
fn type_rule(schema: &Value, found: &Value) -> String {
    let format = schema["format"].as_str().filter(|_| found.is_number());
    match format.and_then(format_of).and_then(|format| (format.check)(&found.to_string()).err()) {
        Some(rule) => rule.0,
        None => format!("the value must be {}", kinds_of(schema)),
    }
}

/// The case of a wrong type, if its remedy can be said without the schema.
fn type_case(pointer: &str, schema: &Value, found: &Value) -> Option<InvalidValue<'static>> {
    let format = schema["format"].as_str().and_then(format_of);
    let number_in_quotes = found.as_str().is_some_and(|text| text.parse::<u64>().is_ok());
    match (schema["type"].as_str(), format) {
        _ if pointer.ends_with("/<<") => Some(InvalidValue::MergeKey),
        (Some("integer" | "number"), _) if number_in_quotes => Some(InvalidValue::QuotedNumber),
        (Some("array"), _) if found.is_string() => Some(InvalidValue::NotAList),
        (Some("object"), _) => Some(InvalidValue::NotAMapping),
        (Some("boolean" | "integer"), _) => Some(InvalidValue::OutOfRange),
        (Some("string"), Some(format)) => Some(format.case),
        (Some("string"), None) if !found.is_array() && !found.is_object() => Some(InvalidValue::UnquotedText),
        _ => None,
    }
}

fn format_of(name: &str) -> Option<&'static StringFormat> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The case of a format that text does not follow, and its rule, if the format has a row.
fn format_rule(name: &str, text: &str) -> Option<(InvalidValue<'static>, String)> {
    let format = format_of(name)?;
    let rule = (format.check)(text).err().map_or_else(|| format!("the value is not a valid {name}"), |refused| refused.0);
    Some((format.case, rule))
}

/// The rule behind a pattern of one of the checked names, as text.
fn pattern_rule(pattern: &str, text: &str) -> String {
    let rules = [
        (schemars::schema_for!(ClusterName), ClusterName::parse(text).err()),
        (schemars::schema_for!(ServiceName), ServiceName::parse(text).err()),
        (schemars::schema_for!(NetworkName), NetworkName::parse(text).err()),
    ];
    let rule = rules.into_iter().find(|(schema, _)| schema.get("pattern").is_some_and(|known| known == pattern));
    rule.and_then(|(_, refused)| refused).map_or_else(|| format!("the value must match the pattern {pattern}"), |refused| refused.0)
}

fn range_rule(schema: &Value) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, maximum) => format!("the value must be at most {maximum}"),
        (minimum, Value::Null) => format!("the value must be at least {minimum}"),
        (minimum, maximum) => format!("the value must be a number from {minimum} to {maximum}"),
    }
}
