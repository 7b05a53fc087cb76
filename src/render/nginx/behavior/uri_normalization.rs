//! Paths as nginx sees them (`ngx_http_parse_complex_uri`): decoded once, without `//`, `.` and `..`; and encoded again for
//! an application whose path is cut off. `tests/nginx/explain_agreement.rs` compares them with nginx.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::render::{BadPath, CutRequest};

/// The path in the form in which routes are compared. Bytes that are not UTF-8 occur in no route; they are replaced.
pub fn normalized(path: &str) -> Result<String, BadPath> {
    let bytes = decoded(path.as_bytes())?;
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = bytes.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." if !last => {}
            b".." => {
                kept.pop().ok_or(BadPath::AboveRoot)?;
                kept.extend(last.then_some(&b""[..]));
            }
            b"." => kept.push(b""),
            segment => kept.push(segment),
        }
    }
    Ok(format!("/{}", String::from_utf8_lossy(&kept.join(&b'/'))))
}

fn decoded(path: &[u8]) -> Result<Vec<u8>, BadPath> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(BadPath::Escape) };
        match high << 4 | low {
            0 => return Err(BadPath::Nul),
            byte => bytes.push(byte),
        }
    }
    Ok(bytes)
}

/// The characters that nginx escapes in a path that it writes anew.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The path after the context root, as an application with a cut-off path sees it. nginx passes unusual characters on
/// unchanged if the request contained no escapes. HTTP/2 backends take no URI, so a rewrite cuts off their path, which
/// always escapes.
pub fn strip_prefix(request: &CutRequest<'_>) -> String {
    let rest = request.path.strip_prefix(request.root).unwrap_or(request.path);
    let escaped = request.http2 || request.requested.contains('%');
    let rest = if escaped { percent_encode(rest.as_bytes(), ESCAPED).to_string() } else { rest.to_owned() };
    if rest.starts_with('/') { rest } else { format!("/{rest}") }
}

#[cfg(test)]
mod tests {
    use super::{BadPath, CutRequest, normalized, strip_prefix};

    fn check(path: &str, expected: Result<&str, BadPath>) {
        assert_eq!(normalized(path), expected.map(str::to_owned), "{path}");
    }

    #[test]
    fn paths_are_decoded_once_and_normalized() {
        check("/", Ok("/"));
        check("/a//b/", Ok("/a/b/"));
        check("//", Ok("/"));
        check("/%61pp/%2525", Ok("/app/%25"));
        check("/a/./b/../c", Ok("/a/c"));
        check("/a/b/..", Ok("/a/"));
        check("/a/.", Ok("/a/"));
        check("/a%2Fb%3Fc", Ok("/a/b?c"));
        check("/a/%2e%2e/b", Ok("/b"));
        check("/..a/.b", Ok("/..a/.b"));
    }

    #[test]
    fn invalid_paths_have_distinct_errors() {
        check("/%", Err(BadPath::Escape));
        check("/%4", Err(BadPath::Escape));
        check("/%zz", Err(BadPath::Escape));
        check("/%00", Err(BadPath::Nul));
        check("/%2e%2e/a", Err(BadPath::AboveRoot));
    }

    #[test]
    fn a_shortened_path_is_escaped_again() {
        for (path, requested, http2, expected) in [
            ("/app/a b%", "/app/a%20b%25", false, "/a%20b%25"),
            ("/app/ä", "/app/%C3%A4", false, "/%C3%A4"),
            ("/app/a|b", "/app/a|b", false, "/a|b"),
            ("/app/a|b", "/app/a|b", true, "/a%7Cb"),
            ("/app", "/app", false, "/"),
        ] {
            let request = CutRequest { path, requested, root: "/app", http2 };
            assert_eq!(strip_prefix(&request), expected, "{requested} {http2}");
        }
    }
}
