//! Makes untrusted text (labels, names, an engine's output) safe to show to people: nothing in it moves a cursor, reverses
//! a line or hides, and what looks like a private key is withheld. It must never be used to decide what a text means.

/// Replaces a private key.
const WITHHELD: &str = "(not shown: a private key)";

/// Whether a terminal or a browser displays nothing for the character, or displays others differently because of it:
/// control characters, and the Unicode characters that set the direction of text, join or separate without width, or break
/// lines.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether readers cannot see which character it is: a hidden one, one that looks like empty space, or a blank other than
/// the ordinary space. In names and values these look like nothing or like a space, and are neither.
pub fn is_invisible(c: char) -> bool {
    let fills = matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0100}'..='\u{e01ef}');
    is_hidden(c) || fills || (c.is_whitespace() && c != ' ')
}

/// Describes the first such character of a text and its position; `None` if there is none.
pub fn first_invisible(text: &str) -> Option<String> {
    let (at, c) = text.chars().enumerate().find(|(_, c)| is_invisible(*c))?;
    let more = text.chars().filter(|c| is_invisible(*c)).count() - 1;
    let name = name_of(c).map_or_else(String::new, |name| format!(" ({name})"));
    let others = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("an invisible character at position {}: U+{:04X}{name}{others}", at + 1, u32::from(c)))
}

/// The text without such characters; blanks among them become ordinary spaces.
pub fn without_invisible(text: &str) -> String {
    let shown = |c: char| if is_invisible(c) { c.is_whitespace().then_some(' ') } else { Some(c) };
    text.chars().filter_map(shown).collect()
}

fn name_of(c: char) -> Option<&'static str> {
    Some(match c {
        '\t' => "a tab",
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => "a line break",
        '\u{a0}' | '\u{202f}' => "a no-break space",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}' => "a zero-width space",
        '\u{200c}' | '\u{200d}' => "a zero-width joiner or non-joiner",
        '\u{2060}' => "a word joiner",
        '\u{feff}' => "a byte order mark",
        '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark that changes the direction of text"
        }
        c if c.is_control() => "a control character",
        c if c.is_whitespace() => "a blank other than the ordinary space",
        _ => return None,
    })
}

/// The text on one line, with each such character escaped: `\u{200b}`, `\n`.
pub fn visible(text: &str) -> String {
    escaped(text.chars()).collect()
}

/// Like [`visible`], with line breaks preserved.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Like [`visible`], at most `chars_max` characters long, and without any part of a private key.
pub fn excerpt(text: &str, chars_max: usize) -> String {
    escaped(without_private_key(text).chars()).take(chars_max).collect()
}

fn escaped(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    text.flat_map(|c| {
        let (seen, first_invisible) = if is_invisible(c) { (None, Some(c.escape_default())) } else { (Some(c), None) };
        seen.into_iter().chain(first_invisible.into_iter().flatten())
    })
}

/// The text, unless it contains a private key in PEM, with or without line breaks: a user may confuse a key with its name.
pub fn without_private_key(text: &str) -> &str {
    if text.contains("PRIVATE KEY-----") { WITHHELD } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped() {
        for hidden in [
            '\u{1b}',
            '\u{7f}',
            '\u{9b}',
            '\n',
            '\u{202e}',
            '\u{200b}',
            '\u{feff}',
            '\u{ad}',
            '\u{2028}',
            '\u{e0041}',
            '\u{a0}',
            '\u{2800}',
        ] {
            let shown = format!("a{}b", hidden.escape_default());
            assert_eq!((visible(&format!("a{hidden}b")), excerpt(&format!("a{hidden}b"), 300)), (shown.clone(), shown), "{hidden:?}");
        }
        assert_eq!(visible_lines("a\u{200b}\nb\r\n"), "a\\u{200b}\nb\\r\n");
        assert_eq!(visible("grüße 世界 -_."), "grüße 世界 -_.");
    }

    #[test]
    fn invisible_characters_are_named_with_their_position() {
        let cases = [
            ("app\u{200b}.example.org", "at position 4: U+200B (a zero-width space)"),
            ("\u{feff}app", "at position 1: U+FEFF (a byte order mark)"),
            ("a\u{a0}b", "at position 2: U+00A0 (a no-break space)"),
            ("a\u{ad}b\u{ad}", "at position 2: U+00AD (a soft hyphen), and 1 more"),
            ("a\u{202e}b", "at position 2: U+202E (a mark that changes the direction of text)"),
            ("a\u{fe0f}", "at position 2: U+FE0F"),
        ];
        for (text, expected) in cases {
            assert_eq!(first_invisible(text), Some(format!("an invisible character {expected}")), "{text:?}");
        }
        assert_eq!(first_invisible("app.example.org, grüße 世界"), None);
        assert_eq!(without_invisible("\u{feff}a\u{200b}b\u{a0}c d"), "ab c d");
    }

    #[test]
    fn a_private_key_is_withheld_and_other_text_is_truncated() {
        for key in ["-----BEGIN PRIVATE KEY-----\\nMIIE", "x\n-----BEGIN EC PRIVATE KEY-----\nMHc", "-----BEGIN ENCRYPTED PRIVATE KEY-----"]
        {
            assert_eq!(excerpt(key, 300), WITHHELD);
        }
        assert_eq!(excerpt("abcdef\u{1b}", 4), "abcd");
        assert_eq!(excerpt("-----BEGIN CERTIFICATE-----", 300), "-----BEGIN CERTIFICATE-----");
    }
}
