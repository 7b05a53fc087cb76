//! What to do about an invalid value of a label, as specific as possible. A remedy never repeats the value.

/// The remedy for invisible characters. Line breaks between hosts are visible enough to be named.
pub(super) fn remedy_for_unseen(name: &str, value: &str) -> &'static str {
    if name == "hosts" && value.trim().contains(['\n', '\r', '\t']) {
        "Separate hosts with commas, not with line breaks or tabs."
    } else {
        "Type the value again instead of copying it."
    }
}

/// The remedy for an invalid value, as specific as possible.
pub(super) fn remedy(name: &str, value: &str) -> String {
    match name {
        _ if value.contains('$') => "Set the variable when you deploy the stack; it was not substituted.".to_owned(),
        "hosts" if !value.is_ascii() => {
            let strange = value.chars().find(|c| !c.is_ascii()).map_or(0, u32::from);
            format!(
                "For an internationalized name, use its ASCII form (xn--…). Otherwise type the host again: its first non-ASCII character \
                 is U+{strange:04X}."
            )
        }
        "hosts" if value.trim() == "*" => {
            "Name the hosts, or set com.docker.lb.default_backend=true: the default backend answers for all unpublished hosts.".to_owned()
        }
        "hosts" if value.contains("://") => "Use the host alone, without scheme.".to_owned(),
        "hosts" if value.contains('/') => "Use the host alone; a path belongs in com.docker.lb.context_root.".to_owned(),
        "hosts" if value.contains(':') => "Use the host alone, without port; it matches requests to any port.".to_owned(),
        "hosts" => "Use names like app.example.org, separated by commas.".to_owned(),
        "port" => "Use only the number, for example 8080.".to_owned(),
        "context_root" | "websocket_endpoints" => "Use a path like /app.".to_owned(),
        "redirects" => "Use pairs like http://old.example.org,https://new.example.org, separated by ';'.".to_owned(),
        "fail_timeout" => "Use a duration like 10s.".to_owned(),
        _ => "Correct the value, or remove the label.".to_owned(),
    }
}
