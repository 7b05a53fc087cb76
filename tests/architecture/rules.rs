//! The rules: each takes one source file and returns its complaints, with file and line.

/// One file of `src`, split for the rules.
#[derive(Debug, Clone)]
pub struct RustSource {
    /// The path below `src`, with slashes.
    pub name: String,
    /// The unmodified text.
    text: String,
    /// Line number and code, without comments and without test modules.
    code: Vec<(usize, String)>,
}

/// The import table: each room, and the rooms that it may name, all of them above it. Every room may name the leaves
/// `types` and `retry`.
pub const ROOMS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("retry", &[]),
    ("report", &[]),
    ("route", &["report"]),
    ("intent", &["report", "route"]),
    ("swarm", &["report"]),
    ("http_server", &[]),
    ("pki", &[]),
    ("protocol", &["pki", "route"]),
    ("channel", &["protocol", "pki", "http_server"]),
    ("render", &["route", "report", "protocol"]),
    ("translate", &["intent", "swarm", "route", "report", "protocol", "render"]),
    ("explain", &["intent", "swarm", "route", "report", "protocol", "translate", "render"]),
    ("networks", &["swarm", "report", "protocol"]),
    ("fleet", &["intent", "route", "protocol", "swarm", "report", "pki"]),
    ("plan", &["fleet", "swarm", "report", "protocol", "pki"]),
    ("execute", &["plan", "swarm", "report"]),
    ("docker", &["swarm", "report"]),
    ("simulator", &["swarm", "report"]),
    ("telemetry", &["report"]),
    ("declaration", &["intent", "report", "telemetry"]),
    ("api", &["report", "telemetry", "http_server"]),
    ("runtime", &["protocol"]),
    ("extension", &["pki", "protocol", "channel", "runtime", "render", "route", "report", "telemetry", "http_server"]),
    ("proxy", &["pki", "protocol", "channel", "runtime", "report", "telemetry", "http_server"]),
    (
        "controller",
        &[
            "execute",
            "api",
            "pki",
            "protocol",
            "channel",
            "declaration",
            "explain",
            "fleet",
            "intent",
            "networks",
            "plan",
            "render",
            "report",
            "route",
            "swarm",
            "telemetry",
            "translate",
            "http_server",
        ],
    ),
];

/// Rooms that every room may name.
const LEAVES: &[&str] = &["types", "retry"];
/// Files outside any room: the map and the entry point. `cli` may name everything.
const UNBOUND: &[&str] = &["lib.rs", "main.rs", "cli"];

/// Rooms that are synchronous and total, and know neither the clock nor the outside world.
const PURE: &[&str] =
    &["types", "report", "route", "intent", "protocol", "swarm", "translate", "render", "explain", "networks", "fleet", "plan"];
/// The file in a pure room that is not pure: the port through which others reach the Swarm.
const PORT: &str = "swarm/swarm_trait.rs";
/// What pure rooms must not name.
const WORLDLY: &[&str] = &[
    "tokio::",
    "bollard::",
    "reqwest::",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "rand::",
    "async fn",
    ".await",
];

/// A dependency and the only place (file or room) that may name it.
const FENCES: &[(&str, &str)] = &[
    ("bollard", "docker/"),
    ("backoff", "retry/"),
    ("notify", "declaration/"),
    ("comfy_table", "cli/"),
    ("clap", "cli/"),
    ("saphyr", "intent/"),
];

/// The names of engines, and the files whose code may contain them, each with a reason.
const ENGINES: &[&str] = &["nginx"];
const ENGINE_FILES: &[(&str, &str)] = &[
    ("render/nginx/", "what the engine writes, and what becomes of requests in it"),
    ("runtime/nginx/", "how the engine runs"),
    ("route/nginx.rs", "settings that only this engine has"),
    ("types/engine_kind.rs", "the engines' rows"),
    ("render/mod.rs", "the row of the renderers"),
    ("runtime/mod.rs", "the row of the runtimes"),
    ("cli/extension.rs", "an option that is named after the program"),
    ("cli/proxy.rs", "an option that is named after the program"),
    ("intent/formats.rs", "examples in remedies"),
    ("fleet/fixtures.rs", "a fixture of tests"),
];

/// Files that carry the settings that only one engine has. They may name the settings, but never decide by the engine.
const ENGINE_SETTINGS: &[(&str, &str)] = &[
    ("route/mod.rs", "the export of these settings"),
    ("route/settings.rs", "the field with these settings"),
    ("route/settings_wire_form.rs", "the place of these settings among the others"),
    ("intent/documents/settings.rs", "the conversion of these settings"),
];

/// The maximum length of a file.
pub const LINES_MAX: usize = 450;

impl RustSource {
    /// Splits a file.
    pub fn new(name: &str, text: &str) -> Self {
        let code = if is_test_file(name) { Vec::new() } else { code_lines(text) };
        Self { name: name.to_owned(), text: text.to_owned(), code }
    }

    fn room(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Its code in one piece.
    pub fn code_text(&self) -> String {
        self.code.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The lines of its code, each with its number.
    pub fn code_lines(&self) -> &[(usize, String)] {
        &self.code
    }

    /// Whether the whole file is tests.
    pub fn is_test(&self) -> bool {
        is_test_file(&self.name)
    }

    /// A complaint with its location.
    pub fn complain(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.name)
    }
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.ends_with("_tests.rs") || name.contains("/tests/")
}

/// Code up to the test module, without comments. By house style, test modules are at the end of a file.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default().to_owned()));
    let lines: Vec<(usize, String)> = numbered.collect();
    let tests = lines.windows(2).position(|pair| pair[0].1.trim() == "#[cfg(test)]" && pair[1].1.starts_with("mod tests {"));
    lines.into_iter().take(tests.unwrap_or(usize::MAX)).collect()
}

