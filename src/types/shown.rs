//! How text of strangers (labels, names, an engine's words) is shown to people: nothing in it moves a cursor, turns a line round or
//! hides, and what looks like a private key is withheld. It must never be used to decide what a text means.

/// What stands in the place of a character that cannot be shown.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
/// What stands in the place of a private key.
const WITHHELD: &str = "(not shown: a private key)";

/// Whether a terminal or a browser shows nothing for the character, or shows others differently because of it: control
/// characters, and the Unicode characters that set the direction of text, join or separate without width, or break lines.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with a mark for each hidden character.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { REPLACEMENT } else { c }).collect()
}

/// The same, at most so many characters long, and nothing of a private key.
pub fn excerpt(text: &str, chars_max: usize) -> String {
    without_private_key(text).chars().take(chars_max).map(|c| if is_hidden(c) { REPLACEMENT } else { c }).collect()
}

/// The text, unless a private key in PEM stands in it, line breaks or not: somebody took a key for the name of one.
pub fn without_private_key(text: &str) -> &str {
    if text.contains("PRIVATE KEY-----") { WITHHELD } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_left() {
        for hidden in ['\u{1b}', '\n', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{2028}', '\u{e0041}'] {
            assert_eq!(visible(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
        assert_eq!(visible("grüße 世界 -_."), "grüße 世界 -_.");
    }

    #[test]
    fn a_private_key_is_withheld_and_anything_else_is_cut() {
        for key in ["-----BEGIN PRIVATE KEY-----\\nMIIE", "x\n-----BEGIN EC PRIVATE KEY-----\nMHc", "-----BEGIN ENCRYPTED PRIVATE KEY-----"]
        {
            assert_eq!(excerpt(key, 300), WITHHELD);
        }
        assert_eq!(excerpt("abcdef\u{1b}", 4), "abcd");
        assert_eq!(excerpt("-----BEGIN CERTIFICATE-----", 300), "-----BEGIN CERTIFICATE-----");
    }
}
