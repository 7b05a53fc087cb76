//! The blocks and commands that a page shows. Shared by the test that parses them and the end-to-end case that runs them. It
//! must never skip a line of a block: nobody notices that an untested command is broken.

/// The contents of all fenced blocks in this language, in order.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in page.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(after)) => open = Some((after.trim() == language, String::new())),
            (Some(_), Some(_)) => found.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, text)| text)),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// The commands of all `sh` blocks, in order, with continued lines joined and without comments and empty lines.
pub fn commands(page: &str) -> Vec<String> {
    let joined = blocks(page, "sh").concat().replace("\\\n", " ");
    joined.lines().map(|line| without_comment(line).trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// A shell comment begins with a `#` after a space.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.find(" #").map_or(line, |at| &line[..at]) }
}
