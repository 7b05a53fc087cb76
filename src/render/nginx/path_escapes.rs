//! Paths that an application may interpret differently from the engine, so that a request would leave the path below which
//! its service is published: `/app/..;/admin`, `/app/..%5cadmin`, `/app/%252e%252e/admin`. They are refused on hosts that
//! are shared by path. `explain/misleading_paths.rs` implements the same rule as code.

use super::writer::Writer;
use crate::route::VirtualHost;

/// Overlong encodings that a lenient decoder accepts as a dot: in two bytes, of which some decoders use only six bits of the
/// second, or in three to six.
macro_rules! overlong_dot {
    () => {
        r"(?:(?:%(?:25)*c0|\xc0)(?:%(?:25)*[26ae]e|\xae)|(?:%(?:25)*(?:e0|f0|f8|fc)|[\xe0\xf0\xf8\xfc])(?:%(?:25)*80|\x80){1,4}(?:%(?:25)*ae|\xae))"
    };
}
/// The same for a slash and a backslash; and a backslash after a byte that some decoders drop.
macro_rules! overlong_separator {
    () => {
        concat!(
            r"(?:(?:%(?:25)*c0|\xc0)(?:%(?:25)*(?:[26ae]f|5c)|\xaf)|(?:%(?:25)*c1|\xc1)(?:%(?:25)*[159d]c|\x9c)",
            r"|(?:%(?:25)*(?:e0|f0|f8|fc)|[\xe0\xf0\xf8\xfc])(?:(?:%(?:25)*80|\x80){1,4}(?:%(?:25)*af|\xaf)",
            r"|(?:%(?:25)*80|\x80){0,3}(?:%(?:25)*81|\x81)(?:%(?:25)*9c|\x9c)))"
        )
    };
}
/// The same for a semicolon.
macro_rules! overlong_parameters {
    () => {
        r"(?:(?:%(?:25)*c0|\xc0)(?:%(?:25)*[37bf]b|\xbb)|(?:%(?:25)*(?:e0|f0|f8|fc)|[\xe0\xf0\xf8\xfc])(?:%(?:25)*80|\x80){1,4}(?:%(?:25)*bb|\xbb))"
    };
}
/// Characters that become a dot when an application normalises its text (NFKC) or treats it as a host name: one-dot leader,
/// small full stop, and the Chinese and Japanese full stops, ideographic, half-width, full-width.
macro_rules! dot_lookalike {
    () => {
        concat!(
            r"(?:(?:%(?:25)*e2|\xe2)(?:%(?:25)*80|\x80)(?:%(?:25)*a4|\xa4)|(?:%(?:25)*e3|\xe3)(?:%(?:25)*80|\x80)(?:%(?:25)*82|\x82)",
            r"|(?:%(?:25)*ef|\xef)(?:(?:%(?:25)*bd|\xbd)(?:%(?:25)*a1|\xa1)|(?:%(?:25)*bc|\xbc)(?:%(?:25)*8e|\x8e)",
            r"|(?:%(?:25)*b9|\xb9)(?:%(?:25)*92|\x92)))"
        )
    };
}
/// Characters that become two dots: two-dot leader, horizontal and vertical.
macro_rules! two_dots_lookalike {
    () => {
        concat!(
            r"(?:(?:%(?:25)*e2|\xe2)(?:%(?:25)*80|\x80)(?:%(?:25)*a5|\xa5)",
            r"|(?:%(?:25)*ef|\xef)(?:%(?:25)*b8|\xb8)(?:%(?:25)*b0|\xb0))"
        )
    };
}
/// The same for a slash and a backslash: fraction and division slash, full-width slash and backslash, small backslash.
macro_rules! separator_lookalike {
    () => {
        concat!(
            r"(?:(?:%(?:25)*e2|\xe2)(?:(?:%(?:25)*81|\x81)(?:%(?:25)*84|\x84)|(?:%(?:25)*88|\x88)(?:%(?:25)*95|\x95))",
            r"|(?:%(?:25)*ef|\xef)(?:(?:%(?:25)*bc|\xbc)(?:%(?:25)*(?:8f|bc)|[\x8f\xbc])|(?:%(?:25)*b9|\xb9)(?:%(?:25)*a8|\xa8)))"
        )
    };
}
/// The same for a semicolon: full-width, small, and the Greek question mark.
macro_rules! parameters_lookalike {
    () => {
        concat!(
            r"(?:(?:%(?:25)*ef|\xef)(?:(?:%(?:25)*bc|\xbc)(?:%(?:25)*9b|\x9b)|(?:%(?:25)*b9|\xb9)(?:%(?:25)*94|\x94))",
            r"|(?:%(?:25)*cd|\xcd)(?:%(?:25)*be|\xbe))"
        )
    };
}
/// White space that some applications strip from a path or from the end of a name: that of ASCII, the next line and the
/// no-break space (in UTF-8, and as single bytes of other encodings), and the ideographic space. No two of these have a
/// common prefix, so a run of them matches in only one way, and an attacker cannot make the engine backtrack.
macro_rules! blank {
    () => {
        concat!(
            r"(?:%(?:25)*(?:20|0[9a-d])|(?:%(?:25)*c2|\xc2)?(?:%(?:25)*(?:85|a0)|[\x85\xa0])",
            r"|(?:%(?:25)*e3|\xe3)(?:%(?:25)*80|\x80){2})"
        )
    };
}
/// A run of any length, possessive: nothing else begins like white space, so backtracking into it is pointless.
macro_rules! maybe_blanks {
    () => {
        concat!(blank!(), "*+")
    };
}
/// A dot, plain or escaped, also several times or in an overlong form.
macro_rules! dot {
    () => {
        concat!(r"(?:[.]|%(?:25)*2e|", overlong_dot!(), "|", dot_lookalike!(), ")")
    };
}
macro_rules! odd_dot {
    () => {
        concat!("(?:%(?:25)+2e|", overlong_dot!(), "|", dot_lookalike!(), ")")
    };
}
/// Separators of segments.
macro_rules! separator {
    () => {
        concat!(r"(?:[/\\]|%(?:25)*(?:2f|5c)|", overlong_separator!(), "|", separator_lookalike!(), ")")
    };
}
/// Separators for some applications only.
macro_rules! odd_separator {
    () => {
        concat!(r"(?:\\|%(?:25)*5c|%(?:25)+2f|", overlong_separator!(), "|", separator_lookalike!(), ")")
    };
}
/// The end of a segment's name for applications that support parameters.
macro_rules! parameters {
    () => {
        concat!("(?:;|%(?:25)*3b|", overlong_parameters!(), "|", parameters_lookalike!(), ")")
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

/// Each pattern finds one kind of such paths in the request target. nginx accepts no word of more than 4095 bytes, as
/// written.
const PATTERNS: &[&str] = &[
    // Dots with parameters.
    concat!(path!(), separator!(), "(?:", dot!(), "{1,2}|", two_dots_lookalike!(), ")", parameters!()),
    // Dots that appear only after repeated decoding.
    concat!(path!(), separator!(), "(?:", odd_dot!(), dot!(), "?|", dot!(), odd_dot!(), "|", two_dots_lookalike!(), ")", segment_end!()),
    // Dots next to a backslash or the like.
    concat!(path!(), odd_separator!(), dot!(), "{1,2}", segment_end!()),
    concat!(path!(), separator!(), dot!(), "{1,2}", odd_separator!()),
    // Dots with white space before, between or after them.
    concat!(
        path!(),
        separator!(),
        "(?=",
        dot!(),
        "{0,2}",
        blank!(),
        ")",
        maybe_blanks!(),
        "(?:",
        dot!(),
        maybe_blanks!(),
        "){1,2}(?:",
        segment_end!(),
        "|",
        parameters!(),
        ")"
    ),
    // The same for a character that represents two dots.
    concat!(path!(), separator!(), maybe_blanks!(), two_dots_lookalike!(), maybe_blanks!(), "(?:", segment_end!(), "|", parameters!(), ")"),
    // A doubly escaped character whose digits are escaped as well (`%25%32%65`). No encoder writes this: it could be
    // anything.
    concat!(path!(), "%(?:25)+[0-9a-f]?%(?:25)*(?:3[0-9]|[46][1-6])"),
    // Steps up if segments are counted differently. An escaped slash suffices: some applications treat it as part of a name.
    concat!(
        "~*^(?=[^?#]*",
        separator!(),
        dot!(),
        "{2}",
        segment_end!(),
        ")[^?#]*(?:%2f|",
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

/// Writes the variable that is `1` for such a path. It costs nothing if no host uses it.
pub fn write_map(http: &mut Writer) {
    http.comment("Paths that an application may resolve differently from the engine.");
    http.block("map", &["$request_uri".into(), "$leaves_its_path".into()], |map| {
        map.entry("default", "");
        for pattern in PATTERNS {
            map.entry(pattern, "1");
        }
    });
}

/// Refuses such paths on a host that is shared by path.
pub fn write_refusal(server: &mut Writer, host: &VirtualHost) {
    if host.is_shared_by_path() {
        server.condition("$leaves_its_path", |refused| refused.directive("return", &["400".into()]));
    }
}

#[cfg(test)]
mod tests {
    use super::PATTERNS;

    #[test]
    fn every_pattern_fits_the_engine() {
        for pattern in PATTERNS {
            let written = pattern.len() + pattern.matches('\\').count() + "\"\"".len();
            assert!(written < 4096, "{written}: {pattern}");
        }
    }
}
