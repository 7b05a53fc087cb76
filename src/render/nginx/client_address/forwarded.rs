//! `Forwarded` (RFC 7239), which nginx does not parse itself: `for=192.0.2.1;proto=https;host=a.example,
//! for="[2001:db8::1]"`.
//!
//! It is read from its end, because only the elements that load balancers in front appended are trusted. An element that
//! they appended has no backslash and closes its quotes. Then text that an untrusted client wrote before it cannot become
//! part of another element: a match that starts further left is either outside of quotes at the comma before the element, or
//! left with an open quote at the end.

use super::site_patterns::{port_pattern, site_pattern};
use super::trusted_ranges;
use crate::render::nginx::writer::{Word, Writer};
use crate::types::AddressRange;

/// The maximum number of consecutive hops in front that are searched for an address.
const HOPS: usize = 4;

/// The key by which the element about the client is found: whether the connection is trusted, the hop that describes the
/// client, and the header. If that hop appended nothing, the next one is used.
const TELLING: &str = "$from_front$telling_hop $http_forwarded";
/// The same for the last hop that states an address.
const ADDRESSED: &str = "$from_front$client_hop $http_forwarded";

/// One element, whatever its content.
macro_rules! element {
    () => {
        r#"(?:[^",\\]++|"[^"\\]*+")*+"#
    };
}

/// The parameters before the one that is searched for. Names contain no blanks: if blanks could be part of a name as well as
/// precede it, each would match in two ways, and a few dozen of them would take the engine forever.
macro_rules! parameters {
    () => {
        r#"(?:[^=",;\\ \t]++=(?:[^",;\\]*+|"[^"\\]*+")[ \t]*;[ \t]*)*?"#
    };
}

/// The address of the n-th element from the end: alone, with a port, in quotes, IPv6 in brackets. The quotes must match: a
/// single one would belong to a text that only looks like an element.
macro_rules! address {
    ($name:literal, $behind:literal) => {
        concat!(
            r"~*^1 (?:.*,)?[ \t]*",
            parameters!(),
            r#"for=("?)\[?(?<"#,
            $name,
            r#">(?<=\[)[0-9a-f:.]++|[0-9.]++)\]?(?::(?:[0-9]+|_[0-9a-z._-]+))?\1[ \t]*(?:;"#,
            element!(),
            ")?(?:,",
            element!(),
            "){",
            $behind,
            "}$"
        )
    };
}

/// From the n-th element on, and that element alone. `hops`: the number of the hop under which it is looked up.
macro_rules! chain {
    ($hops:literal, $name:literal, $behind:literal) => {
        concat!("~^1", $hops, r" (?:.*,)?[ \t]*+(?=[^,])(?<", $name, ">", element!(), "(?:,", element!(), "){", $behind, "})$")
    };
}
macro_rules! alone {
    ($hops:literal, $name:literal, $behind:literal) => {
        concat!("~^1", $hops, r" (?:.*,)?[ \t]*+(?=[^,])(?<", $name, ">", element!(), ")(?:,", element!(), "){", $behind, "}$")
    };
}

/// The variables and patterns for each hop.
struct Hop {
    address: &'static str,
    address_pattern: &'static str,
    address_capture: &'static str,
    trusted: &'static str,
    /// The hop that describes the client, if all hops before this one are trusted.
    choice: &'static str,
    /// The same, even if it hides the client's address: it may still state scheme and host.
    telling: &'static str,
    number: &'static str,
    before: &'static str,
    alone: (&'static str, &'static str),
    chain: (&'static str, &'static str),
    addresses: &'static str,
}

const HOP: [Hop; HOPS] = [
    Hop {
        address: "$hop_1",
        address_pattern: address!("hop_1_for", "0"),
        address_capture: "$hop_1_for",
        trusted: "$hop_1_trusted",
        choice: "$client_hop",
        telling: "$telling_hop",
        number: "1",
        before: "0",
        alone: (alone!("[12]", "hop_1_alone", "0"), "$hop_1_alone"),
        chain: (chain!("[12]", "hop_1_chain", "0"), "$hop_1_chain, $forwarded_here"),
        addresses: "$hop_1, $remote_addr",
    },
    Hop {
        address: "$hop_2",
        address_pattern: address!("hop_2_for", "1"),
        address_capture: "$hop_2_for",
        trusted: "$hop_2_trusted",
        choice: "$client_hop_2",
        telling: "$telling_hop_2",
        number: "2",
        before: "1",
        alone: (alone!("[23]", "hop_2_alone", "1"), "$hop_2_alone"),
        chain: (chain!("[23]", "hop_2_chain", "1"), "$hop_2_chain, $forwarded_here"),
        addresses: "$hop_2, $hop_1, $remote_addr",
    },
    Hop {
        address: "$hop_3",
        address_pattern: address!("hop_3_for", "2"),
        address_capture: "$hop_3_for",
        trusted: "$hop_3_trusted",
        choice: "$client_hop_3",
        telling: "$telling_hop_3",
        number: "3",
        before: "2",
        alone: (alone!("[34]", "hop_3_alone", "2"), "$hop_3_alone"),
        chain: (chain!("[34]", "hop_3_chain", "2"), "$hop_3_chain, $forwarded_here"),
        addresses: "$hop_3, $hop_2, $hop_1, $remote_addr",
    },
    Hop {
        address: "$hop_4",
        address_pattern: address!("hop_4_for", "3"),
        address_capture: "$hop_4_for",
        trusted: "$hop_4_trusted",
        choice: "$client_hop_4",
        telling: "$telling_hop_4",
        number: "4",
        before: "3",
        alone: (alone!("4", "hop_4_alone", "3"), "$hop_4_alone"),
        chain: (chain!("4", "hop_4_chain", "3"), "$hop_4_chain, $forwarded_here"),
        addresses: "$hop_4, $hop_3, $hop_2, $hop_1, $remote_addr",
    },
];

