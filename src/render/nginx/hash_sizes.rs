//! The sizes of the engine's hash tables, computed from the names in a configuration, so that code that adds a server, a map
//! or a header need not set them. A name that does not fit its table prevents nginx from starting; if names are too dense,
//! nginx warns and takes long to build the table.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::HostPattern;

/// The number and length of names for which nginx's defaults suffice; well within them.
const USUAL_COUNT: usize = 256;
const USUAL_LENGTH: usize = 40;
/// Sizes for server names are always written: up to this many, adding or removing a host changes nothing.
const SERVERS_MAX_SIZE: usize = 1024;
const SERVERS_BUCKET_SIZE: usize = 128;
/// The engine's own variables are stored in the same table.
const OWN_VARIABLES: usize = 256;
/// The largest buckets that nginx accepts.
const BUCKET_SIZE_MAX: usize = 65_536 - 64;

/// This many of the longest hosts fit into nginx's largest bucket, with some room to spare.
pub const HOSTS_PER_SLOT_MAX: usize = 200;

/// The hash of a host in nginx's tables: hosts with the same hash share one bucket however large the table is, and a bucket
/// has room for about 240 of the longest. Such hosts do not occur by chance, but are easy to construct.
pub fn slot_of(host: &HostPattern) -> Option<u64> {
    (!host.is_wildcard()).then(|| hash(host.as_str()))
}

/// nginx's own hash function (`ngx_hash_key_lc`).
fn hash(name: &str) -> u64 {
    name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.to_ascii_lowercase().into()))
}

/// The names that the engine keeps in hash tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HashedNames {
    servers: NameCount,
    slots: Slots,
    map_keys: NameCount,
    variables: NameCount,
    headers: NameCount,
}

/// The names of one table. Counting duplicates makes a table larger than needed, but never too small for a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NameCount {
    count: usize,
    longest: usize,
}

impl NameCount {
    fn add(&mut self, name: &str) {
        self.count += 1;
        self.longest = self.longest.max(name.len());
    }

    fn join(self, other: Self) -> Self {
        Self { count: self.count + other.count, longest: self.longest.max(other.longest) }
    }

    fn is_usual(self) -> bool {
        self.count <= USUAL_COUNT && self.longest <= USUAL_LENGTH
    }

    /// Slots for four times as many names, to keep collisions rare.
    fn max_size(self) -> usize {
        (self.count * 4).next_power_of_two()
    }

    /// A bucket ends with one more pointer. The more names there are, the more of them share some bucket by chance: this many,
    /// with that many slots.
    fn bucket_size(self) -> usize {
        let meeting = match self.count {
            0..=64 => 1,
            65..=400 => 2,
            401..=5_000 => 3,
            5_001..=100_000 => 4,
            _ => 6,
        };
        bucket_for(meeting * room_for(self.longest))
    }
}

/// A name takes a pointer, its length and its bytes, rounded up to pointers.
fn room_for(length: usize) -> usize {
    8 + (length + 2).next_multiple_of(8)
}

fn bucket_for(names: usize) -> usize {
    (names + 8).next_multiple_of(64).min(BUCKET_SIZE_MAX)
}

/// The server names by their hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slots(BTreeMap<u64, BTreeSet<String>>);

impl Slots {
    fn add(&mut self, name: &str) {
        let names = self.0.entry(hash(name)).or_default();
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
    }

    fn join(&mut self, other: Self) {
        for (slot, names) in other.0 {
            self.0.entry(slot).or_default().extend(names);
        }
    }

    /// The size that holds the fullest bucket. With less, nginx finds no table size at which all names fit and uses the last
    /// one that it tried; names can be constructed that do not fit that one either.
    fn bucket_size(&self) -> usize {
        let room = |names: &BTreeSet<String>| names.iter().map(|name| room_for(name.len())).sum::<usize>();
        bucket_for(self.0.values().filter(|names| names.len() > 1).map(room).max().unwrap_or_default())
    }
}

impl HashedNames {
    /// Records a directive, or the head of a block.
    pub fn note(&mut self, directive: &str, words: &[&str]) {
        match (directive, words) {
            ("server_name", names) => names.iter().filter(|name| !is_pattern(name)).for_each(|name| {
                self.servers.add(name);
                self.slots.add(name);
            }),
            ("map" | "geo" | "split_clients", [.., variable]) | ("set", [variable, ..]) => self.variables.add(variable),
            ("proxy_set_header" | "proxy_hide_header" | "grpc_set_header" | "grpc_hide_header", [header, ..]) => self.headers.add(header),
            _ => {}
        }
    }

    /// Records the key of a map entry.
    pub fn note_key(&mut self, key: &str) {
        if is_pattern(key) {
            key.match_indices("(?<").for_each(|(at, _)| self.variables.add(key[at + 3..].split('>').next().unwrap_or_default()));
        } else {
            self.map_keys.add(key);
        }
    }

    /// Adds the names that were written elsewhere.
    pub fn join(&mut self, other: Self) {
        self.servers = self.servers.join(other.servers);
        self.slots.join(other.slots);
        self.map_keys = self.map_keys.join(other.map_keys);
        self.variables = self.variables.join(other.variables);
        self.headers = self.headers.join(other.headers);
    }

