//! A minimal parser of nginx's syntax: words, quotes, comments, `;` and braces. Panics on anything that nginx would reject,
//! too. Written from nginx's rules, not from our writer.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// A directive. A comment has the name `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    pub name: String,
    pub args: Vec<String>,
    pub block: Option<Vec<Self>>,
    pub comment: Option<String>,
}

impl Directive {
    /// The directives of this name inside the block.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &Self> {
        self.block.iter().flatten().filter(move |directive| directive.name == name)
    }

    /// The first argument of the first directive of this name inside the block.
    pub fn word(&self, name: &'static str) -> Option<&str> {
        self.all(name).next().and_then(|directive| directive.args.first()).map(String::as_str)
    }
}

/// Parses the main file and the files that it includes.
pub fn parse(files: &BTreeMap<String, String>) -> Vec<Directive> {
    let mut config = read(&files["nginx.conf"]);
    let hosts: Vec<Directive> = files.iter().filter(|(name, _)| name.starts_with("host-")).flat_map(|(_, text)| read(text)).collect();
    for http in config.iter_mut().filter(|directive| directive.name == "http") {
        let block = http.block.get_or_insert_default();
        let includes = block.iter().filter(|directive| directive.name == "include").count();
        assert_eq!(includes, usize::from(!hosts.is_empty()));
        block.retain(|directive| directive.name != "include" || directive.args != ["host-*.conf"]);
        block.extend(hosts.iter().cloned());
    }
    config
}

fn read(text: &str) -> Vec<Directive> {
    let mut chars = text.chars().peekable();
    let block = block(&mut chars, false);
    assert_eq!(chars.next(), None);
    block
}

fn block(chars: &mut Peekable<Chars<'_>>, inner: bool) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut words = Vec::new();
    loop {
        match chars.peek().copied() {
            None => {
                assert!(!inner && words.is_empty(), "the text ends within a block or directive");
                return directives;
            }
            Some(c) if c.is_ascii_whitespace() => drop(chars.next()),
            Some('#') if words.is_empty() => directives.push(comment(chars)),
            Some(';') => {
                chars.next();
                directives.push(directive(&mut words, None));
            }
            Some('{') => {
                chars.next();
                let inner = block(chars, true);
                directives.push(directive(&mut words, Some(inner)));
            }
            Some('}') => {
                chars.next();
                assert!(inner && words.is_empty(), "a brace too much");
                return directives;
            }
            Some(_) => words.push(word(chars)),
        }
    }
}

fn comment(chars: &mut Peekable<Chars<'_>>) -> Directive {
    let text: String = std::iter::from_fn(|| chars.next_if(|c| *c != '\n')).collect();
    Directive { name: "#".to_owned(), args: Vec::new(), block: None, comment: Some(text) }
}

fn directive(words: &mut Vec<String>, block: Option<Vec<Directive>>) -> Directive {
    assert!(!words.is_empty(), "a directive has a name");
    let name = words.remove(0);
    Directive { name, args: std::mem::take(words), block, comment: None }
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let quote = chars.next_if(|c| *c == '"' || *c == '\'');
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| quote.is_some() || !(c.is_ascii_whitespace() || *c == ';' || *c == '{')) {
        assert!(c != '\0', "nginx reads C strings");
        match quote {
            Some(quote) if c == quote => {
                let next = chars.peek().copied();
                assert!(next.is_some_and(|c| c.is_ascii_whitespace() || c == ';' || c == '{' || c == ')'), "text behind a quote");
                return word;
            }
            _ if c == '\\' => word.push(chars.next().expect("something behind a backslash")),
            _ => word.push(c),
        }
        // A word in nginx is shorter than its buffer of 4,096 bytes.
        assert!(word.len() < 4_000, "nginx reads no word as long as this");
    }
    assert!(quote.is_none(), "a quote that does not end");
    word
}
