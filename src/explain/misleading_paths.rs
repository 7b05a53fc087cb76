//! Paths that an application may interpret differently from the proxies. Hosts that are shared by path refuse them, whatever
//! the engine; each engine's configuration implements the same rule in its own syntax.

/// Whether an application may interpret this path (as requested) differently from engines: dots with parameters,
/// backslashes, white space, repeated escapes.
pub fn is_misleading(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    if has_escaped_digits(&path) {
        return true;
    }
    let marks = marks(&path);
    let segments: Vec<&[Mark]> = marks.split(|mark| matches!(mark, Mark::Separator(_))).collect();
    let separators: Vec<Separator> =
        marks.iter().filter_map(|mark| if let Mark::Separator(separator) = mark { Some(*separator) } else { None }).collect();
    // The text before the first separator is not a segment.
    let mut between = segments.iter().skip(1).zip(&separators).enumerate();
    let odd_dots = |(at, (segment, odd_before)): (usize, (&&[Mark], &Separator))| {
        let odd_behind = separators.get(at + 1) == Some(&Separator::Odd);
        is_dotted(segment)
            && (*odd_before == Separator::Odd
                || odd_behind
                || segment.iter().any(|mark| matches!(mark, Mark::Parameters | Mark::Dot { odd: true } | Mark::TwoDots | Mark::Blank)))
    };
    between.any(odd_dots) || (goes_up(&segments) && is_counted_differently(&segments, &separators))
}

/// Which applications treat it as a separator of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `/`: all.
    Slash,
    /// `%2f`: all except those that keep it as part of a name.
    Escaped,
    /// Only some.
    Odd,
}

/// The parts of a path that have a meaning to some application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A separator of segments.
    Separator(Separator),
    /// A dot; `odd`: only some applications recognise it.
    Dot { odd: bool },
    /// A character that some applications treat as two dots.
    TwoDots,
    /// The beginning of a segment's parameters.
    Parameters,
    /// White space.
    Blank,
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
    match first {
        '/' => (Mark::Separator(Separator::Slash), 1),
        '\\' => (Mark::Separator(Separator::Odd), 1),
        '.' => (Mark::Dot { odd: false }, 1),
        ';' => (Mark::Parameters, 1),
        '%' => overlong_mark(rest).or_else(|| lookalike_mark(rest)).unwrap_or_else(|| escaped_mark(rest)),
        odd => (lookalike(odd).unwrap_or(Mark::Other), odd.len_utf8()),
    }
}

/// The two digits of an escaped byte at the beginning, however often it is escaped, and the length of the escape.
fn escaped_byte(rest: &str) -> Option<(&str, usize)> {
    let mut end = 1;
    rest.starts_with('%').then_some(())?;
    while rest[end..].starts_with("25") {
        end += 2;
    }
    Some((rest.get(end..end + 2)?, end + 2))
}

