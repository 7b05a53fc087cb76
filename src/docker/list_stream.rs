//! Lists of objects, one object after the other as they come: no list is held as text, what is in configs is let go at once,
//! and of each object no more than it may have. It must never take a part of a list for the whole, nor skip an object.

use serde_json::Value;

use super::error::CallError;
use super::memory_budget::BudgetExceeded;

/// The key before what is in a config.
const CONTENTS: &[u8] = b"Data";
/// Swarm takes no object of which there is more, with the spec before the last update and however it is written.
const OBJECT_BYTES_MAX: usize = 16 << 20;

/// Where in the text the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParseState {
    /// Between strings.
    Between,
    /// In a string, which began here.
    Kept(usize),
    /// In a string that is let go.
    LetGo,
}

/// The JSON text of a list of objects as it comes.
#[derive(Debug)]
pub struct Items {
    /// Of the object that has not come to its end.
    text: Vec<u8>,
    place: ParseState,
    /// The byte before was a backslash in a string.
    escaped: bool,
    /// The last string was that key, and only what may stand between a key and its value came after it.
    after_key: bool,
    /// Strings behind this key are let go.
    let_go: Option<&'static [u8]>,
    depth: usize,
    /// How deep whole objects stand: 1 in a list, 0 alone.
    base: usize,
    /// The list, or the object, was at its end.
    ended: bool,
}

impl Items {
    /// Of a list.
    pub fn of_list() -> Self {
        Self::new(1)
    }

    /// Of one object.
    pub fn of_one() -> Self {
        Self::new(0)
    }

    fn new(base: usize) -> Self {
        Self { text: Vec::new(), place: ParseState::Between, escaped: false, after_key: false, let_go: None, depth: 0, base, ended: false }
    }

    /// The same for configs, without what is in them.
    pub fn without_contents(self) -> Self {
        Self { let_go: Some(CONTENTS), ..self }
    }

    /// Takes what came next, and gives each object that is whole.
    pub fn take(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Value) -> Result<(), CallError>) -> Result<(), CallError> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.place {
                ParseState::Between => {
                    bytes = rest;
                    if self.between(*first)? {
                        give(serde_json::from_slice(&std::mem::take(&mut self.text))?)?;
                    }
                }
                ParseState::Kept(_) | ParseState::LetGo => bytes = self.in_string(bytes),
            }
            if self.text.len() > OBJECT_BYTES_MAX {
                return Err(BudgetExceeded::Object { most: OBJECT_BYTES_MAX as u64 }.into());
            }
        }
        Ok(())
    }

    /// Nothing more comes.
    pub fn end(self) -> Result<(), CallError> {
        if self.ended && self.text.is_empty() { Ok(()) } else { Err(malformed("the answer ends before its end")) }
    }

    /// Whether an object has come to its end.
    fn between(&mut self, byte: u8) -> Result<bool, CallError> {
        let blank = byte.is_ascii_whitespace();
        if self.depth <= self.base && !blank {
            self.outside(byte)?;
        }
        if !(blank || byte == b':' || byte == b'"') {
            self.after_key = false;
        }
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        let is_whole = byte == b'}' && self.depth == self.base;
        if is_whole || self.depth > self.base {
            self.text.push(byte);
        }
        if byte == b'"' {
            self.place = if self.after_key { ParseState::LetGo } else { ParseState::Kept(self.text.len()) };
            self.after_key = false;
        }
        self.ended |= self.depth == 0 && !blank;
        Ok(is_whole)
    }

    /// What may stand outside of objects: the brackets of the list, and what separates its objects.
    fn outside(&self, byte: u8) -> Result<(), CallError> {
        let fine = match (self.depth, self.base) {
            (0, 0) => byte == b'{' && !self.ended,
            (0, _) => byte == b'[' && !self.ended,
            _ => matches!(byte, b'{' | b',' | b']'),
        };
        if fine { Ok(()) } else { Err(malformed("the answer is no list of objects")) }
    }

    /// Goes on in a string, up to its end if that has come. The rest.
    fn in_string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if std::mem::take(&mut self.escaped) {
            return self.pass(bytes, 1);
        }
        match bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => self.pass(bytes, bytes.len()),
            Some(at) if bytes[at] == b'\\' => {
                self.escaped = true;
                self.pass(bytes, at + 1)
            }
            Some(at) => {
                let rest = self.pass(bytes, at);
                if let ParseState::Kept(from) = self.place {
                    self.after_key = self.let_go.is_some_and(|key| self.text.get(from..) == Some(key));
                }
                self.text.push(b'"');
                self.place = ParseState::Between;
                &rest[1..]
            }
        }
    }

    /// So many bytes of a string. The rest.
    fn pass<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let (passed, rest) = bytes.split_at(count);
        if matches!(self.place, ParseState::Kept(_)) {
            self.text.extend_from_slice(passed);
        }
        rest
    }
}