    /// The size directives for `http` (`headers`: there are headers) or `stream`, with their values.
    pub fn sizes(&self, headers: bool) -> Vec<(&'static str, usize)> {
        let mut sizes = vec![
            ("server_names_hash_bucket_size", self.servers.bucket_size().max(self.slots.bucket_size()).max(SERVERS_BUCKET_SIZE)),
            ("server_names_hash_max_size", self.servers.max_size().max(SERVERS_MAX_SIZE)),
        ];
        let mut add = |names: NameCount, bucket: &'static str, max: &'static str| {
            if !names.is_usual() {
                sizes.extend([(bucket, names.bucket_size().max(64)), (max, names.max_size().max(2048))]);
            }
        };
        add(self.map_keys, "map_hash_bucket_size", "map_hash_max_size");
        if headers {
            add(self.headers, "proxy_headers_hash_bucket_size", "proxy_headers_hash_max_size");
        }
        let variables = NameCount { count: self.variables.count + OWN_VARIABLES, ..self.variables };
        if !self.variables.is_usual() {
            sizes.extend([("variables_hash_max_size", variables.max_size()), ("variables_hash_bucket_size", variables.bucket_size())]);
        }
        sizes
    }
}

/// The engine tries patterns one after the other; they are not in a table.
fn is_pattern(name: &str) -> bool {
    name.starts_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes_of(hashed: &HashedNames) -> Vec<(&'static str, usize)> {
        hashed.sizes(true)
    }

    fn names(count: usize, length: usize) -> HashedNames {
        let mut hashed = HashedNames::default();
        let name = "n".repeat(length);
        (0..count).for_each(|_| hashed.note("server_name", &[&name]));
        hashed
    }

    #[test]
    fn a_few_names_of_usual_length_need_tables_of_usual_size() {
        let usual = [("server_names_hash_bucket_size", 128), ("server_names_hash_max_size", 1024)];
        assert_eq!(sizes_of(&HashedNames::default()), usual);
        assert_eq!(sizes_of(&names(60, 100)), usual);
        let mut hashed = names(1, 20);
        hashed.note("map", &["$http_host", "$forwarded_port"]);
        hashed.note_key("default");
        hashed.note("proxy_set_header", &["X-Forwarded-For", "$remote_addr"]);
        assert_eq!(sizes_of(&hashed), usual);
    }

    #[test]
    fn long_or_many_names_need_larger_tables() {
        assert_eq!(names(1, 187).servers.bucket_size(), 256);
        assert_eq!(names(1, 253).servers.bucket_size(), 320);
        assert_eq!(sizes_of(&names(1000, 20)), [("server_names_hash_bucket_size", 128), ("server_names_hash_max_size", 4096)]);
        assert_eq!(NameCount { count: 10_000_000, longest: 253 }.bucket_size(), 1600);
    }

    #[test]
    fn names_with_the_same_hash_fit_into_one_bucket() {
        // "c0" and "an" have the same hash.
        let name = |number: usize| (0..7).map(|bit| if number >> bit & 1 == 0 { "c0" } else { "an" }).collect::<String>();
        assert_eq!((0..128).map(|number| hash(&name(number))).collect::<BTreeSet<_>>().len(), 1);
        let mut hashed = HashedNames::default();
        for _ in 0..2 {
            // Twice, as for plain HTTP and TLS: the same names take no additional room.
            (0..100).for_each(|number| hashed.note("server_name", &[&name(number)]));
        }
        assert_eq!(sizes_of(&hashed)[0], ("server_names_hash_bucket_size", (100 * (8 + 16) + 8_usize).next_multiple_of(64)));
    }

    #[test]
    fn patterns_need_no_table_but_their_variables_do() {
        let mut hashed = HashedNames::default();
        hashed.note("server_name", &["~^[^.]+[.]example[.]org$"]);
        hashed.note_key("~(?<one>.)(?<a_second_one>.)");
        assert_eq!(hashed, HashedNames { variables: NameCount { count: 2, longest: 12 }, ..HashedNames::default() });
    }

    #[test]
    fn every_kind_of_name_is_included() {
        let long = "x".repeat(100);
        let sizes_after = |note: &dyn Fn(&mut HashedNames)| {
            let mut hashed = HashedNames::default();
            note(&mut hashed);
            sizes_of(&hashed).into_iter().skip(2).map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(sizes_after(&|hashed| hashed.note("map", &["$a", &long])), ["variables_hash_max_size", "variables_hash_bucket_size"]);
        assert_eq!(sizes_after(&|hashed| hashed.note("set", &[&long, "1"])), ["variables_hash_max_size", "variables_hash_bucket_size"]);
        assert_eq!(sizes_after(&|hashed| hashed.note_key(&long)), ["map_hash_bucket_size", "map_hash_max_size"]);
        assert_eq!(
            sizes_after(&|hashed| hashed.note("proxy_set_header", &[&long, "1"])),
            ["proxy_headers_hash_bucket_size", "proxy_headers_hash_max_size"]
        );
    }
}
