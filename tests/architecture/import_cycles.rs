//! The rule against files of one room that import each other. Resolves paths as the compiler does, as far as this crate uses
//! them: `use` trees, re-exports, `super::`, `self::`, `crate::`, and `module::item` where the module was imported or is a
//! child.
//!
//! The rule: the imports between the files of a room form no cycle. What two files need belongs in a third file below both. One
//! direction is exempt: a file may name types and constants (not functions) of a file above it in the module tree, because a
//! `mod.rs` holds the vocabulary of its children and calls them.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::RustSource;

/// A module path below the crate: `["plan", "draft"]`.
type Module = Vec<String>;

/// The imports and the code of a file.
struct ModuleFile<'a> {
    source: &'a RustSource,
    code: String,
    /// Each imported path, and whether it is re-exported.
    uses: Vec<(Module, bool)>,
}

/// All files of the crate with the paths that they name.
struct Graph<'a> {
    files: BTreeMap<Module, ModuleFile<'a>>,
    /// The origin of each item that a module re-exports.
    exports: BTreeMap<(Module, String), (Module, String)>,
}

/// Returns one complaint for each import that is part of a cycle.
pub fn circles(sources: &[RustSource]) -> Vec<String> {
    let graph = Graph::new(sources);
    let edges: BTreeMap<&Module, BTreeSet<Module>> =
        graph.files.iter().map(|(module, file)| (module, graph.imports(module, file))).collect();
    let mut complaints = Vec::new();
    for (from, imported) in &edges {
        for to in imported.iter().filter(|to| leads_to(&edges, to, from)) {
            let (from, to) = (graph.files[*from].source, graph.files[to].source);
            complaints.push(from.complain(1, &format!("imports src/{}, which leads back to it", to.name)));
        }
    }
    complaints
}

fn leads_to(edges: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            open.extend(edges.get(module).into_iter().flatten());
        }
    }
    false
}

impl<'a> Graph<'a> {
    fn new(sources: &'a [RustSource]) -> Self {
        let of_rooms = sources.iter().filter(|source| source.name.contains('/') && !source.is_test());
        let files = of_rooms.map(|source| {
            let code = source.code_text();
            (module_of(&source.name), ModuleFile { source, uses: uses(&code), code: without_uses(&code) })
        });
        let mut graph = Self { files: files.collect(), exports: BTreeMap::new() };
        let mut exports = BTreeMap::new();
        for (module, file) in &graph.files {
            for (path, _) in file.uses.iter().filter(|(_, exported)| *exported) {
                if let (Some((base, Some(item))), Some(name)) = (graph.resolve(module, path), path.last()) {
                    exports.insert((module.clone(), name.clone()), (base, item));
                }
            }
        }
        graph.exports = exports;
        graph
    }

    /// The files of the same room that a file imports, as the rule defines it.
    fn imports(&self, module: &Module, file: &ModuleFile<'_>) -> BTreeSet<Module> {
        let used = file.uses.iter().filter(|(_, exported)| !exported).map(|(path, _)| path.clone());
        let items = used.chain(paths(&file.code)).filter_map(|path| self.item(module, file, &path));
        items
            .filter(|(base, item)| {
                let is_above = module.starts_with(base);
                let is_free = is_above && item.starts_with(|c: char| c.is_ascii_uppercase());
                base != module && base.first() == module.first() && !is_free
            })
            .map(|(base, _)| base)
            .collect()
    }

    /// Where an item that a file names is defined; `None` for a module itself, or for an item outside the crate.
    fn item(&self, module: &Module, file: &ModuleFile<'_>, path: &Module) -> Option<(Module, String)> {
        let first = path.first()?;
        let imported = file.uses.iter().find(|(used, _)| used.last() == Some(first) && used.len() > 1);
        let whole = match imported {
            Some((used, _)) if self.resolve(module, used).is_some_and(|(_, item)| item.is_none()) => [used.as_slice(), &path[1..]].concat(),
            _ => path.clone(),
        };
        let (mut base, item) = self.resolve(module, &whole)?;
        let mut item = item?;
        for _ in 0..5 {
            let Some((from, name)) = self.exports.get(&(base.clone(), item.clone())) else { break };
            (base, item) = (from.clone(), name.clone());
        }
        self.files.contains_key(&base).then_some((base, item))
    }

    /// The file that a path leads to, and the item in it, if it names one.
    fn resolve(&self, module: &Module, path: &Module) -> Option<(Module, Option<String>)> {
        let mut rest = path.as_slice();
        let mut base: Module = match rest.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => {
                let ups = rest.iter().take_while(|segment| *segment == "super").count();
                rest = &rest[ups - 1..];
                module.get(..module.len().checked_sub(ups)?)?.to_vec()
            }
            first => {
                if !self.files.contains_key(&[module.as_slice(), &[first.to_owned()]].concat()) {
                    return None;
                }
                [module.as_slice(), &[first.to_owned()]].concat()
            }
        };
        rest = &rest[1..];
        while let Some((next, after)) = rest.split_first() {
            let below = [base.as_slice(), std::slice::from_ref(next)].concat();
            if !self.files.contains_key(&below) {
                break;
            }
            (base, rest) = (below, after);
        }
        Some((base, rest.first().filter(|item| *item != "self").cloned()))
    }
}

fn module_of(name: &str) -> Module {
    let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The imports of a file, expanded.
fn uses(code: &str) -> Vec<(Module, bool)> {
    let starts = code.match_indices("use ").filter(|(at, _)| {
        let line = code[..*at].rsplit('\n').next().unwrap_or_default().trim();
        line.is_empty() || (line.starts_with("pub") && !line.contains(' '))
    });
    let trees = starts.filter_map(|(at, found)| {
        let exported = code[..at].rsplit('\n').next().unwrap_or_default().contains("pub");
        Some((code[at + found.len()..].split(';').next()?, exported))
    });
    trees.flat_map(|(tree, exported)| spelled_out(tree).into_iter().map(move |path| (segments(&path), exported))).collect()
}

/// The code without its imports, which are not paths themselves.
fn without_uses(code: &str) -> String {
    let (mut kept, mut within) = (Vec::new(), false);
    for line in code.lines() {
        within |= ["use ", "pub use ", "pub(crate) use ", "pub(super) use "].iter().any(|begin| line.trim_start().starts_with(begin));
        if !within {
            kept.push(line);
        }
        within &= !line.contains(';');
    }
    kept.join("\n")
}

/// Expands `a::{b, c::{d, e}}` to `a::b`, `a::c::d` and `a::c::e`.
fn spelled_out(tree: &str) -> Vec<String> {
    let Some((before, group)) = tree.split_once('{') else { return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()] };
    let group = group.trim_end().trim_end_matches('}');
    let (mut depth, mut parts) = (0_i32, vec![String::new()]);
    for c in group.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    // The trimming above may have removed a closing brace from the trees of a group.
    let closed = |part: &str| {
        format!("{}{}{}", before.trim(), part.trim(), "}".repeat(part.matches('{').count().saturating_sub(part.matches('}').count())))
    };
    parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| spelled_out(&closed(part))).collect()
}

/// The paths of at least two segments in a file's code.
fn paths(code: &str) -> Vec<Module> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !is_path(c)).filter(|word| word.contains("::"));
    words.map(segments).filter(|path| path.len() > 1).collect()
}

fn segments(path: &str) -> Module {
    path.split("::").map(|segment| segment.trim().to_owned()).filter(|segment| !segment.is_empty()).collect()
}
