//! A template of an engine's whole configuration, written by an administrator. Only its syntax is checked here; `render`
//! decides what it may contain and what is filled in.

use std::borrow::Cow;

use minijinja::Environment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, checked_string};

/// The text of a template whose syntax is right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ConfigTemplate(String);
checked_string!(ConfigTemplate);

impl ConfigTemplate {
    /// Accepts what the template engine can parse.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        if value.trim().is_empty() {
            return Err(InvalidValue("a template must not be empty".to_owned()));
        }
        match Environment::new().template_from_str(value) {
            Ok(_) => Ok(Self(value.to_owned())),
            Err(error) => Err(InvalidValue(describe_error(&error))),
        }
    }
}

/// The prefix of every error of a template.
pub(crate) const TEMPLATE_FAULT: &str = "the template fails";

/// Describes an error of a template, with its line.
pub(crate) fn describe_error(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| Cow::Owned(error.kind().to_string()), Cow::Borrowed);
    match error.line() {
        Some(line) => format!("{TEMPLATE_FAULT} in its line {line}: {what}"),
        None => format!("{TEMPLATE_FAULT}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_reported_with_its_line() {
        assert!(ConfigTemplate::parse("{% for host in table.hosts %}{{ host }}\n{% endfor %}").is_ok());
        for (text, line) in [
            ("a\nb {{ c", "line 2"),
            ("{% for a in b %}\n{% endif %}", "line 2"),
            ("", "not be empty"),
            (
                " \n",
                "not be \
             empty",
            ),
        ] {
            let refused = ConfigTemplate::parse(text).unwrap_err();
            assert!(refused.0.contains(line), "{text}: {refused}");
        }
    }
}