/// Writes everything that is read from the header, and the header that is sent on in its place.
pub fn write(http: &mut Writer, trusted: &[AddressRange]) {
    http.comment("Forwarded, from its end: the last hop, the one before it, and so on, up to the first untrusted one: the client.");
    for (at, hop) in HOP.iter().enumerate() {
        write_hop(http, hop, HOP.get(at + 1), trusted);
    }
    choose(http, "$client_hop", "$client_address", "$remote_addr", |hop| (hop.number, hop.address));
    choose(http, "$client_hop", "$forwarded_for", "$remote_addr", |hop| (hop.number, hop.addresses));
    choose(http, TELLING, "$client_element", "", |hop| hop.alone);
    choose(http, ADDRESSED, "$addressed_element", "", |hop| hop.alone);
    write_claims(http);
    write_here(http);
    choose(http, TELLING, "$forwarded", "$forwarded_here", |hop| hop.chain);
}

fn write_hop(http: &mut Writer, hop: &Hop, next: Option<&Hop>, trusted: &[AddressRange]) {
    http.block("map", &["$from_front $http_forwarded".into(), hop.address.into()], |map| {
        map.entry("default", "");
        map.entry(hop.address_pattern, hop.address_capture);
    });
    http.block("geo", &[hop.address.into(), hop.trusted.into()], |geo| {
        geo.entry("default", "0");
        // nginx treats a value that is not an address as this one.
        geo.entry("255.255.255.255", "");
        trusted_ranges::write(geo, trusted);
    });
    http.block("map", &[hop.trusted.into(), hop.choice.into()], |map| {
        map.entry("default", hop.before);
        map.entry("0", hop.number);
        map.entry("1", next.map_or(hop.number, |next| next.choice));
    });
    http.block("map", &[hop.trusted.into(), hop.telling.into()], |map| {
        map.entry("default", hop.number);
        map.entry("1", next.map_or(hop.number, |next| next.telling));
    });
}

fn choose(
    http: &mut Writer,
    by: &'static str,
    variable: &'static str,
    default: &'static str,
    entry: impl Fn(&Hop) -> (&'static str, &'static str),
) {
    http.block("map", &[by.into(), variable.into()], |map| {
        map.entry("default", default);
        for hop in HOP.iter().rev() {
            let (key, value) = entry(hop);
            map.entry(key, value);
        }
    });
}

/// Writes what the hop that met the client says about it. If it hides the client and says nothing else, the hop behind it is
/// used.
fn write_claims(http: &mut Writer) {
    for (element, scheme, otherwise) in
        [("$addressed_element", "$addressed_scheme", "$scheme"), ("$client_element", "$client_scheme", "$addressed_scheme")]
    {
        http.block("map", &[element.into(), scheme.into()], |map| {
            map.entry("default", otherwise);
            map.entry(concat!("~*^", parameters!(), r#"proto=("?)(?:https|wss)\1[ \t]*(?:;|$)"#), "https");
            map.entry(concat!("~*^", parameters!(), r#"proto=("?)(?:http|ws)\1[ \t]*(?:;|$)"#), "http");
        });
    }
    for (element, site, otherwise) in
        [("$addressed_element", "$addressed_site", ""), ("$client_element", "$believed_site", "$addressed_site")]
    {
        http.block("map", &[element.into(), site.into()], |map| {
            map.entry("default", otherwise);
            map.entry(
                concat!("~*^", parameters!(), r#"host=("?)(?<believed_host>"#, site_pattern!(), r#")\1[ \t]*(?:;|$)"#),
                "$believed_host",
            );
        });
    }
}

/// Writes our own element: who connected to us, and how.
fn write_here(http: &mut Writer) {
    http.block("map", &["$remote_addr".into(), "$forwarded_node".into()], |map| {
        map.entry("default", "$remote_addr");
        map.entry("~:", "\"[$remote_addr]\"");
    });
    // A host with any other characters could end its quotes.
    http.block("map", &["$forwarded_host".into(), "$forwarded_host_here".into()], |map| {
        map.entry("default", "");
        map.entry(concat!("~^", site_pattern!(), "$"), ";host=\"$forwarded_host\"");
    });
    let here: Word = "for=$forwarded_node;proto=$scheme$forwarded_host_here".into();
    http.block("map", &["".into(), "$forwarded_here".into()], |map| map.entry_words(&"default".into(), &here));
}
