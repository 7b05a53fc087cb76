//! Configurations whose purpose is that nginx resolves names. nginx resolves a server's name only once it runs, and until it has an
//! answer it has nowhere to send requests; what it has resolved is kept for the next load. So it is first loaded with a configuration
//! that has both addresses and names, or with one that accepts no requests. Works on configurations that this project rendered, line by
//! line; one of another form (an administrator's template) has no such step, and nginx tests whatever comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The addresses of `live` and, as servers that are `down`, the names of `by_name`; and how many names that are.
pub(super) fn with_names_down(live: &str, by_name: &str) -> (String, usize) {
    merged(by_name, &servers(live))
}

/// A configuration without anything that accepts requests, and how many names it resolves.
pub(super) fn without_servers(by_name: &str) -> (String, usize) {
    let text = without_server_blocks(by_name);
    let names: BTreeSet<&str> = servers(&text).into_values().flatten().filter(|line| is_name(line)).filter_map(name).collect();
    let names = names.len();
    (text, names)
}

/// For each name, in lower case, the addresses of the pools that contain it. Some of them are its own.
pub(super) fn addresses_by_name(live: &str, by_name: &str) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut found = BTreeMap::<String, BTreeSet<IpAddr>>::new();
    let (names, live) = (servers(by_name), servers(live));
    for (pool, named) in &names {
        let addresses = live.get(pool).into_iter().flatten().filter_map(|line| address(line));
        let addresses: Vec<IpAddr> = addresses.filter_map(|at| at.parse().ok().map(|at: SocketAddr| at.ip())).collect();
        for name in named.iter().filter(|line| is_name(line)).filter_map(|line| name(line)) {
            found.entry(name.to_ascii_lowercase()).or_default().extend(&addresses);
        }
    }
    found
}

/// The `server` lines of each pool.
fn servers(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let (mut pools, mut pool) = (BTreeMap::<&str, Vec<&str>>::new(), None);
    for line in text.lines() {
        pool = pool_after(pool, line);
        if let Some(name) = pool.filter(|_| is_server(line)) {
            pools.entry(name).or_default().push(line);
        }
    }
    pools
}

