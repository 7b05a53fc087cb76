//! Reads lists of objects one object at a time as they arrive: no list is held as text, the contents of configs are dropped
//! immediately, and each object is limited in size. It must never take a part of a list for the whole, nor skip an object.

use serde_json::Value;

use super::error::CallError;
use super::memory_budget::BudgetExceeded;

/// The key of the content of a config.
const CONTENTS: &[u8] = b"Data";
/// Swarm accepts no object larger than this, including its previous spec and however it is encoded.
const OBJECT_BYTES_MAX: usize = 16 << 20;

/// The position of the next byte in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParseState {
    /// Between strings.
    Between,
    /// In a string that is kept and began at this index.
    Kept(usize),
    /// In a string that is dropped.
    LetGo,
}

/// Parses the JSON text of a list of objects as it arrives.
#[derive(Debug)]
pub struct ListStream {
    /// The text of the object that is not complete yet.
    text: Vec<u8>,
    state: ParseState,
    /// The previous byte was a backslash in a string.
    escaped: bool,
    /// The last string was the key in `let_go`, followed only by what may separate a key from its value.
    after_key: bool,
    /// String values of this key are dropped.
    let_go: Option<&'static [u8]>,
    depth: usize,
    /// The depth of complete objects: 1 in a list, 0 for a single object.
    base: usize,
    /// The list, or the single object, has ended.
    ended: bool,
}

impl ListStream {
    /// Parses a list.
    pub fn of_list() -> Self {
        Self::new(1)
    }

    /// Parses one object.
    pub fn of_one() -> Self {
        Self::new(0)
    }

    fn new(base: usize) -> Self {
        Self { text: Vec::new(), state: ParseState::Between, escaped: false, after_key: false, let_go: None, depth: 0, base, ended: false }
    }

    /// The same for configs, without their contents.
    pub fn without_contents(self) -> Self {
        Self { let_go: Some(CONTENTS), ..self }
    }

    /// Takes the next bytes, and passes each complete object to `give`.
    pub fn take(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Value) -> Result<(), CallError>) -> Result<(), CallError> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.state {
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

    /// Finishes: no more bytes follow.
    pub fn end(self) -> Result<(), CallError> {
        if self.ended && self.text.is_empty() { Ok(()) } else { Err(malformed("the answer is incomplete")) }
    }

    /// Takes one byte outside of strings. Returns whether an object is complete.
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
            self.state = if self.after_key { ParseState::LetGo } else { ParseState::Kept(self.text.len()) };
            self.after_key = false;
        }
        self.ended |= self.depth == 0 && !blank;
        Ok(is_whole)
    }

    /// Checks a byte outside of objects: only the brackets of the list and the separators of its objects are allowed.
    fn outside(&self, byte: u8) -> Result<(), CallError> {
        let fine = match (self.depth, self.base) {
            (0, 0) => byte == b'{' && !self.ended,
            (0, _) => byte == b'[' && !self.ended,
            _ => matches!(byte, b'{' | b',' | b']'),
        };
        if fine { Ok(()) } else { Err(malformed("the answer is not a list of objects")) }
    }

    /// Continues in a string, up to its end if that has arrived. Returns the rest.
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
                if let ParseState::Kept(from) = self.state {
                    self.after_key = self.let_go.is_some_and(|key| self.text.get(from..) == Some(key));
                }
                self.text.push(b'"');
                self.state = ParseState::Between;
                &rest[1..]
            }
        }
    }

    /// Takes `count` bytes of a string. Returns the rest.
    fn pass<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let (passed, rest) = bytes.split_at(count);
        if matches!(self.state, ParseState::Kept(_)) {
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

    fn read(mut items: ListStream, text: &str, pieces: usize) -> Result<Vec<Value>, CallError> {
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
    fn a_list_read_in_pieces_equals_one_read_at_once() {
        let list = json!([
            {"ID": "a", "Spec": {"Name": "Data", "Labels": {"k": "Data", ODD: ODD}, "Data": "aGVsbG8="}, "Z": [1, null, [], {}]},
            {},
            {"Data": null, "n": -1.5e3, "t": true, "list": [{"a": [[{}]]}, "]"]},
        ]);
        for text in [list.to_string(), serde_json::to_string_pretty(&list).unwrap(), format!(" {list}\n")] {
            for pieces in [1, 2, 3, 7, 10_000] {
                assert_eq!(json!(read(ListStream::of_list(), &text, pieces).unwrap()), list, "{text} in pieces of {pieces}");
            }
        }
        assert_eq!(read(ListStream::of_list(), "[]", 1).unwrap(), [json!(null); 0]);
        assert_eq!(read(ListStream::of_one(), "{\"a\": {\"b\": [1]}}\n", 2).unwrap(), [json!({"a": {"b": [1]}})]);
    }

    #[test]
    fn only_contents_of_configs_are_dropped() {
        let config = |data: &str| json!({"ID": "a", "Spec": {"Name": "Data", "Labels": {"k": "Data", "l": ODD}, "Data": data, "MyData": "x", "data": "x"}});
        for text in [config("aGVs\"bG8=").to_string(), serde_json::to_string_pretty(&config("a\\")).unwrap()] {
            for pieces in [1, 2, 5, 10_000] {
                assert_eq!(read(ListStream::of_one().without_contents(), &text, pieces).unwrap(), [config("")]);
                assert_eq!(
                    read(ListStream::of_list().without_contents(), &format!("[{text},{text}]"), pieces).unwrap(),
                    [config(""), config("")]
                );
            }
        }
    }

    #[test]
    fn neither_contents_nor_lists_are_kept_in_memory() {
        let config = json!({"ID": "a", "Spec": {"Name": "n", "Data": "x".repeat(1_000_000)}}).to_string();
        let mut items = ListStream::of_list().without_contents();
        for piece in format!("[{config},{config}").as_bytes().chunks(10_000) {
            items.take(piece, &mut |_| Ok(())).unwrap();
            assert!(items.text.capacity() < 1_000);
        }
    }

    #[test]
    fn anything_but_a_complete_list_of_objects_is_an_error() {
        let list = r#"[{"a": "b"}, {"c": [1]}]"#;
        for end in 0..list.len() {
            assert!(read(ListStream::of_list(), &list[..end], 5).is_err(), "{}", &list[..end]);
        }
        for text in
            ["null", "{}", "[1]", r#"["a"]"#, "[[{}]]", "[{}]]", "[{}][]", "[{}] x", "[{]", r#"[{"a" 1}]"#, "", r#"{"message": "x"}"#]
        {
            assert!(read(ListStream::of_list(), text, 2).is_err(), "{text}");
        }
        for text in ["[]", "[{}]", "{}{}", "null", "{", ""] {
            assert!(read(ListStream::of_one(), text, 2).is_err(), "{text}");
        }
    }

    #[test]
    fn an_endless_object_is_too_large() {
        let mut items = ListStream::of_list();
        items.take(b"[{\"a\": \"", &mut |_| Ok(())).unwrap();
        let more = vec![b'x'; 1 << 20];
        let error = (0..100).find_map(|_| items.take(&more, &mut |_| Ok(())).err()).unwrap();
        assert!(error.to_string().contains("16 MiB"), "{error}");
    }
}
