//! The step between addresses and names. An engine that is given names asks for them only then, and until it is answered it has
//! nobody to send requests to. So it is first given both: the addresses as before, and the names as servers that get nothing. What
//! it has learnt of them goes on to the next configuration, which has names alone. Made of two configurations of ours, line by line;
//! one of another form (an administrator's template) gives none, and the engine tests whatever comes out.

use std::collections::{BTreeMap, BTreeSet};

use crate::channel::contract::ENGINE_MAIN_FILE;
use crate::channel::wire::{Bundle, ProxyConfig};

/// The configuration for the time between, and how many names there are to be learnt; nothing if none is needed.
pub(super) fn between(config: &ProxyConfig) -> Option<(Bundle, usize)> {
    let (names, live) = (config.boot.files.get(ENGINE_MAIN_FILE)?, config.live.files.get(ENGINE_MAIN_FILE)?);
    let (text, learnt) = merged(names, &servers(live));
    let mut bundle = config.boot.clone();
    bundle.files.insert(ENGINE_MAIN_FILE.to_owned(), text);
    (learnt > 0).then_some((bundle, learnt))
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
        let own = pool.filter(|_| is_server(line) && line.contains(" resolve")).and_then(|name| addresses.get(name));
        match (own, line.strip_suffix(';')) {
            (Some(own), Some(server)) => {
                if opened != pool {
                    text.extend(own.iter().flat_map(|address| [address, "\n"]));
                    opened = pool;
                }
                learnt.extend(server.split_whitespace().nth(1).and_then(|place| place.split(':').next()));
                text.extend([server, " down;\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    let learnt = learnt.len();
    (text, learnt)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::wire::Contents;
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
    fn a_pool_without_addresses_has_its_names_at_once() {
        let names = "upstream a {\n server tasks.x:80 resolve;\n}\nupstream b {\n server 192.0.2.1:80;\n}\n";
        check("upstream b {\n server 192.0.2.1:80;\n}\n", names, None);
    }
}
