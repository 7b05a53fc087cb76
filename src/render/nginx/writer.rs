//! Writes nginx syntax structurally: directives of quoted words, and blocks. A [`Word`] can only be made from our own static
//! text and from checked values, so no user input can end a directive or open a block.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::hash_sizes::HashedNames;
use crate::route::SizeBytes;
use crate::types::{
    AddressRange, ContextPath, CookieName, Digest, EngineLine, HostPattern, LogFormat, LogTarget, NetworkName, Port, ServiceName, SiteUrl,
    TlsCiphers,
};

/// One argument of a directive, before quoting. Most are our own static text, which is borrowed: a table with thousands of
/// routes has hundreds of thousands of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(Cow<'static, str>);

impl Word {
    /// Any text in quotes.
    pub fn quote(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// Several parts as one argument.
    pub fn join<const N: usize>(parts: [Self; N]) -> Self {
        Self::from_text(parts.into_iter().map(|part| part.0).collect())
    }

    /// Any text as an identifier: letters, digits, `.`, `-`, `_` and `*` are kept, `/` becomes `~`, everything else `!hh`.
    /// Different texts give different identifiers, because neither `~` nor `!` is kept.
    pub fn identifier(text: &str) -> Self {
        let mut identifier = String::with_capacity(text.len());
        text.bytes().for_each(|byte| push_identifier_byte(&mut identifier, byte));
        Self::from_text(identifier)
    }

    /// An identifier as above for names that the engine compares without regard to case (pools): texts that differ only in
    /// case get identifiers that differ in more.
    pub fn caseless_identifier(text: &str) -> Self {
        let mut identifier = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_uppercase() { push_escaped_byte(&mut identifier, byte) } else { push_identifier_byte(&mut identifier, byte) }
        }
        Self::from_text(identifier)
    }

    /// A path, or a part of one, that contains only what a [`ContextPath`] may contain.
    pub fn path(text: &str) -> Self {
        Self::from_text(text.chars().filter(|c| c.is_ascii_alphanumeric() || "/-._~!&+,=:@".contains(*c)).collect())
    }

    /// A pattern for everything below a path; `$1` is the part after the slash. A path can contain a line break (`%0A`),
    /// which a dot matches only with a flag.
    pub fn below_pattern(path: &ContextPath) -> Self {
        Self::from_text(format!("(?s)^{}/(.*)$", escaped(path.as_str())))
    }

    /// The variable with the key that selects an endpoint for clients with this cookie. A cookie's name may contain
    /// characters that a variable's may not, and be longer than the engine expects.
    pub fn cookie_variable(name: &CookieName) -> Self {
        Self::from_text(format!("$sticky_{}", Digest::of_bytes(name.as_str().as_bytes()).short()))
    }

    /// A pattern for the cookie in a `Cookie` header; `$sticky_value` is its value.
    pub fn cookie_pattern(name: &CookieName) -> Self {
        Self::from_text(format!("~(?:^|;[ ]*){}=(?<sticky_value>[^;]+)", escaped(name.as_str())))
    }

    /// The word, before quoting.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A wildcard host as a pattern in which the wildcard matches exactly one label.
    pub fn one_label_wildcard(host: &HostPattern) -> Self {
        let suffix = host.as_str().trim_start_matches("*.").replace('.', "[.]");
        Self::from_text(format!("~^[^.]+[.]{suffix}$"))
    }

    /// A time of at most a year: engines support no more, and none is needed.
    pub fn millis(ms: u64) -> Self {
        let ms = ms.min(365 * 24 * 3_600_000);
        Self::from_text(if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") })
    }

    /// A time for directives that only support whole seconds: rounded up.
    pub fn seconds(ms: u64) -> Self {
        Self::millis(ms.saturating_add(999) / 1000 * 1000)
    }

    /// A size, limited to a signed number (as in nginx).
    pub fn size(size: SizeBytes) -> Self {
        let bytes = size.0.min(i64::MAX.unsigned_abs());
        let units = [(1 << 20, "m"), (1 << 10, "k")];
        let fitting = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
        Self::from_text(fitting.map_or_else(|| bytes.to_string(), |(unit, letter)| format!("{}{letter}", bytes / unit)))
    }

    /// The same text with one variable replaced by another: `$name` and `${name}`, never part of a longer name.
    pub fn with_variable(&self, name: &'static str, other: &'static str) -> Self {
        let mut text = String::with_capacity(self.0.len());
        let mut rest = self.as_str();
        while let Some(at) = rest.find('$') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let after = [format!("${{{name}}}"), format!("${name}")].iter().find_map(|form| rest.strip_prefix(form.as_str()));
            let ends = |after: &&str| rest.starts_with("${") || !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let (written, left) = after.filter(ends).map_or(("$".to_owned(), &rest[1..]), |after| (format!("${{{other}}}"), after));
            text.push_str(&written);
            rest = left;
        }
        Self::from_text(text + rest)
    }

