//! The step between addresses and names. An engine that is given names asks for them only then, and until it is answered it has
//! nobody to send requests to. So it is first given both: the addresses as before, and the names as servers that get nothing. What
//! it has learnt of them goes on to the next configuration, which has names alone. Made of two configurations of ours, line by line;
//! one of another form (an administrator's template) gives none, and the engine tests whatever comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::protocol::container_contract::ENGINE_MAIN_FILE;
use crate::protocol::messages::{Bundle, ProxyConfig};

/// The configuration for the time between, and how many names there are to be learnt; nothing if none is needed.
pub(super) fn between(config: &ProxyConfig) -> Option<(Bundle, usize)> {
    let (names, live) = (config.boot.files.get(ENGINE_MAIN_FILE)?, config.live.files.get(ENGINE_MAIN_FILE)?);
    let (text, learnt) = merged(names, &servers(live));
    let mut bundle = config.boot.clone();
    bundle.files.insert(ENGINE_MAIN_FILE.to_owned(), text);
    (learnt > 0).then_some((bundle, learnt))
}

/// The configuration for the time before the first one with names serves: the same without everything that takes requests; and how
/// many names there are to be learnt. Nothing if there are none.
pub(super) fn before(names: &Bundle) -> Option<(Bundle, usize)> {
    let text = without_servers(names.files.get(ENGINE_MAIN_FILE)?);
    let learnt: BTreeSet<&str> = servers(&text).into_values().flatten().filter(|line| is_name(line)).filter_map(name).collect();
    let learnt = learnt.len();
    let mut bundle = names.clone();
    bundle.files.insert(ENGINE_MAIN_FILE.to_owned(), text);
    (learnt > 0).then_some((bundle, learnt))
}

/// The addresses of the pools in which each name stands, in small letters: some of them are its own.
pub(super) fn former(config: &ProxyConfig) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut former = BTreeMap::<String, BTreeSet<IpAddr>>::new();
    let (Some(names), Some(live)) = (config.boot.files.get(ENGINE_MAIN_FILE), config.live.files.get(ENGINE_MAIN_FILE)) else {
        return former;
    };
    let (names, live) = (servers(names), servers(live));
    for (pool, named) in &names {
        let places = live.get(pool).into_iter().flatten().filter_map(|line| place(line));
        let addresses: Vec<IpAddr> = places.filter_map(|place| place.parse().ok().map(|place: SocketAddr| place.ip())).collect();
        for name in named.iter().filter(|line| is_name(line)).filter_map(|line| name(line)) {
            former.entry(name.to_ascii_lowercase()).or_default().extend(&addresses);
        }
    }
    former
}

/// The lines of each pool's servers.
fn servers(live: &str) -> BTreeMap<&str, Vec<&str>> {
    let (mut pools, mut pool) = (BTreeMap::<&str, Vec<&str>>::new(), None);
    for line in live.lines() {
        pool = pool_after(pool, line);
        if let Some(name) = pool.filter(|_| is_server(line)) {
            pools.entry(name).or_default().push(line);
        }
    }
    pools
}

