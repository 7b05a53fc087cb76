//! Checks whether the engine can build its hash tables. Reimplements the engine's rules from its sources (`ngx_hash_init`),
//! with its defaults. Panics on anything that the engine would refuse or warn about. Shared with the fuzz targets, which have
//! no engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::parser::Directive;

/// nginx's defaults on a machine with 64-bit pointers and cache lines of 64 bytes.
const POINTER: usize = 8;
const CACHE_LINE: usize = 64;
const BUCKET_SIZE_MAX: usize = 65_536 - CACHE_LINE;

/// Panics if a table cannot be built with the configured sizes.
pub fn check(config: &[Directive]) {
    for block in config.iter().filter(|directive| ["http", "stream"].contains(&directive.name.as_str())) {
        for (address, names) in server_names(block) {
            Table::of(block, "server_names_hash", 512).check(&format!("server names at {address}"), &names);
        }
        for map in block.all("map") {
            let keys = map.block.iter().flatten().map(|entry| entry.name.to_ascii_lowercase());
            let keys: BTreeSet<String> = keys.filter(|key| key != "#" && key != "default" && !key.starts_with('~')).collect();
            Table::of(block, "map_hash", 2048).check(&format!("the map {:?}", map.args), &keys);
        }
        Table::of(block, "variables_hash", 1024).check("variables", &variables(block));
        Table::of(block, "proxy_headers_hash", 512).check("headers", &headers(block));
    }
}

/// Server names by listen address: each address has its own table.
fn server_names(block: &Directive) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
    for server in block.all("server") {
        let names = server.all("server_name").flat_map(|names| &names.args).filter(|name| !name.starts_with('~'));
        let names: Vec<String> = names.map(|name| name.to_ascii_lowercase()).collect();
        for listen in server.all("listen") {
            tables.entry(listen.args[0].clone()).or_default().extend(names.iter().cloned());
        }
    }
    tables
}

/// The variables that the configuration defines; nginx has some 150 of its own, all short.
fn variables(block: &Directive) -> BTreeSet<String> {
    let made = block.all("map").filter_map(|map| map.args.last());
    let made = made.map(|name| name.trim_start_matches('$').to_ascii_lowercase());
    let own = (0..150).map(|number| format!("own_variable_{number}"));
    made.chain(own).collect()
}

fn headers(block: &Directive) -> BTreeSet<String> {
    let named = block.all("proxy_set_header").chain(block.all("proxy_hide_header"));
    named.map(|directive| directive.args[0].to_ascii_lowercase()).collect()
}

/// The sizes of one kind of table.
struct Table {
    max_size: usize,
    bucket_size: usize,
}

impl Table {
    fn of(block: &Directive, name: &str, usual_max_size: usize) -> Self {
        let stated = |what: &str| {
            let full = format!("{name}_{what}");
            let found: Vec<_> = block.block.iter().flatten().filter(|directive| directive.name == full).collect();
            assert!(found.len() <= 1, "{full} appears twice");
            found.first().map(|directive| directive.args[0].parse::<usize>().expect("a number"))
        };
        let bucket_size = stated("bucket_size").unwrap_or(CACHE_LINE).next_multiple_of(CACHE_LINE);
        Self { max_size: stated("max_size").unwrap_or(usual_max_size), bucket_size }
    }

    fn check(&self, what: &str, names: &BTreeSet<String>) {
        assert!(self.bucket_size <= BUCKET_SIZE_MAX, "{what}: a bucket of {} bytes", self.bucket_size);
        for name in names {
            let needed = element(name) + POINTER;
            assert!(needed <= self.bucket_size, "{what}: {name} needs {needed} bytes of a bucket of {}", self.bucket_size);
        }
        assert!(
            (self.start(names.len())..=self.max_size).any(|size| self.fits(names, size)),
            "{what}: {} names crowd the table",
            names.len()
        );
    }

    /// The size at which nginx starts its search.
    fn start(&self, count: usize) -> usize {
        if self.max_size > 10_000 && count > 0 && self.max_size / count < 100 {
            return self.max_size - 1000;
        }
        (count / ((self.bucket_size - POINTER) / (2 * POINTER))).max(1)
    }

    fn fits(&self, names: &BTreeSet<String>, size: usize) -> bool {
        let mut taken = vec![0; size];
        names.iter().all(|name| {
            let slot = &mut taken[hash(name) % size];
            *slot += element(name);
            *slot <= self.bucket_size - POINTER
        })
    }
}

fn element(name: &str) -> usize {
    POINTER + (name.len() + 2).next_multiple_of(POINTER)
}

/// `ngx_hash_key`.
fn hash(name: &str) -> usize {
    name.bytes().fold(0_usize, |key, byte| key.wrapping_mul(31).wrapping_add(usize::from(byte)))
}
