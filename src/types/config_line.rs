//! Raw lines of an engine's configuration, written by an administrator. Knows where a word, a directive and a block end
//! (nginx's rules), so that a line can never swallow what follows it; must never know what a directive means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, checked_string};

/// One or more complete directives: `gzip on;`, `map $a $b { default 1; }`. Quotes are closed, braces balanced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct EngineLine(String);
checked_string!(EngineLine);

impl EngineLine {
    /// Accepts what an engine would parse as whole directives.
    pub fn parse(value: &str) -> Result<Self, InvalidValue> {
        let line = value.trim();
        if line.contains('\0') {
            return Err(InvalidValue("a line must not contain a NUL character".to_owned()));
        }
        let mut structure = LineStructure::default();
        for part in parts(line)? {
            structure.add(&part)?;
        }
        structure.check_end()?;
        Ok(Self(line.to_owned()))
    }

    /// The names of its directives, without those inside blocks.
    pub fn directives(&self) -> Vec<String> {
        self.words().into_iter().filter_map(|words| words.into_iter().next()).collect()
    }

    /// Its directives, each with its arguments, without those inside blocks. Each has at least its name.
    pub fn words(&self) -> Vec<Vec<String>> {
        let (mut directives, mut depth, mut first) = (Vec::<Vec<String>>::new(), 0_usize, true);
        // A value of this type has been parsed before, so there is no error to report.
        for part in parts(&self.0).unwrap_or_default() {
            match part {
                ConfigToken::Word { text, .. } if depth == 0 => {
                    if std::mem::take(&mut first) {
                        directives.push(Vec::new());
                    }
                    directives.last_mut().into_iter().for_each(|words| words.push(text.clone()));
                }
                ConfigToken::Word { .. } => {}
                ConfigToken::End => first = true,
                ConfigToken::Open => (first, depth) = (true, depth + 1),
                ConfigToken::Close => (first, depth) = (true, depth.saturating_sub(1)),
            }
        }
        directives
    }
}

/// What a line consists of so far.
#[derive(Default)]
struct LineStructure {
    /// How many blocks are open.
    depth: usize,
    /// Whether a directive has begun.
    open: bool,
    directives: usize,
}

impl LineStructure {
    fn add(&mut self, part: &ConfigToken) -> Result<(), InvalidValue> {
        match part {
            ConfigToken::Word { .. } => self.open = true,
            ConfigToken::End | ConfigToken::Open if !self.open => {
                return Err(InvalidValue("a directive must begin with its name".to_owned()));
            }
            ConfigToken::Close if self.open => return Err(InvalidValue("the directive before } must end with a semicolon".to_owned())),
            ConfigToken::Close if self.depth == 0 => return Err(InvalidValue("a } closes a block that the line does not open".to_owned())),
            ConfigToken::Close => self.depth -= 1,
            ConfigToken::End => (self.open, self.directives) = (false, self.directives + 1),
            ConfigToken::Open => (self.open, self.directives, self.depth) = (false, self.directives + 1, self.depth + 1),
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), InvalidValue> {
        if self.open {
            Err(InvalidValue("a line must be a complete directive and end with a semicolon".to_owned()))
        } else if self.depth > 0 {
            Err(InvalidValue("a block that the line opens must be closed with }".to_owned()))
        } else if self.directives == 0 {
            Err(InvalidValue("the line contains no directive".to_owned()))
        } else {
            Ok(())
        }
    }
}

/// The tokens of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConfigToken {
    /// A name or an argument, without its quotes; `quote` is the kind of quotes.
    Word { text: String, quote: Option<char> },
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// Splits a text as the engine does; comments are left out.
pub(super) fn parts(text: &str) -> Result<Vec<ConfigToken>, InvalidValue> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            ' ' | '\t' | '\r' | '\n' => after,
            '#' => after.find('\n').map_or("", |end| &after[end..]),
            ';' => noted(&mut parts, ConfigToken::End, after),
            '{' => noted(&mut parts, ConfigToken::Open, after),
            '}' => noted(&mut parts, ConfigToken::Close, after),
            '"' | '\'' => {
                let (text, after) = quoted(after, first)?;
                noted(&mut parts, ConfigToken::Word { text, quote: Some(first) }, after)
            }
            _ => {
                let (text, after) = bare(rest)?;
                noted(&mut parts, ConfigToken::Word { text, quote: None }, after)
            }
        };
    }
    Ok(parts)
}