    fn quoted(&self) -> Cow<'_, str> {
        let address = self.0.starts_with('[');
        let bare = |b: u8| b.is_ascii_alphanumeric() || b"._-:/$=".contains(&b) || (address && b"[]".contains(&b));
        if !self.0.is_empty() && self.0.bytes().all(bare) {
            return Cow::Borrowed(&self.0);
        }
        Cow::Owned(Self::quote(&self.0))
    }

    fn from_text(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Checked text for use in a pattern: special characters are put in brackets.
fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_/~".contains(c) { c.to_string() } else { format!("[{c}]") }).collect()
}

fn push_identifier_byte(identifier: &mut String, byte: u8) {
    match byte {
        b'/' => identifier.push('~'),
        b'.' | b'-' | b'_' | b'*' => identifier.push(char::from(byte)),
        _ if byte.is_ascii_alphanumeric() => identifier.push(char::from(byte)),
        _ => push_escaped_byte(identifier, byte),
    }
}

fn push_escaped_byte(identifier: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(identifier, "!{byte:02x}");
}

impl From<&'static str> for Word {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// Makes a [`Word`] from a type whose text contains no quotes, dollars, backslashes or control characters.
macro_rules! word_from {
    ($($type:ty),+) => {$(
        impl From<$type> for Word {
            fn from(value: $type) -> Self {
                Self::from_text(value.to_string())
            }
        }
    )+};
}
word_from!(
    &HostPattern,
    &NetworkName,
    &ContextPath,
    &ServiceName,
    &SiteUrl,
    &LogTarget,
    &TlsCiphers,
    &AddressRange,
    Port,
    IpAddr,
    SocketAddr,
    u16,
    u32,
    u64,
    usize
);

/// The only text whose variables are expanded; quotes and backslashes in it are escaped as usual.
impl From<&LogFormat> for Word {
    fn from(format: &LogFormat) -> Self {
        Self::from_text(format.to_string())
    }
}

/// The text under construction.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    depth: usize,
    /// Directives that are written by someone else, and at which depth.
    left_out: (usize, OmittedDirectives),
    /// The names written so far that need room in the engine's hash tables.
    hashed: HashedNames,
}

/// Directives that are written by someone else.
#[derive(Debug, Clone, Default)]
pub struct OmittedDirectives {
    /// By name alone.
    pub directives: BTreeSet<String>,
    /// By name and first argument, in lower case.
    pub named: BTreeSet<(String, String)>,
}

impl OmittedDirectives {
    fn has(&self, name: &str, words: &[Word]) -> bool {
        let named = || words.first().is_some_and(|first| self.named.contains(&(name.to_owned(), first.0.to_ascii_lowercase())));
        self.directives.contains(name) || (!self.named.is_empty() && named())
    }
}

/// A position in the text, for parts that can only be written after the rest.
#[derive(Debug, Clone, Copy)]
pub struct ConfigPosition(usize);

impl Writer {
    /// Omits these directives at this depth from here to the end of the block.
    pub fn leave_out(&mut self, others: OmittedDirectives) {
        self.left_out = (self.depth, others);
    }

    /// The names written so far that need room in the engine's hash tables, including those in text that was taken.
    pub fn hashed(&self) -> &HashedNames {
        &self.hashed
    }

    /// Adds the names that were written elsewhere in the same configuration.
    pub fn also_hashed(&mut self, hashed: HashedNames) {
        self.hashed.join(hashed);
    }

    /// The current position. It is valid until the text is taken.
    pub fn position(&self) -> ConfigPosition {
        ConfigPosition(self.text.len())
    }

    /// Writes at an earlier position of this block.
    pub fn insert_at(&mut self, position: ConfigPosition, write: impl FnOnce(&mut Self)) {
        let rest = self.text.split_off(position.0);
        write(self);
        self.text.push_str(&rest);
    }

    /// Writes an administrator's line unchanged.
    pub fn line(&mut self, line: &EngineLine) {
        self.indent();
        self.text.push_str(line.as_str());
        self.text.push('\n');
    }

    /// `name word word;`
    pub fn directive(&mut self, name: &'static str, words: &[Word]) {
        if self.left_out.0 == self.depth && self.left_out.1.has(name, words) {
            return;
        }
        self.words(name, words);
        self.text.push_str(";\n");
    }

    /// `name word word { ... }`
    pub fn block(&mut self, name: &'static str, words: &[Word], body: impl FnOnce(&mut Self)) {
        self.words(name, words);
        self.text.push_str(" {\n");
        self.depth += 1;
        let outer = self.left_out.clone();
        body(self);
        self.left_out = outer;
        self.depth -= 1;
        self.indent();
        self.text.push_str("}\n");
    }

    /// `if (condition) { ... }`, with a condition of ours.
    pub fn condition(&mut self, condition: &'static str, body: impl FnOnce(&mut Self)) {
        self.indent();
        self.text.push_str("if (");
        self.text.push_str(condition);
        self.text.push_str(") {\n");
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.indent();
        self.text.push_str("}\n");
    }

