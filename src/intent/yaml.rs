//! YAML as a tree that remembers lines and the text of each scalar. Total: invalid YAML produces mistakes and whatever
//! could be read before them. The documents of one file are read separately, so that a mistake in one does not affect the
//! others. The tree is bounded: aliases cannot multiply it, and nesting depth is limited.

use std::collections::BTreeMap;

use saphyr::{Scalar, ScalarStyle};
use saphyr_parser::{Event, Parser, Tag};
use serde_json::Value;

/// More values than a file of one megabyte contains without multiplication by aliases.
const NODES_MAX: usize = 500_000;
/// Deeper than any of our documents, shallow enough for recursive walks.
const DEPTH_MAX: usize = 64;

/// One YAML document of a file.
pub(super) struct YamlDocument {
    /// What could be read; `None` if there is nothing before the first mistake.
    pub root: Option<YamlNode>,
    /// Whether the text was read to its end.
    pub complete: bool,
    pub mistakes: Vec<YamlMistake>,
}

/// Invalid YAML, or YAML that contradicts itself.
pub(super) struct YamlMistake {
    pub line: usize,
    /// The JSON pointer of the field concerned; empty if there is none.
    pub pointer: String,
    pub message: String,
}

/// A value with the line on which it begins, 1 for the first line of the file.
#[derive(Debug, Clone)]
pub(super) struct YamlNode {
    pub line: usize,
    pub data: YamlData,
}

#[derive(Debug, Clone)]
pub(super) enum YamlData {
    /// The value as YAML's core schema resolves it, and as written.
    Scalar {
        value: Value,
        text: String,
    },
    Sequence(Vec<YamlNode>),
    Mapping(BTreeMap<String, YamlEntry>),
}

#[derive(Debug, Clone)]
pub(super) struct YamlEntry {
    /// The line of the key.
    pub line: usize,
    pub node: YamlNode,
}

impl YamlNode {
    /// The line of the value at the JSON pointer, or of its nearest existing ancestor. For a field that is the line of its
    /// key.
    pub fn line_of(&self, pointer: &str) -> usize {
        let (mut node, mut line) = (self, self.line);
        for segment in pointer.split('/').skip(1) {
            let next = match &node.data {
                YamlData::Mapping(entries) => entries.get(&unescaped(segment)).map(|entry| (entry.line, &entry.node)),
                YamlData::Sequence(items) => segment.parse().ok().and_then(|at: usize| items.get(at)).map(|item| (item.line, item)),
                YamlData::Scalar { .. } => None,
            };
            let Some((next_line, next)) = next else { return line };
            (line, node) = (next_line, next);
        }
        line
    }

    fn size(&self) -> usize {
        1 + match &self.data {
            YamlData::Scalar { .. } => 0,
            YamlData::Sequence(items) => items.iter().map(Self::size).sum(),
            YamlData::Mapping(entries) => entries.values().map(|entry| entry.node.size()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.data {
            YamlData::Scalar { .. } => 0,
            YamlData::Sequence(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            YamlData::Mapping(entries) => entries.values().map(|entry| entry.node.depth()).max().unwrap_or(0),
        }
    }
}

/// Escapes a key as a segment of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key for a JSON pointer's segment.
pub(super) fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// Reads all documents of a file's text; skips documents without content.
pub(super) fn read(text: &str) -> Vec<YamlDocument> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = split(text).into_iter().map(|(line, part)| read_one(part, line));
    documents.filter(|document| document.root.is_some() || !document.mistakes.is_empty()).collect()
}

/// Splits at the lines that begin with `---` or `...`: YAML treats these as markers even in block scalars and quotes.
/// Returns each part with the number of lines before it.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut first_line, mut has_content) = (Vec::new(), 0, 0, false);
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker = |mark: &str| line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker("---") && has_content {
            parts.push((first_line, &text[start..at]));
            (start, first_line) = (at, number);
        }
        let trimmed = line.trim();
        // Directives and comments before `---` belong to the document that follows.
        let preamble = trimmed.is_empty() || trimmed.starts_with('#') || (line.starts_with('%') && !has_content);
        has_content = has_content && !(marker("---") && start == at) || !preamble;
        at += line.len();
        if marker("...") {
            parts.push((first_line, &text[start..at]));
            (start, first_line, has_content) = (at, number + 1, false);
        }
    }
    parts.push((first_line, &text[start..]));
    parts
}

