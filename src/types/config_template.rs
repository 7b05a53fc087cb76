//! A template of an engine's whole configuration, as an administrator may write it. Its syntax is checked here; what it
//! may say, and what fills it, is the business of `render`.

use std::borrow::Cow;

use minijinja::Environment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refused, checked_string};

/// The text of a template whose syntax is right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ConfigTemplate(String);
checked_string!(ConfigTemplate);

impl ConfigTemplate {
    /// Accepts what the template engine can read.
    pub fn parse(value: &str) -> Result<Self, Refused> {
        if value.trim().is_empty() {
            return Err(Refused("a template is not empty".to_owned()));
        }
        match Environment::new().template_from_str(value) {
            Ok(_) => Ok(Self(value.to_owned())),
            Err(error) => Err(Refused(fault(&error))),
        }
    }
}

/// How every fault of a template begins.
pub(crate) const TEMPLATE_FAULT: &str = "the template fails";

/// What is wrong with a template, and in which of its lines.
pub(crate) fn fault(error: &minijinja::Error) -> String {
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
    fn a_syntax_error_is_told_with_its_line() {
        assert!(ConfigTemplate::parse("{% for host in table.hosts %}{{ host }}\n{% endfor %}").is_ok());
        for (text, line) in [("a\nb {{ c", "line 2"), ("{% for a in b %}\n{% endif %}", "line 2"), ("", "not empty"), (" \n", "not empty")]
        {
            let refused = ConfigTemplate::parse(text).unwrap_err();
            assert!(refused.0.contains(line), "{text}: {refused}");
        }
    }
}