fn noted<'a>(parts: &mut Vec<ConfigToken>, part: ConfigToken, after: &'a str) -> &'a str {
    parts.push(part);
    after
}

/// A quoted word from after its opening quote, and the rest of the text.
fn quoted(text: &str, quote: char) -> Result<(String, &str), InvalidValue> {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let after = &text[at + 1..];
            let separated = after.chars().next().is_none_or(|next| " \t\r\n;{)".contains(next));
            return if separated { Ok((word, after)) } else { Err(InvalidValue("a space or ; must follow a closing quote".to_owned())) };
        }
        if c == '\\' {
            word.push_str(&unescaped(chars.next().map(|(_, escaped)| escaped)));
        } else {
            word.push(c);
        }
    }
    Err(InvalidValue(format!("a quote {quote} must be closed on its line")))
}

/// A word without quotes, and the rest of the text. `${name}` is part of a word.
fn bare(text: &str) -> Result<(String, &str), InvalidValue> {
    let (mut word, mut variable) = (String::new(), false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' if variable => word.push(c),
            ' ' | '\t' | '\r' | '\n' | ';' | '{' => return Ok((word, &text[at..])),
            '\\' => match chars.next() {
                Some((_, escaped)) => word.push_str(&unescaped(Some(escaped))),
                None => return Err(InvalidValue("a line must not end with a backslash".to_owned())),
            },
            _ => word.push(c),
        }
        variable = c == '$' || (variable && c == '{');
    }
    Ok((word, ""))
}

fn unescaped(escaped: Option<char>) -> String {
    match escaped {
        Some(c @ ('"' | '\'' | '\\')) => c.to_string(),
        Some('t') => "\t".to_owned(),
        Some('r') => "\r".to_owned(),
        Some('n') => "\n".to_owned(),
        Some(other) => format!("\\{other}"),
        None => "\\".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&[&str], &str>) {
        let read = EngineLine::parse(line).map(|line| line.directives()).map_err(|refused| refused.0);
        match expected {
            Ok(names) => assert_eq!(read, Ok(names.iter().map(|name| (*name).to_owned()).collect()), "{line}"),
            Err(part) => assert!(read.as_ref().is_err_and(|rule| rule.contains(part)), "{line}: {read:?}"),
        }
    }

    #[test]
    fn whole_directives_are_lines() {
        check("gzip on;", Ok(&["gzip"]));
        check("  gzip on ; gzip_types a/b \"c;d\";", Ok(&["gzip", "gzip_types"]));
        check("map $a $b { default \"}\"; '~^x{1}$' 'y'; }", Ok(&["map"]));
        check("set $x ${y}z;", Ok(&["set"]));
        check("gzip on; # really; {", Ok(&["gzip"]));
        check("rewrite ^/\\;x$ /\\{ ;", Ok(&["rewrite"]));
        check("\"gzip\" on;", Ok(&["gzip"]));
    }

    #[test]
    fn directives_are_split_into_words() {
        let line = EngineLine::parse("proxy_set_header 'X-A' \"b c\"; map $a $b { default 1; } gzip on;").unwrap();
        let expected: [&[&str]; 3] = [&["proxy_set_header", "X-A", "b c"], &["map", "$a", "$b"], &["gzip", "on"]];
        assert_eq!(line.words(), expected);
    }

    #[test]
    fn a_line_that_would_swallow_the_rest_is_refused() {
        check("gzip on", Err("end with a semicolon"));
        check("gzip on; gzip_types \"a", Err("quote \" must be closed"));
        check("gzip_types 'a;", Err("quote ' must be closed"));
        check("server {", Err("closed with }"));
        check("server { listen 80; } }", Err("does not open"));
        check("} http {", Err("does not open"));
        check("server { listen 80 }", Err("end with a semicolon"));
        check("map $a $b { x{1} 'y'; }", Err("closed with }"));
        check("server { listen 80; # }", Err("closed with }"));
        check("gzip on;\\", Err("backslash"));
        check("gzip on; x\\; ", Err("end with a semicolon"));
        check("gzip \"on\"x;", Err("closing quote"));
        check("gzip \0 on;", Err("NUL"));
        for empty in ["", "  ", "# nothing", ";", "{ }"] {
            assert!(EngineLine::parse(empty).is_err(), "{empty}");
        }
    }
}