/// The names in each pool that has addresses get nothing; the addresses stand before them.
fn merged(names: &str, addresses: &BTreeMap<&str, Vec<&str>>) -> (String, usize) {
    let (mut text, mut learnt, mut pool, mut opened) = (String::with_capacity(names.len() * 2), BTreeSet::new(), None, None);
    for line in names.lines() {
        pool = pool_after(pool, line);
        let asking = pool.filter(|_| is_server(line) && is_name(line));
        learnt.extend(asking.and_then(|_| name(line)));
        let own = asking.and_then(|pool| addresses.get(pool));
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
    let learnt = learnt.len();
    (text, if opened.is_some() { learnt } else { 0 })
}

/// Leaves out the blocks of servers.
fn without_servers(text: &str) -> String {
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

/// How many blocks a line opens and does not close. Braces in quotes and behind a `#` are none.
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

/// In which pool the next lines are.
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

/// Where a server is.
fn place(line: &str) -> Option<&str> {
    Some(line.split_whitespace().nth(1)?.trim_end_matches(';'))
}

/// The name of a server that is one.
fn name(line: &str) -> Option<&str> {
    place(line)?.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::Contents;
    use crate::types::{ClusterName, Digest};

    fn bundle(text: &str) -> Bundle {
        let files = BTreeMap::from([(ENGINE_MAIN_FILE.to_owned(), text.to_owned())]);
        Bundle::new(ClusterName::parse("dev").unwrap(), Digest::of_bytes(b""), files)
    }

    fn check(live: &str, names: &str, expected: Option<(&str, usize)>) {
        let config = ProxyConfig::new(bundle(live), bundle(names), Contents::default(), BTreeMap::new());
        let given = between(&config).map(|(bundle, learnt)| (bundle.files[ENGINE_MAIN_FILE].clone(), learnt));
        assert_eq!(given.as_ref().map(|(text, learnt)| (text.as_str(), *learnt)), expected);
    }

    #[test]
    fn addresses_stand_before_names_that_get_nothing() {
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
    fn before_names_are_learnt_nothing_takes_requests() {
        let names = "stream {\n server {\n listen 1;\n}\n upstream s {\n  server tasks.x:1 resolve;\n }\n}\n\
                     http {\n map $a $b {\n  default \"}\";\n }\n upstream a {\n  server tasks.x:80 resolve;\n  server tasks.y:80 resolve;\n }\n server {\n  \
                     location ~ \"^/[a-z]{2}\\\"{\" { # {\n   return 200 '{';\n  }\n }\n server { listen 2; }\n upstream b {\n  server 192.0.2.1:80;\n }\n}\n";
        let (bundle, learnt) = before(&bundle(names)).unwrap();
        assert_eq!(
            bundle.files[ENGINE_MAIN_FILE],
            "stream {\n upstream s {\n  server tasks.x:1 resolve;\n }\n}\n\
             http {\n map $a $b {\n  default \"}\";\n }\n upstream a {\n  server tasks.x:80 resolve;\n  server tasks.y:80 resolve;\n }\n \
             upstream b {\n  server 192.0.2.1:80;\n }\n}\n"
        );
        assert_eq!(learnt, 2, "of the two blocks each asks for the same name");
        assert!(before(&super::tests::bundle("server {\n listen 1;\n}\n")).is_none());
    }

    #[test]
    fn a_pool_without_addresses_has_its_names_at_once() {
        let names = "upstream a {\n server tasks.x:80 resolve;\n}\nupstream b {\n server 192.0.2.1:80;\n}\n";
        check("upstream b {\n server 192.0.2.1:80;\n}\n", names, None);
    }
    #[test]
    fn the_addresses_of_a_pool_may_be_those_of_each_of_its_names() {
        let live = "upstream a {\n server 192.0.2.1:80;\n server [fd00::1]:80 max_fails=3;\n}\nupstream b {\n server 192.0.2.2:80;\n}\n";
        let names = "upstream a {\n server tasks.X.net:80 resolve;\n server tasks.y:81 resolve weight=2;\n}\n\
                     upstream b {\n server tasks.y:81 resolve;\n server 192.0.2.9:80;\n}\nupstream c {\n server tasks.z:1 resolve;\n}\n";
        let config = ProxyConfig::new(bundle(live), bundle(names), Contents::default(), BTreeMap::new());
        let told = former(&config).into_iter().map(|(name, addresses)| {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("{name} {}", addresses.join(" "))
        });
        assert_eq!(told.collect::<Vec<_>>(), ["tasks.x.net 192.0.2.1 fd00::1", "tasks.y 192.0.2.1 192.0.2.2 fd00::1", "tasks.z "]);
    }
}