/// Checks which rooms a file imports.
pub fn imports(source: &RustSource) -> Vec<String> {
    if UNBOUND.contains(&source.room()) {
        return Vec::new();
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room()) else {
        return vec![source.complain(1, "this room is not in the import table of tests/architecture/rules.rs")];
    };
    let mut complaints = Vec::new();
    for (number, line) in &source.code {
        for named in rooms_named(line) {
            let fine = named == source.room() || LEAVES.contains(&named.as_str()) || allowed.contains(&named.as_str());
            if !fine {
                complaints.push(source.complain(*number, &format!("{} must not name crate::{named}", source.room())));
            }
        }
    }
    complaints
}

/// The rooms that a line names: what follows each `crate::`. A group (`crate::{a, b}`) is not a room's name and so is refused.
fn rooms_named(line: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after =
        line.match_indices("crate::").filter(|(at, _)| !line[..*at].ends_with(is_word)).map(|(at, found)| &line[at + found.len()..]);
    after.map(|rest| if rest.starts_with('{') { "{".to_owned() } else { rest.chars().take_while(|c| is_word(*c)).collect() }).collect()
}

/// Checks that pure rooms stay pure.
pub fn purity(source: &RustSource) -> Vec<String> {
    if !PURE.contains(&source.room()) || source.name == PORT {
        return Vec::new();
    }
    let named = |(number, line): &(usize, String)| {
        let bad = WORLDLY
            .iter()
            .filter(|bad| names(line, bad))
            .map(|bad| source.complain(*number, &format!("a pure room must not name `{bad}`")));
        bad.collect::<Vec<_>>()
    };
    source.code.iter().flat_map(named).collect()
}

/// Whether a line names this, other than as the end of a longer word.
fn names(line: &str, what: &str) -> bool {
    line.match_indices(what).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// Checks where a dependency is named.
pub fn fences(source: &RustSource) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in &source.code {
        for (dependency, folder) in FENCES.iter().filter(|(_, folder)| !source.name.starts_with(folder)) {
            if names(line, &format!("{dependency}::")) || line.trim() == format!("use {dependency};") {
                complaints.push(source.complain(*number, &format!("only src/{folder} may name `{dependency}`")));
            }
        }
    }
    complaints
}

/// Checks where an engine is named: all other code uses the seam in `render/mod.rs` (or `runtime/mod.rs`).
pub fn engine_names(source: &RustSource) -> Vec<String> {
    if ENGINE_FILES.iter().any(|(folder, _)| source.name.starts_with(folder)) {
        return Vec::new();
    }
    let carries_settings = ENGINE_SETTINGS.iter().any(|(folder, _)| source.name == *folder);
    let named = |(number, line): &(usize, String)| {
        let line = line.to_ascii_lowercase();
        if carries_settings && !line.contains("enginekind") {
            return None;
        }
        let is_module = |engine: &str| line.trim() == format!("mod {engine};");
        let engine = ENGINES.iter().find(|engine| line.contains(**engine) && !is_module(engine))?;
        Some(source.complain(*number, &format!("only the engine's own files may name {engine}: ask by its kind")))
    };
    source.code.iter().filter_map(named).collect()
}

/// Checks that every file states its purpose.
pub fn opens_with_purpose(source: &RustSource) -> Vec<String> {
    let purpose = source.text.lines().next().and_then(|line| line.strip_prefix("//!")).unwrap_or_default();
    if purpose.trim().is_empty() { vec![source.complain(1, "a file opens with `//!` and its purpose")] } else { Vec::new() }
}

/// Checks that a file is not too long. `path`: from the root of the repository, because the limit applies to tests, too.
pub fn size(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| format!("{path}: {lines} lines; the limit is {LINES_MAX}"))
}

/// Checks that every metric is named and described in one file. Names that are neither a constant nor a literal (`*name`) come
/// from there anyway.
pub fn metrics_described(source: &RustSource, described: &RustSource) -> Vec<String> {
    let code = source.code.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
    let used = ["counter!(", "gauge!(", "histogram!("].iter().flat_map(|macro_name| arguments(&code, macro_name));
    let unknown = used.filter(|name| !is_described(name, &described.text));
    unknown.map(|name| source.complain(1, &format!("the metric {name} is not described in src/{}", described.name))).collect()
}

/// The first argument of each use of a macro.
fn arguments(code: &str, macro_name: &str) -> Vec<String> {
    let uses = code.match_indices(macro_name).filter(|(at, _)| !code[..*at].ends_with("describe_"));
    uses.map(|(at, found)| code[at + found.len()..].split([',', ')']).next().unwrap_or_default().trim().to_owned()).collect()
}

fn is_described(argument: &str, text: &str) -> bool {
    let is_dynamic = argument.starts_with('*') || argument.chars().all(|c| c.is_ascii_lowercase());
    let constant = match argument.strip_prefix('"') {
        Some(literal) => text.lines().find(|line| line.contains(&format!("= \"{literal};"))).and_then(constant_name),
        None => argument.rsplit("::").next().map(str::to_owned),
    };
    let describes = |name: String| ["counter", "gauge", "histogram"].iter().any(|kind| text.contains(&format!("describe_{kind}!({name},")));
    is_dynamic || constant.is_some_and(describes)
}

/// `pub const NAME: &str = ...` gives `NAME`.
fn constant_name(line: &str) -> Option<String> {
    line.trim().strip_prefix("pub const ")?.split(':').next().map(str::to_owned)
}
