//! The meaning of settings that is specific to nginx: raw directives are its syntax, and it treats underscores in header
//! names as hyphens. Used only by `render/nginx`.

use super::EngineSettings;

impl EngineSettings {
    /// Whether header names with underscores reach applications. Many applications, like nginx itself, treat them as
    /// hyphens.
    pub fn passes_underscores(&self) -> bool {
        let line = |words: Vec<String>| {
            words.first().is_some_and(|name| name == "underscores_in_headers") && words.get(1).is_some_and(|on| on == "on")
        };
        self.underscores_in_headers || self.http_options.iter().any(|lines| lines.words().into_iter().any(line))
    }
}
