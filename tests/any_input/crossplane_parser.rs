//! A parser of nginx configurations that is not ours: crossplane, run as a child process that reads one file after another.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

/// A directive as crossplane understood it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Directive {
    /// Its name; `#` for a comment.
    #[serde(rename = "directive")]
    pub name: String,
    /// Its arguments, without quotes.
    pub args: Vec<String>,
    /// The directives inside its braces.
    pub block: Option<Vec<Self>>,
    /// The comment's text.
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

#[derive(Deserialize)]
struct CrossplaneOutput {
    status: String,
    errors: Vec<String>,
    #[serde(rename = "parsed")]
    directives: Vec<Directive>,
}

/// The child process.
pub struct Parser {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Where `scripts/setup` installs crossplane.
fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/crossplane")
}

impl Parser {
    /// Starts the parser. Returns `None` after skipping the test if crossplane is missing.
    pub fn start() -> Option<Self> {
        if !module().join("crossplane").is_dir() {
            super::skip::skip("no crossplane: run `make setup`");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/any_input/parse.py");
        let mut command = Command::new("python3");
        command.arg(script).env("PYTHONPATH", module()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (requests, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, requests, answers })
    }

    /// Parses the configuration with this main file.
    pub fn parse(&mut self, config: &Path) -> Vec<Directive> {
        writeln!(self.requests, "{}", config.display()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let parsed: CrossplaneOutput = serde_json::from_str(&line).unwrap();
        assert_eq!((parsed.status.as_str(), parsed.errors), ("ok", Vec::new()));
        parsed.directives
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