fn read_one(text: &str, lines_before: usize) -> YamlDocument {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    let mut complete = true;
    // The parser reports the end of the text one line too late.
    let last_line = lines_before + text.trim_end().lines().count().max(1);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.take(event, span.start.line() + lines_before),
            Err(error) => Err((error.marker().line() + lines_before, error.info().to_owned())),
        };
        if let Err((line, message)) = step {
            builder.mistakes.push(YamlMistake {
                line: line.min(last_line),
                message: format!("invalid YAML: {message}"),
                pointer: String::new(),
            });
            complete = false;
            break;
        }
    }
    let root = builder.finish();
    let empty = matches!(&root, Some(YamlNode { data: YamlData::Scalar { value: Value::Null, .. }, .. }));
    YamlDocument { root: root.filter(|_| !empty), complete, mistakes: builder.mistakes }
}

/// Builds the tree from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<YamlNode>,
    anchors: BTreeMap<usize, YamlNode>,
    nodes: usize,
    mistakes: Vec<YamlMistake>,
}

/// A sequence or mapping that is not complete yet.
struct Open {
    line: usize,
    anchor: usize,
    data: YamlData,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, usize)>,
}

type ReadResult = Result<(), (usize, String)>;

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> ReadResult {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = YamlNode { line, data: scalar(&text, style, tag.as_deref()) };
                self.add(node, anchor)
            }
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => self.add(YamlNode { line, ..node }, 0),
                None => Err((line, "an alias is used inside the value that it refers to".to_owned())),
            },
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, YamlData::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(line, anchor, YamlData::Mapping(BTreeMap::new())),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) if self.root.is_some() => Err((line, "a second document begins without '---' before it".to_owned())),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, anchor: usize, data: YamlData) -> ReadResult {
        if self.open.len() >= DEPTH_MAX {
            return Err((line, format!("the nesting is deeper than {DEPTH_MAX} levels")));
        }
        self.open.push(Open { line, anchor, data, key: None });
        Ok(())
    }

    fn end(&mut self) -> ReadResult {
        match self.open.pop() {
            Some(open) => self.add(YamlNode { line: open.line, data: open.data }, open.anchor),
            None => Ok(()),
        }
    }

    /// Adds a completed value to the innermost open collection, as key or as value.
    fn add(&mut self, node: YamlNode, anchor: usize) -> ReadResult {
        self.nodes += node.size();
        if self.nodes > NODES_MAX || self.open.len() + node.depth() > 2 * DEPTH_MAX {
            return Err((node.line, "the document contains too many values".to_owned()));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.data, open.key.take()) {
            (YamlData::Sequence(items), _) => items.push(node),
            (YamlData::Mapping(entries), Some((key, line))) => match entries.get(&key) {
                Some(first) => {
                    let message = format!("the field is set twice; first on line {}", first.line);
                    let pointer = format!("{}/{}", self.pointer(), escaped(&key));
                    self.mistakes.push(YamlMistake { line, pointer, message });
                }
                None => drop(entries.insert(key, YamlEntry { line, node })),
            },
            (YamlData::Mapping(_), None) => match node.data {
                YamlData::Scalar { text, .. } => open.key = Some((text, node.line)),
                YamlData::Sequence(_) | YamlData::Mapping(_) => return Err((node.line, "a key must not be a list or mapping".to_owned())),
            },
            (YamlData::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    /// The JSON pointer of the innermost open collection.
    fn pointer(&self) -> String {
        let outer = self.open.iter().take(self.open.len().saturating_sub(1));
        let segment = |open: &Open| match (&open.data, &open.key) {
            (YamlData::Sequence(items), _) => items.len().to_string(),
            (_, key) => key.as_ref().map(|(key, _)| escaped(key)).unwrap_or_default(),
        };
        outer.fold(String::new(), |pointer, open| pointer + "/" + &segment(open))
    }

    /// Closes collections that a mistake left open, so that what precedes it can be used.
    fn finish(&mut self) -> Option<YamlNode> {
        while let Some(open) = self.open.pop() {
            if self.add(YamlNode { line: open.line, data: open.data }, 0).is_err() {
                break;
            }
        }
        self.root.take()
    }
}

/// Resolves a scalar by the core schema. Values that JSON cannot represent (infinity) stay text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> YamlData {
    let tag = tag.map(|tag| std::borrow::Cow::Owned(tag.clone()));
    let value = match Scalar::parse_from_cow_and_metadata(text.into(), style, tag.as_ref()) {
        Some(Scalar::Null) => Value::Null,
        Some(Scalar::Boolean(value)) => Value::Bool(value),
        Some(Scalar::Integer(value)) => Value::from(value),
        Some(Scalar::FloatingPoint(value)) => number(value.into_inner()).unwrap_or_else(|| Value::String(text.to_owned())),
        Some(Scalar::String(_)) | None => Value::String(text.to_owned()),
    };
    YamlData::Scalar { value, text: text.to_owned() }
}

/// `2.0` means 2.
fn number(value: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "only taken when the round trip gives the same number")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "the comparison is what finds a loss")]
    let same = (whole as f64 - value).abs() == 0.0 && whole.unsigned_abs() < 1 << 53;
    if same { Some(Value::from(whole)) } else { serde_json::Number::from_f64(value).map(Value::Number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<(usize, String)> {
        read(text).into_iter().flat_map(|document| document.mistakes).map(|mistake| (mistake.line, mistake.message)).collect()
    }

    #[test]
    fn documents_of_a_file_are_read_separately_with_their_lines_in_the_file() {
        let text = "# head\n---\na: 1\n---\nb: [\n---\n%YAML 1.2\n---\nc: 1\n...\n# tail\n";
        let read = read(text);
        let lines: Vec<_> = read.iter().map(|d| (d.root.as_ref().map(|node| node.line), d.complete)).collect();
        assert_eq!(lines[0], (Some(3), true));
        assert!(!lines[1].1, "the broken one");
        assert_eq!(lines.last().copied(), Some((Some(9), true)));
        assert!(super::read("# nothing\n---\n...\n").is_empty());
    }

    #[test]
    fn the_line_of_a_field_is_the_line_of_its_key() {
        let document = read("a:\n  b:\n    - x\n    - y: 1\n      z/w: 2\n").remove(0);
        let root = document.root.expect("a tree");
        for (pointer, line) in [("/a", 1), ("/a/b", 2), ("/a/b/0", 3), ("/a/b/1/y", 4), ("/a/b/1/z~1w", 5), ("/a/b/1/missing", 4), ("", 1)]
        {
            assert_eq!(root.line_of(pointer), line, "{pointer}");
        }
    }

    #[test]
    fn a_field_set_twice_is_reported_with_both_lines() {
        assert_eq!(mistakes("a: 1\nb: 2\na: 3\n"), [(3, "the field is set twice; first on line 1".to_owned())]);
    }

    #[test]
    fn nesting_and_aliases_are_limited() {
        let line =
            |n: usize| format!("a{n}: &a{n} [{}]\n", if n == 0 { "x".to_owned() } else { vec![format!("*a{}", n - 1); 9].join(",") });
        let bombs = ["[".repeat(100_000), "- ".repeat(100_000), (0..40).map(line).collect::<Vec<_>>().concat()];
        for bomb in bombs {
            assert_eq!(mistakes(&bomb).len(), 1);
        }
    }

    #[test]
    fn scalars_follow_the_core_schema_and_keep_their_text() {
        let root = read("[1.10, yes, true, 0x10, 2.0, '5', .inf, ~]").remove(0).root.expect("a tree");
        let YamlData::Sequence(items) = root.data else { panic!("a list") };
        let values: Vec<_> = items
            .iter()
            .map(|item| match &item.data {
                YamlData::Scalar { value, text } => format!("{value} {text}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, ["1.1 1.10", "\"yes\" yes", "true true", "16 0x10", "2 2.0", "\"5\" 5", "\".inf\" .inf", "null ~"]);
    }
}
