//! The template of a request path, for metrics: ids would create an unlimited number of series.

/// `/v1.41/services/abc/update` becomes `/services/{id}/update`.
pub fn path_template(path: &str) -> String {
    let parts = path.split('/').filter(|p| !p.is_empty()).skip_while(|p| is_version(p));
    let named = parts.enumerate().map(|(i, part)| if i == 1 && part != "create" { "{id}" } else { part });
    named.fold(String::new(), |path, part| path + "/" + part)
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::path_template;

    #[test]
    fn a_template_contains_no_object_and_no_version() {
        assert_eq!(path_template("/v1.41/services/abc/update"), "/services/{id}/update");
        assert_eq!(path_template("/v1.41/services/create"), "/services/create");
        assert_eq!(path_template("/configs/abc"), "/configs/{id}");
        assert_eq!(path_template("/version"), "/version");
    }
}
