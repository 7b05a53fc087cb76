//! URL paths under which an application is published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, checked_string};

/// A context root: `/` or `/a/b` without a trailing slash. Segments contain unreserved characters, sub-delimiters that no
/// engine reads as syntax, and percent escapes; no `.` or `..` segments. At most 1,024 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ContextPath(String);
checked_string!(ContextPath);

impl ContextPath {
    /// The whole site.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Parses a path; slashes at the end are dropped, a missing one in front is rejected.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        if !value.starts_with('/') {
            return Err(InvalidValue("a path must begin with '/'".to_owned()));
        }
        if value.len() > 1024 {
            return Err(InvalidValue(format!("a path must have at most 1024 bytes, this one has {}", value.len())));
        }
        let path = value.trim_end_matches('/');
        if path.is_empty() {
            return Ok(Self::root());
        }
        path.split('/').skip(1).try_for_each(check_segment)?;
        Ok(Self(path.to_owned()))
    }

    /// Whether this is the whole site.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Whether `other` is this path or below it, at a segment boundary.
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_request(&other.0)
    }

    /// Like [`Self::covers`], for the path of a request in decoded form.
    pub fn covers_request(&self, path: &str) -> bool {
        self.is_root() || path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn check_segment(segment: &str) -> Result<(), InvalidValue> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!&+,=:@".contains(&b);
    match segment {
        "" => return Err(InvalidValue("a path must not contain an empty segment ('//')".to_owned())),
        "." | ".." => return Err(InvalidValue("a path must not contain a '.' or '..' segment".to_owned())),
        _ => {}
    }
    if !segment.bytes().all(allowed) {
        return Err(InvalidValue(
            "a path may contain only letters, digits and -._~!&+,=:@ between its slashes (in decoded form, without '%')".to_owned(),
        ));
    }
    Ok(())
}
