//! What a host answers at each path when only the load balancer in front knows the scheme of a request: both answers side by
//! side, so that one server can give either.

use std::collections::BTreeSet;

use super::VirtualHost;
use super::path_precedence::{PathAction, PathMatch};
use crate::types::{ContextPath, Scheme};

/// A path of a host, and the answer to requests of each scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMatchByScheme<'a> {
    /// The path.
    pub path: ContextPath,
    /// The answer by plain HTTP.
    pub http: PathAction<'a>,
    /// The answer by HTTPS.
    pub https: PathAction<'a>,
}

impl VirtualHost {
    /// Every place of either scheme, in the order of [`VirtualHost::path_matches`]. If only one scheme has a place at a path, the
    /// other answers there with its longest path that covers it.
    pub fn path_matches_by_scheme<'a>(&'a self) -> Vec<PathMatchByScheme<'a>> {
        let (http, https) = (self.path_matches(Scheme::Http), self.path_matches(Scheme::Https));
        let mut seen = BTreeSet::new();
        let paths: Vec<&ContextPath> = http.iter().chain(&https).map(|matched| &matched.path).filter(|path| seen.insert(*path)).collect();
        let answer = |matches: &[PathMatch<'a>], path: &ContextPath| covering(matches, path).unwrap_or(PathAction::NoRoute);
        let both = |path: &ContextPath| PathMatchByScheme { path: path.clone(), http: answer(&http, path), https: answer(&https, path) };
        let mut matches: Vec<_> = paths.into_iter().map(both).collect();
        matches.sort_by_key(|matched| matched.path.is_root());
        matches
    }

    /// Whether applications are published below paths of this host, so that a request for one must not be misled into
    /// another's.
    pub fn is_shared_by_path(&self) -> bool {
        self.paths.keys().any(|path| !path.is_root())
    }
}

fn covering<'a>(matches: &[PathMatch<'a>], path: &ContextPath) -> Option<PathAction<'a>> {
    let fitting = matches.iter().filter(|matched| matched.path.covers(path));
    fitting.max_by_key(|matched| matched.path.as_str().len()).map(|matched| matched.answer.clone())
}
