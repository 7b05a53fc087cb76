//! JSON for human readers: what fits on a line is on one line.

use serde_json::Value;

const WIDTH: usize = 130;

/// The value without empty fields (`null`, empty lists), on as few lines as are readable.
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, &without_nothing(value), 0);
    text + "\n"
}

fn without_nothing(value: &Value) -> Value {
    let is_set = |value: &Value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty());
    match value {
        Value::Object(fields) => fields.iter().filter(|(_, v)| is_set(v)).map(|(k, v)| (k.clone(), without_nothing(v))).collect(),
        Value::Array(items) => items.iter().map(without_nothing).collect(),
        other => other.clone(),
    }
}

fn write(text: &mut String, value: &Value, depth: usize) {
    let line = one_line(value);
    if line.chars().count() + 2 * depth <= WIDTH {
        text.push_str(&line);
        return;
    }
    match value {
        Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value));
            write_entries(text, ('{', '}'), entries, depth);
        }
        Value::Array(items) => write_entries(text, ('[', ']'), items.iter().map(|item| (String::new(), item)), depth),
        _ => text.push_str(&line),
    }
}

fn write_entries<'a>(text: &mut String, (open, close): (char, char), entries: impl Iterator<Item = (String, &'a Value)>, depth: usize) {
    let indent = "  ".repeat(depth + 1);
    text.push(open);
    for (at, (name, value)) in entries.enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&indent);
        text.push_str(&name);
        write(text, value, depth + 1);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let entries: Vec<_> =
                fields.iter().map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), one_line(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
