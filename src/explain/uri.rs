//! Paths as engines see them: decoded once, without `//`, `.` and `..`; and written again for an application whose path is
//! cut off. What nginx does (`ngx_http_parse_complex_uri`), held against it by `tests/nginx/explained.rs`.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// A request that is answered 400 whatever the routes are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// A `%` without two hexadecimal digits.
    #[error("the path has a % that is not followed by two hexadecimal digits")]
    Escape,
    /// An escaped NUL.
    #[error("the path has an escaped NUL character")]
    Nul,
    /// More `..` than segments.
    #[error("the path leads above the root")]
    AboveRoot,
}

/// The path in the form in which routes are compared. Bytes that are no UTF-8 are in no route; they are replaced.
pub fn as_routes_see_it(path: &str) -> Result<String, BadPath> {
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

/// Whether an application may read this path (as it was asked) as leading elsewhere than engines do: dots with parameters,
/// backslashes, what is escaped more than once. Hosts that are shared by path refuse it; `render` has the same rule in
/// patterns.
pub fn may_lead_elsewhere(asked: &str) -> bool {
    let path = asked.split(['?', '#']).next().unwrap_or_default();
    let marks = marks(&path.to_ascii_lowercase());
    let segments: Vec<&[Mark]> = marks.split(|mark| matches!(mark, Mark::Separator { .. })).collect();
    let separators: Vec<bool> =
        marks.iter().filter_map(|mark| if let Mark::Separator { odd } = mark { Some(*odd) } else { None }).collect();
    // What stands before the first separator is no segment.
    let mut between = segments.iter().skip(1).zip(&separators).enumerate();
    let odd_dots = |(at, (segment, odd_before)): (usize, (&&[Mark], &bool))| {
        let odd_behind = separators.get(at + 1) == Some(&true);
        is_dotted(segment)
            && (*odd_before || odd_behind || segment.contains(&Mark::Parameters) || segment.contains(&Mark::Dot { odd: true }))
    };
    between.any(odd_dots) || (goes_up(&segments) && is_counted_differently(&segments, &separators))
}

/// What of a path has a meaning to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Between segments; `odd`: only some know it.
    Separator { odd: bool },
    /// A dot; `odd`: only some know it.
    Dot { odd: bool },
    /// What begins the parameters of a segment.
    Parameters,
    /// Anything else.
    Other,
}

fn marks(path: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let (mark, length) = mark(rest, first);
        marks.push(mark);
        rest = &rest[length..];
    }
    marks
}

fn mark(rest: &str, first: char) -> (Mark, usize) {
    const OVERLONG: [(&str, Mark); 3] =
        [("%c0%ae", Mark::Dot { odd: true }), ("%c0%af", Mark::Separator { odd: true }), ("%c1%9c", Mark::Separator { odd: true })];
    if let Some((text, mark)) = OVERLONG.iter().find(|(text, _)| rest.starts_with(text)) {
        return (*mark, text.len());
    }
    match first {
        '/' => (Mark::Separator { odd: false }, 1),
        '\\' => (Mark::Separator { odd: true }, 1),
        '.' => (Mark::Dot { odd: false }, 1),
        ';' => (Mark::Parameters, 1),
        '%' => escaped_mark(rest),
        other => (Mark::Other, other.len_utf8()),
    }
}

/// `%2e`, `%252e`, and so on.
fn escaped_mark(rest: &str) -> (Mark, usize) {
    let mut end = 1;
    while rest[end..].starts_with("25") {
        end += 2;
    }
    let again = end > 1;
    let mark = match rest.get(end..end + 2) {
        Some("2e") => Mark::Dot { odd: again },
        Some("2f") => Mark::Separator { odd: again },
        Some("5c") => Mark::Separator { odd: true },
        Some("3b") => Mark::Parameters,
        _ => return (Mark::Other, 1),
    };
    (mark, end + 2)
}

/// One or two dots, whatever parameters follow.
fn is_dotted(segment: &[Mark]) -> bool {
    let name: Vec<&Mark> = segment.iter().take_while(|mark| **mark != Mark::Parameters).collect();
    (1..=2).contains(&name.len()) && name.iter().all(|mark| matches!(mark, Mark::Dot { .. }))
}

