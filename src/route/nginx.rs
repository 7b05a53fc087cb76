//! What settings mean to nginx alone: raw directives are its syntax, and it takes underscores in the names of headers for
//! hyphens. Asked by `render/nginx` only.

use super::EngineSettings;

impl EngineSettings {
    /// Whether names with underscores reach applications, many of which take them for the same as hyphens, as the engine itself does.
    pub fn passes_underscores(&self) -> bool {
        let line = |words: Vec<String>| {
            words.first().is_some_and(|name| name == "underscores_in_headers") && words.get(1).is_some_and(|on| on == "on")
        };
        self.underscores_in_headers || self.http_options.iter().any(|lines| lines.words().into_iter().any(line))
    }
}