/// In each pool that has addresses, these come first and its names are `down`.
fn merged(names: &str, addresses: &BTreeMap<&str, Vec<&str>>) -> (String, usize) {
    let (mut text, mut resolved, mut pool, mut opened) = (String::with_capacity(names.len() * 2), BTreeSet::new(), None, None);
    for line in names.lines() {
        pool = pool_after(pool, line);
        let resolvable = pool.filter(|_| is_server(line) && is_name(line));
        resolved.extend(resolvable.and_then(|_| name(line)));
        let own = resolvable.and_then(|pool| addresses.get(pool));
        match (own, line.strip_suffix(';')) {
            (Some(own), Some(server)) => {
                if opened != pool {
                    text.extend(own.iter().flat_map(|address| [address, "\n"]));
                    opened = pool;
                }
                text.extend([server, " down;\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    let resolved = resolved.len();
    (text, if opened.is_some() { resolved } else { 0 })
}

/// Removes the `server` blocks.
fn without_server_blocks(text: &str) -> String {
    let (mut kept, mut depth) = (String::with_capacity(text.len()), 0_isize);
    for line in text.lines() {
        if depth > 0 || opens_server(line) {
            depth += depth_of(line);
        } else {
            kept.extend([line, "\n"]);
        }
    }
    kept
}

fn opens_server(line: &str) -> bool {
    line.trim_start().strip_prefix("server").is_some_and(|rest| rest.trim_start().starts_with('{'))
}

/// How many blocks a line opens and does not close. Braces in quotes and comments are ignored.
fn depth_of(line: &str) -> isize {
    let (mut depth, mut quote, mut escaped, mut at_start) = (0, None, false, true);
    for c in line.chars() {
        let begins = std::mem::replace(&mut at_start, c.is_whitespace() || matches!(c, '{' | '}' | ';'));
        match (quote, c) {
            _ if std::mem::take(&mut escaped) => {}
            (_, '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') if begins => quote = Some(c),
            (None, '#') if begins => break,
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    depth
}

/// The pool that the next lines are in.
fn pool_after<'a>(pool: Option<&'a str>, line: &'a str) -> Option<&'a str> {
    let line = line.trim();
    match line.strip_prefix("upstream ").and_then(|rest| rest.strip_suffix(" {")) {
        Some(name) => Some(name),
        None => pool.filter(|_| line != "}"),
    }
}

fn is_server(line: &str) -> bool {
    line.trim_start().starts_with("server ")
}

fn is_name(line: &str) -> bool {
    line.contains(" resolve")
}

/// The address or name and port of a server.
fn address(line: &str) -> Option<&str> {
    Some(line.split_whitespace().nth(1)?.trim_end_matches(';'))
}

/// The name of a server that has one.
fn name(line: &str) -> Option<&str> {
    address(line)?.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(live: &str, by_name: &str, expected: Option<(&str, usize)>) {
        let (text, names) = with_names_down(live, by_name);
        assert_eq!((names > 0).then_some((text.as_str(), names)), expected);
    }

    #[test]
    fn addresses_come_before_names_that_are_down() {
        check(
            "http {\n upstream a {\n  server 1:80 max_fails=3;\n  server 2:80 max_fails=3;\n  server 1:80 backup;\n }\n server {\n }\n}\n",
            "http {\n upstream a {\n  zone a 64k;\n  server tasks.x:80 resolve max_fails=0;\n  server tasks.y:80 resolve;\n }\n server {\n }\n}\n",
            Some((
                "http {\n upstream a {\n  zone a 64k;\n  server 1:80 max_fails=3;\n  server 2:80 max_fails=3;\n  server 1:80 backup;\n  \
                 server tasks.x:80 resolve max_fails=0 down;\n  server tasks.y:80 resolve down;\n }\n server {\n }\n}\n",
                2,
            )),
        );
    }

    #[test]
    fn a_configuration_without_servers_resolves_the_same_names() {
        let names = "stream {\n server {\n listen 1;\n}\n upstream s {\n  server tasks.x:1 resolve;\n }\n}\n\
                     http {\n map $a $b {\n  default \"}\";\n }\n upstream a {\n  server tasks.x:80 resolve;\n  server tasks.y:80 resolve;\n }\n server {\n  \
                     location ~ \"^/[a-z]{2}\\\"{\" { # {\n   return 200 '{';\n  }\n }\n server { listen 2; }\n upstream b {\n  server 192.0.2.1:80;\n }\n}\n";
        let (text, resolved) = without_servers(names);
        assert_eq!(
            text,
            "stream {\n upstream s {\n  server tasks.x:1 resolve;\n }\n}\n\
             http {\n map $a $b {\n  default \"}\";\n }\n upstream a {\n  server tasks.x:80 resolve;\n  server tasks.y:80 resolve;\n }\n \
             upstream b {\n  server 192.0.2.1:80;\n }\n}\n"
        );
        assert_eq!(resolved, 2, "two blocks have the same name");
        assert_eq!(without_servers("server {\n listen 1;\n}\n"), (String::new(), 0));
    }

    #[test]
    fn a_pool_without_addresses_uses_its_names() {
        let names = "upstream a {\n server tasks.x:80 resolve;\n}\nupstream b {\n server 192.0.2.1:80;\n}\n";
        check("upstream b {\n server 192.0.2.1:80;\n}\n", names, None);
    }

    #[test]
    fn each_name_of_a_pool_may_have_any_of_its_addresses() {
        let live = "upstream a {\n server 192.0.2.1:80;\n server [fd00::1]:80 max_fails=3;\n}\nupstream b {\n server 192.0.2.2:80;\n}\n";
        let names = "upstream a {\n server tasks.X.net:80 resolve;\n server tasks.y:81 resolve weight=2;\n}\n\
                     upstream b {\n server tasks.y:81 resolve;\n server 192.0.2.9:80;\n}\nupstream c {\n server tasks.z:1 resolve;\n}\n";
        let found = addresses_by_name(live, names).into_iter().map(|(name, addresses)| {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("{name} {}", addresses.join(" "))
        });
        assert_eq!(found.collect::<Vec<_>>(), ["tasks.x.net 192.0.2.1 fd00::1", "tasks.y 192.0.2.1 192.0.2.2 fd00::1", "tasks.z "]);
    }
}
