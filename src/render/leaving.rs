//! Paths that an application may read in another way than the engine, so that a request would leave the path below which
//! its service is published: `/app/..;/admin`, `/app/..%5cadmin`, `/app/%252e%252e/admin`. Refused on hosts that are shared
//! by path. `explain::uri` knows the same rule.

use super::writer::Writer;
use crate::route::VirtualHost;

/// A dot, plain or escaped, also more than once or in an overlong form.
macro_rules! dot {
    () => {
        r"(?:[.]|%(?:25)*2e|(?:%c0|\xc0)(?:%ae|\xae))"
    };
}
macro_rules! odd_dot {
    () => {
        r"(?:%(?:25)+2e|(?:%c0|\xc0)(?:%ae|\xae))"
    };
}
/// What may separate segments.
macro_rules! separator {
    () => {
        r"(?:[/\\]|%(?:25)*(?:2f|5c)|(?:%c0|\xc0)(?:%af|\xaf)|(?:%c1|\xc1)(?:%9c|\x9c))"
    };
}
/// What does so for some applications only.
macro_rules! odd_separator {
    () => {
        r"(?:\\|%(?:25)*5c|%(?:25)+2f|(?:%c0|\xc0)(?:%af|\xaf)|(?:%c1|\xc1)(?:%9c|\x9c))"
    };
}
/// Where the name of a segment ends for those who know parameters.
macro_rules! parameters {
    () => {
        r"(?:;|%(?:25)*3b)"
    };
}
macro_rules! segment_end {
    () => {
        concat!("(?=", separator!(), "|[?#]|$)")
    };
}
macro_rules! path {
    () => {
        "~*^[^?#]*"
    };
}

/// Each finds one kind of such paths in the target of a request.
const PATTERNS: &[&str] = &[
    // Dots with parameters.
    concat!(path!(), separator!(), dot!(), "{1,2}", parameters!()),
    // Dots that are dots only after more than one reading.
    concat!(path!(), separator!(), dot!(), "?", odd_dot!(), dot!(), "?", segment_end!()),
    // Dots beside a backslash or the like.
    concat!(path!(), odd_separator!(), dot!(), "{1,2}", segment_end!()),
    concat!(path!(), separator!(), dot!(), "{1,2}", odd_separator!()),
    // Steps up where segments are counted differently.
    concat!(
        "~*^(?=[^?#]*",
        separator!(),
        dot!(),
        "{2}",
        segment_end!(),
        ")[^?#]*(?:",
        odd_separator!(),
        "|",
        separator!(),
        "(?:",
        separator!(),
        "|",
        parameters!(),
        "))"
    ),
];

/// The variable that is `1` for such a path. It costs nothing where no host asks for it.
pub fn write_map(http: &mut Writer) {
    http.comment("Paths that an application may read as leading elsewhere than the engine does.");
    http.block("map", &["$request_uri".into(), "$leaves_its_path".into()], |map| {
        map.entry("default", "");
        for pattern in PATTERNS {
            map.entry(pattern, "1");
        }
    });
}

/// Refuses them on a host that is shared by path.
pub fn write_refusal(server: &mut Writer, host: &VirtualHost) {
    if host.is_shared_by_path() {
        server.condition("$leaves_its_path", |refused| refused.directive("return", &["400".into()]));
    }
}