fn malformed(what: &'static str) -> CallError {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut items: Items, text: &str, pieces: usize) -> Result<Vec<Value>, CallError> {
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(pieces) {
            items.take(piece, &mut |item| {
                found.push(item);
                Ok(())
            })?;
        }
        items.end().map(|()| found)
    }

    const ODD: &str = "a \"quoted\" \\ back\u{e9}\\\" {[Data]}";

    #[test]
    fn a_list_is_the_same_as_read_at_once() {
        let list = json!([
            {"ID": "a", "Spec": {"Name": "Data", "Labels": {"k": "Data", ODD: ODD}, "Data": "aGVsbG8="}, "Z": [1, null, [], {}]},
            {},
            {"Data": null, "n": -1.5e3, "t": true, "list": [{"a": [[{}]]}, "]"]},
        ]);
        for text in [list.to_string(), serde_json::to_string_pretty(&list).unwrap(), format!(" {list}\n")] {
            for pieces in [1, 2, 3, 7, 10_000] {
                assert_eq!(json!(read(Items::of_list(), &text, pieces).unwrap()), list, "{text} in pieces of {pieces}");
            }
        }
        assert_eq!(read(Items::of_list(), "[]", 1).unwrap(), [json!(null); 0]);
        assert_eq!(read(Items::of_one(), "{\"a\": {\"b\": [1]}}\n", 2).unwrap(), [json!({"a": {"b": [1]}})]);
    }

    #[test]
    fn contents_of_configs_are_let_go_and_nothing_else() {
        let config = |data: &str| json!({"ID": "a", "Spec": {"Name": "Data", "Labels": {"k": "Data", "l": ODD}, "Data": data, "MyData": "x", "data": "x"}});
        for text in [config("aGVs\"bG8=").to_string(), serde_json::to_string_pretty(&config("a\\")).unwrap()] {
            for pieces in [1, 2, 5, 10_000] {
                assert_eq!(read(Items::of_one().without_contents(), &text, pieces).unwrap(), [config("")]);
                assert_eq!(
                    read(Items::of_list().without_contents(), &format!("[{text},{text}]"), pieces).unwrap(),
                    [config(""), config("")]
                );
            }
        }
    }

    #[test]
    fn neither_contents_nor_lists_are_held() {
        let config = json!({"ID": "a", "Spec": {"Name": "n", "Data": "x".repeat(1_000_000)}}).to_string();
        let mut items = Items::of_list().without_contents();
        for piece in format!("[{config},{config}").as_bytes().chunks(10_000) {
            items.take(piece, &mut |_| Ok(())).unwrap();
            assert!(items.text.capacity() < 1_000);
        }
    }

    #[test]
    fn what_is_no_whole_list_of_objects_is_an_error() {
        let list = r#"[{"a": "b"}, {"c": [1]}]"#;
        for end in 0..list.len() {
            assert!(read(Items::of_list(), &list[..end], 5).is_err(), "{}", &list[..end]);
        }
        for text in
            ["null", "{}", "[1]", r#"["a"]"#, "[[{}]]", "[{}]]", "[{}][]", "[{}] x", "[{]", r#"[{"a" 1}]"#, "", r#"{"message": "x"}"#]
        {
            assert!(read(Items::of_list(), text, 2).is_err(), "{text}");
        }
        for text in ["[]", "[{}]", "{}{}", "null", "{", ""] {
            assert!(read(Items::of_one(), text, 2).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_without_end_is_too_large() {
        let mut items = Items::of_list();
        items.take(b"[{\"a\": \"", &mut |_| Ok(())).unwrap();
        let more = vec![b'x'; 1 << 20];
        let error = (0..100).find_map(|_| items.take(&more, &mut |_| Ok(())).err()).unwrap();
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }
}