    /// Writes a line of a `map`: a key and its value.
    pub fn entry(&mut self, key: &'static str, value: &'static str) {
        self.entry_words(&key.into(), &value.into());
    }

    /// Writes a line of a `map` made of checked values.
    pub fn entry_words(&mut self, key: &Word, value: &Word) {
        self.hashed.note_key(key.as_str());
        self.indent();
        self.text.push_str(&key.quoted());
        self.text.push(' ');
        self.text.push_str(&value.quoted());
        self.text.push_str(";\n");
    }

    /// `# text`
    pub fn comment(&mut self, text: &'static str) {
        self.indent();
        self.text.push_str("# ");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Takes the text so far; further text is written to the same blocks.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Returns the whole text.
    pub fn finish(self) -> String {
        self.text
    }

    fn words(&mut self, name: &str, words: &[Word]) {
        self.hashed.note(name, &words.iter().map(Word::as_str).collect::<Vec<_>>());
        self.indent();
        self.text.push_str(name);
        for word in words {
            self.text.push(' ');
            self.text.push_str(&word.quoted());
        }
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("    ", self.depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(word: &Word, expected: &str) {
        assert_eq!(word.quoted(), expected);
    }

    #[test]
    fn words_with_special_characters_are_quoted() {
        quoted(&"on".into(), "on");
        quoted(&"".into(), "\"\"");
        quoted(&"a;b{c}".into(), "\"a;b{c}\"");
        quoted(&"say \"x\\".into(), "\"say \\\"x\\\\\"");
    }

    #[test]
    fn a_variable_replaces_only_whole_names() {
        let word: Word = "$remote_addr ${remote_addr}x $remote_addr_x $$remote_addr- $".into();
        quoted(&word.with_variable("remote_addr", "client"), "\"${client} ${client}x $remote_addr_x $${client}- $\"");
    }

    #[test]
    fn identifiers_of_different_texts_differ() {
        quoted(&Word::identifier("a/b_c"), "\"a~b_c\"");
        quoted(&Word::identifier("a~b!2f"), "\"a!7eb!212f\"");
        quoted(&Word::caseless_identifier("/aB"), "\"~a!42\"");
        quoted(&Word::identifier("x\"; y {\n$z"), "\"x!22!3b!20y!20!7b!0a!24z\"");
    }

    #[test]
    fn sizes_and_times_use_the_largest_exact_unit_and_never_overflow() {
        quoted(&Word::size(SizeBytes(1 << 20)), "1m");
        quoted(&Word::size(SizeBytes(1025)), "1025");
        quoted(&Word::size(SizeBytes(0)), "0");
        quoted(&Word::size(SizeBytes(u64::MAX)), "9223372036854775807");
        quoted(&Word::millis(1500), "1500ms");
        quoted(&Word::seconds(1001), "2s");
        quoted(&Word::seconds(0), "0s");
        quoted(&Word::millis(u64::MAX), "31536000s");
    }

    #[test]
    fn overridden_directives_are_left_out_only_at_their_depth() {
        let mut writer = Writer::default();
        let listen = || OmittedDirectives {
            directives: BTreeSet::from(["listen".to_owned()]),
            named: BTreeSet::from([("add_header".to_owned(), "x-a".to_owned())]),
        };
        writer.block("http", &[], |http| http.leave_out(listen()));
        writer.directive("listen", &["0".into()]);
        writer.leave_out(listen());
        writer.directive("add_header", &["X-A".into(), "1".into()]);
        writer.directive("add_header", &["x-b".into(), "x-a".into()]);
        writer.directive("listen", &["1".into()]);
        writer.block("server", &[], |server| server.directive("listen", &["2".into()]));
        writer.line(&EngineLine::parse(" listen '3' ; ").unwrap());
        assert_eq!(writer.finish(), "http {\n}\nlisten 0;\nadd_header x-b x-a;\nserver {\n    listen 2;\n}\nlisten '3' ;\n");
    }

    #[test]
    fn deferred_directives_are_inserted_at_their_position() {
        let mut writer = Writer::default();
        writer.block("http", &[], |http| {
            let position = http.position();
            http.directive("server_name", &["a".into()]);
            let sizes = http.hashed().sizes(false);
            http.insert_at(position, |http| http.directive(sizes[0].0, &[sizes[0].1.into()]));
        });
        assert_eq!(writer.finish(), "http {\n    server_names_hash_bucket_size 128;\n    server_name a;\n}\n");
    }

    #[test]
    fn blocks_nest_with_indentation() {
        let mut writer = Writer::default();
        writer.block("http", &[], |http| http.block("server", &[], |server| server.directive("listen", &[80_u16.into()])));
        assert_eq!(writer.finish(), "http {\n    server {\n        listen 80;\n    }\n}\n");
    }
}