/// Overlong encodings that a lenient decoder accepts as a dot, a slash, a backslash or a semicolon.
fn overlong_mark(rest: &str) -> Option<(Mark, usize)> {
    let mut end = 0;
    let mut bytes = std::iter::from_fn(|| {
        let (digits, length) = escaped_byte(&rest[end..])?;
        end += length;
        Some((digits, end))
    });
    let (dot, separator) = (Mark::Dot { odd: true }, Mark::Separator(Separator::Odd));
    match (bytes.next()?.0, bytes.next()?) {
        ("c0", ("2e" | "6e" | "ae" | "ee", end)) => Some((dot, end)),
        ("c0", ("3b" | "7b" | "bb" | "fb", end)) => Some((Mark::Parameters, end)),
        ("c0", ("2f" | "6f" | "af" | "ef" | "5c", end)) | ("c1", ("1c" | "5c" | "9c" | "dc", end)) => Some((separator, end)),
        ("e0" | "f0" | "f8" | "fc", second) => {
            let mut zeros = 0;
            let mut last = Some(second);
            while let Some(("80", _)) = last.filter(|_| zeros < 4) {
                zeros += 1;
                last = bytes.next();
            }
            match last? {
                ("ae", end) if zeros > 0 => Some((dot, end)),
                ("af", end) if zeros > 0 => Some((separator, end)),
                ("bb", end) if zeros > 0 => Some((Mark::Parameters, end)),
                ("81", _) if zeros < 4 => bytes.next().filter(|(digits, _)| *digits == "9c").map(|(_, end)| (separator, end)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The meaning of a character after compatibility normalisation, or if white space includes more than that of ASCII.
fn lookalike(character: char) -> Option<Mark> {
    match character {
        '\u{2024}' | '\u{3002}' | '\u{fe52}' | '\u{ff61}' | '\u{ff0e}' => Some(Mark::Dot { odd: true }),
        '\u{2025}' | '\u{fe30}' => Some(Mark::TwoDots),
        '\u{2044}' | '\u{2215}' | '\u{ff0f}' | '\u{ff3c}' | '\u{fe68}' => Some(Mark::Separator(Separator::Odd)),
        '\u{37e}' | '\u{fe54}' | '\u{ff1b}' => Some(Mark::Parameters),
        '\u{85}' | '\u{a0}' | '\u{3000}' => Some(Mark::Blank),
        _ => None,
    }
}

/// The same for an escaped character: those above have two or three bytes.
fn lookalike_mark(rest: &str) -> Option<(Mark, usize)> {
    let mut end = 0;
    let mut bytes = Vec::with_capacity(3);
    while bytes.len() < 3 {
        let (digits, length) = escaped_byte(&rest[end..])?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        end += length;
        if bytes.len() > 1
            && let Ok(text) = std::str::from_utf8(&bytes)
        {
            // Two bytes may also be two characters, which `lookalike` does not recognise.
            return Some((lookalike(text.chars().next()?)?, end));
        }
    }
    None
}

/// `%2e`, `%252e`, and so on.
fn escaped_mark(rest: &str) -> (Mark, usize) {
    let Some((digits, end)) = escaped_byte(rest) else { return (Mark::Other, 1) };
    let again = end > "%2e".len();
    let mark = match digits {
        "2e" => Mark::Dot { odd: again },
        "2f" => Mark::Separator(if again { Separator::Odd } else { Separator::Escaped }),
        "5c" => Mark::Separator(Separator::Odd),
        "3b" => Mark::Parameters,
        "20" | "09" | "0a" | "0b" | "0c" | "0d" | "85" | "a0" => Mark::Blank,
        _ => return (Mark::Other, 1),
    };
    (mark, end)
}

/// Whether a doubly escaped character has escaped digits, too (`%25%32%65`). No encoder writes that.
fn has_escaped_digits(path: &str) -> bool {
    let is_digit = |byte: &str| matches!(byte.as_bytes(), [b'3', b'0'..=b'9'] | [b'4' | b'6', b'1'..=b'6']);
    let begins = |rest: &str| escaped_byte(rest).is_some_and(|(digits, _)| is_digit(digits));
    path.match_indices("%25").any(|(at, percent)| {
        let mut rest = &path[at + percent.len()..];
        loop {
            let digit = rest.starts_with(|c: char| c.is_ascii_hexdigit());
            if begins(rest) || (digit && begins(&rest[1..])) {
                return true;
            }
            let Some(after) = rest.strip_prefix("25") else { return false };
            rest = after;
        }
    })
}

/// One or two dots, with or without parameters.
fn is_dotted(segment: &[Mark]) -> bool {
    let name: Vec<&Mark> = segment.iter().take_while(|mark| **mark != Mark::Parameters).filter(|mark| **mark != Mark::Blank).collect();
    matches!(name[..], [Mark::Dot { .. } | Mark::TwoDots] | [Mark::Dot { .. }, Mark::Dot { .. }])
}

/// Two dots. Single characters that represent two dots are refused wherever they are a whole segment.
fn goes_up(segments: &[&[Mark]]) -> bool {
    segments.iter().skip(1).any(|segment| matches!(segment, [Mark::Dot { .. }, Mark::Dot { .. }]))
}

/// Whether only some applications count certain segments, so that `..` leads to different places.
fn is_counted_differently(segments: &[&[Mark]], separators: &[Separator]) -> bool {
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    let nameless = |segment: &&[Mark]| segment.first() == Some(&Mark::Parameters);
    separators.iter().any(|separator| *separator != Separator::Slash)
        || inner.iter().any(|segment| segment.is_empty())
        || segments.iter().skip(1).any(nameless)
}

#[cfg(test)]
mod tests {
    use super::is_misleading;

    const ODD: [&str; 75] = [
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
        "/app/%25%32%65%25%32%65/adm",
        "/app/..%25%32%66adm",
        "/app/%252%65%252%65/adm",
        "/app/%25%32e./adm",
        "/app/%2525%32%65/adm",
        "/app/%e0%80%ae%e0%80%ae/adm",
        "/app/%f0%80%80%ae./adm",
        "/app/%fc%80%80%80%80%ae./adm",
        "/app/..%e0%80%afadm",
        "/app/..%f0%80%81%9cadm",
        "/app/%c0%2e%c0%2e/adm",
        "/app/%c0%6e./adm",
        "/app/..%c0%5cadm",
        "/app/..%c1%1cadm",
        "/app/%25c0%25ae./adm",
        "/app/..%20/adm",
        "/app/..%2520/adm",
        "/app/.%09./adm",
        "/app/%0a../adm",
        "/app/..%0d%0a/adm",
        "/app/..%20;x/adm",
        "/app/.%20",
        "/app/..%ef%bc%8fadm",
        "/app/..%e2%81%84adm",
        "/app/..\u{ff3c}adm",
        "/app/%e3%80%82./adm",
        "/app/\u{3002}\u{3002}/adm",
        "/app/%25ef%25bc%258e./adm",
        "/app/x%2fy/../../adm",
        "/app/x%2Fy/%2e%2e/..",
        "/adm/..%2fapp",
        "/adm%2f../app",
        "/app/%e2%80%a5/adm",
        "/app/%ef%b8%b0",
        "/app/\u{2025};x/adm",
        "/app/%20%e2%80%a5%20/adm",
        "/app/%ef%b9%92%ef%b9%92%2fadm",
        "/app/.\u{fe52}/adm",
        "/app/..%ef%bc%9b/adm",
        "/app/..%ef%b9%94/adm",
        "/app/..%cd%be/adm",
        "/app/..%25cd%25be/adm",
        "/app/..\u{37e}/adm",
        "/app/..%c0%bb/adm",
        "/app/..%c0%3bx/adm",
        "/app/..%f0%80%80%bb/adm",
        "/app/%cd%be/../adm",
        "/app/..%c2%a0/adm",
        "/app/.%25c2%25a0./adm",
        "/app/..%e3%80%80/adm",
        "/app/\u{3000}../adm",
        "/app/..%85/adm",
        "/app/..%a0/adm",
        "/app/..%c2%85%20%85/adm",
    ];

    #[test]
    fn ambiguous_paths_are_recognized() {
        for odd in ODD {
            assert!(is_misleading(odd), "{odd}");
        }
    }

    #[test]
    fn unambiguous_paths_are_accepted() {
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
            "/app/.%2fx",
            "/app/x%2f./y",
            "/app/x%2fy/z?../..",
            "/app/%c3%80/x",
            "/app/%e0%a0%80/x",
            "/app/100%25/3",
            "/app/%25%20%25",
            "/app/x%253Dy",
            "/app/%25%3dx",
            "/app/%c0/x",
            "/app/%20/x",
            "/app/.%20x",
            "/app/a%20b..%20",
            "/app/..%20.a/x",
            "/app/%ef%bc%8f..a",
            "/app/.%c0%ae./x",
            "/app/%e2%80%a5./x",
            "/app/%e2%80%a6/x",
            "/app/a%ef%bc%9bb/%cd%be",
            "/app/a%c2%a0b../%e3%80%80/x",
            "/app/..%e4%b8%85/x",
            "/app/..\u{105}/x",
            "/app/..%cd/x",
        ] {
            assert!(!is_misleading(plain), "{plain}");
        }
    }
}
