//! What a published host answers at each path: the one place where redirects, `ssl_only`, routes and their websockets are
//! put in order. Renderers write these places to configurations; explanations look up which of them a request reaches.

use std::cmp::Reverse;

use super::{PathRoute, Redirect, VirtualHost};
use crate::types::{ContextPath, Scheme};

/// A path of a host, covering itself and everything below it on segment borders, and the answer there. The longest match
/// applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMatch<'a> {
    /// The path.
    pub path: ContextPath,
    /// The answer there.
    pub answer: PathAction<'a>,
}

/// The answer at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathAction<'a> {
    /// A redirect requested by a service.
    Redirect(&'a Redirect),
    /// A redirect to the same address by HTTPS.
    Https,
    /// An application.
    Application(Application<'a>),
    /// 404: the host has routes, but none for this path.
    NoPath,
    /// 503: the host only redirects; every other request is for an unknown host.
    NoRoute,
}

/// The application of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application<'a> {
    /// The route's own path: that of the place, unless the place is a websocket path below it.
    pub root: &'a ContextPath,
    /// The route.
    pub route: &'a PathRoute,
    /// Whether connections here are long-lived (`websocket_endpoints`).
    pub long_lived: bool,
}

impl VirtualHost {
    /// Every place, as requests of one scheme see them. Always includes the whole site.
    pub fn path_matches(&self, scheme: Scheme) -> Vec<PathMatch<'_>> {
        let redirects: Vec<&Redirect> = self.redirects.iter().filter(|redirect| redirect.scheme == scheme).collect();
        if let Some(whole) = redirects.iter().find(|redirect| redirect.path.is_root()) {
            return vec![PathMatch { path: ContextPath::root(), answer: PathAction::Redirect(whole) }];
        }
        let redirected = |path: &ContextPath| redirects.iter().any(|redirect| redirect.path == *path);
        let mut matches: Vec<PathMatch<'_>> =
            redirects.iter().map(|redirect| PathMatch { path: redirect.path.clone(), answer: PathAction::Redirect(redirect) }).collect();
        // Longest first, the order in which they match.
        let mut paths: Vec<_> = self.paths.iter().filter(|(path, _)| !redirected(path)).collect();
        paths.sort_by_key(|(path, _)| (Reverse(path.as_str().len()), path.as_str()));
        for (path, route) in paths {
            if route.https_only && scheme == Scheme::Http {
                matches.push(PathMatch { path: path.clone(), answer: PathAction::Https });
            } else {
                self.add_route(&mut matches, path, route, &redirects);
            }
        }
        if !self.paths.contains_key(&ContextPath::root()) {
            matches.push(PathMatch { path: ContextPath::root(), answer: self.elsewhere(scheme) });
        }
        matches
    }

    /// The place that a request reaches. `path` is decoded, without `//` and dot segments.
    pub fn path_match(&self, scheme: Scheme, path: &str) -> Option<PathMatch<'_>> {
        let fitting = self.path_matches(scheme).into_iter().filter(|matched| matched.path.covers_request(path));
        fitting.max_by_key(|matched| matched.path.as_str().len())
    }

    /// Whether plain HTTP requests of the route at this path are redirected to HTTPS, as [`Self::path_match`] says for the path.
    pub fn redirects_to_https(&self, path: &ContextPath) -> bool {
        let covers = |redirect: &Redirect| redirect.scheme == Scheme::Http && (redirect.path.is_root() || redirect.path == *path);
        self.paths.get(path).is_some_and(|route| route.https_only) && !self.redirects.iter().any(covers)
    }

    fn add_route<'a>(&'a self, matches: &mut Vec<PathMatch<'a>>, path: &'a ContextPath, route: &'a PathRoute, redirects: &[&Redirect]) {
        let application = |long_lived| PathAction::Application(Application { root: path, route, long_lived });
        matches.push(PathMatch { path: path.clone(), answer: application(route.websockets.contains(path)) });
        // Stream paths only affect how requests are passed on; they do not override a redirect above them.
        let longer = |redirect: &&&Redirect| redirect.path.as_str().len() > path.as_str().len();
        let redirected = |at: &ContextPath| redirects.iter().filter(longer).any(|redirect| redirect.path.covers(at));
        let free = |at: &&ContextPath| *at != path && !self.paths.contains_key(*at) && !redirected(at) && self.owns(path, at);
        let websockets = route.websockets.iter().filter(free);
        matches.extend(websockets.map(|at| PathMatch { path: at.clone(), answer: application(true) }));
    }

    /// Whether no route longer than `path` covers the path `at`.
    fn owns(&self, path: &ContextPath, at: &ContextPath) -> bool {
        !self.paths.keys().any(|other| other.as_str().len() > path.as_str().len() && other.covers(at))
    }

    /// Paths of the host that are not routes.
    fn elsewhere(&self, scheme: Scheme) -> PathAction<'_> {
        match (self.https_only && scheme == Scheme::Http, self.paths.is_empty()) {
            (true, _) => PathAction::Https,
            (false, true) => PathAction::NoRoute,
            (false, false) => PathAction::NoPath,
        }
    }
}