fn goes_up(segments: &[&[Mark]]) -> bool {
    segments.iter().skip(1).any(|segment| matches!(segment, [Mark::Dot { .. }, Mark::Dot { .. }]))
}

/// Whether there are segments that count for some and not for others, so that `..` leads to different places.
fn is_counted_differently(segments: &[&[Mark]], separators: &[bool]) -> bool {
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    let nameless = |segment: &&[Mark]| segment.first() == Some(&Mark::Parameters);
    separators.contains(&true) || inner.iter().any(|segment| segment.is_empty()) || segments.iter().skip(1).any(nameless)
}

/// What an engine escapes in a path that it writes anew.
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

/// Whether an engine escapes what it writes anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Only where something was escaped in what was asked: nginx passes odd characters on as they came.
    AsAsked,
    /// Always.
    Escaped,
}

/// What follows `root` in the path `path` (as routes see it; `asked` as it was asked), as an application whose context root
/// is cut off sees it.
pub fn below(path: &str, asked: &str, root: &str, writing: Writing) -> String {
    let rest = path.strip_prefix(root).unwrap_or(path);
    let escaped = writing == Writing::Escaped || asked.contains('%');
    let rest = if escaped { percent_encode(rest.as_bytes(), ESCAPED).to_string() } else { rest.to_owned() };
    if rest.starts_with('/') { rest } else { format!("/{rest}") }
}

#[cfg(test)]
mod tests {
    use super::{BadPath, Writing, as_routes_see_it, below, may_lead_elsewhere};

    fn check(path: &str, expected: Result<&str, BadPath>) {
        assert_eq!(as_routes_see_it(path), expected.map(str::to_owned), "{path}");
    }

    #[test]
    fn paths_are_decoded_once_and_cleaned() {
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
    fn paths_that_somebody_may_read_otherwise_are_told_apart() {
        for odd in [
            "/app/..;/admin",
            "/app/..;x=1",
            "/app/.;/x",
            "/app/%2e%2e;/admin",
            "/app/..%3b/admin",
            "/app/..%5cadmin",
            "/app\\..\\admin",
            "/app/..\\admin",
            "/app/x%5c..",
            "/app/%252e%252e/admin",
            "/app/%252e./x",
            "/app/%25252e%25252e%25252fadmin",
            "/app/..%252fadmin",
            "/app/%c0%ae%c0%ae/admin",
            "/app/..%c0%afadmin",
            "/app//../admin",
            "/b/a//../../app/x",
            "/app/;x/../admin",
            "/app/a%5cb/../../x",
            "/app/x/../y//z",
            "/%2E%2E;/a",
        ] {
            assert!(may_lead_elsewhere(odd), "{odd}");
        }
        for plain in [
            "/",
            "/app/",
            "/app/../x",
            "/app/%2e%2e/x",
            "/app/./x",
            "/app//x",
            "/app/a;b/c",
            "/app/..a/.b",
            "/app/a..;b",
            "/app/group%2Fproject",
            "/app/a%5cb",
            "/app/50%25",
            "/app/a%252eb",
            "/app/...",
            "/app/...;x",
            "/x?..;/",
            "/app/;x/y",
            "/app/%",
            "/app/ä..;",
            "/app/..%2fx",
        ] {
            assert!(!may_lead_elsewhere(plain), "{plain}");
        }
    }

    #[test]
    fn bad_paths_are_told_apart() {
        check("/%", Err(BadPath::Escape));
        check("/%4", Err(BadPath::Escape));
        check("/%zz", Err(BadPath::Escape));
        check("/%00", Err(BadPath::Nul));
        check("/%2e%2e/a", Err(BadPath::AboveRoot));
    }

    #[test]
    fn a_cut_path_is_escaped_again() {
        for (path, asked, writing, expected) in [
            ("/app/a b%", "/app/a%20b%25", Writing::AsAsked, "/a%20b%25"),
            ("/app/ä", "/app/%C3%A4", Writing::AsAsked, "/%C3%A4"),
            ("/app/a|b", "/app/a|b", Writing::AsAsked, "/a|b"),
            ("/app/a|b", "/app/a|b", Writing::Escaped, "/a%7Cb"),
            ("/app", "/app", Writing::AsAsked, "/"),
        ] {
            assert_eq!(below(path, asked, "/app", writing), expected, "{asked} {writing:?}");
        }
    }
}
