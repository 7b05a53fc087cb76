//! `Forwarded` (RFC 7239) as nginx reads it: from its end, hop by hop, with the patterns of
//! `../client_address/forwarded.rs`. `tests/nginx/trusted_peers_explained.rs` compares the two.

use std::net::IpAddr;

/// The maximum number of hops in front that are searched for an address.
const HOPS: usize = 4;

/// What the last trusted hops say about the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ForwardedElements<'a> {
    /// Its address.
    pub client: Option<IpAddr>,
    /// The element that describes it, even if it hides the address.
    element: Option<&'a str>,
    /// The element of the last hop that states an address, used if the one before it says nothing.
    addressed: Option<&'a str>,
}

/// Reads the header of a trusted load balancer.
pub(super) fn read(header: &str, is_trusted: impl Fn(IpAddr) -> bool) -> ForwardedElements<'_> {
    let (mut found, mut before) = (ForwardedElements::default(), None);
    for behind in 0..HOPS {
        let element = alone(header, behind);
        found.element = element.or(before);
        before = element;
        let Some(client) = address(header, behind) else { break };
        (found.client, found.addressed) = (Some(client), found.element);
        if !is_trusted(client) {
            break;
        }
    }
    found
}

impl<'a> ForwardedElements<'a> {
    /// Whether the client used `https` (or else `http`).
    pub fn is_secure(&self) -> Option<bool> {
        self.elements().find_map(is_secure)
    }

    /// The requested host, with its port if the client named one.
    pub fn site(&self) -> Option<&'a str> {
        self.elements().find_map(|element| parameter(element, "host=", |value| site(value).map(|length| &value[length..])))
    }

    fn elements(&self) -> impl Iterator<Item = &'a str> {
        [self.element, self.addressed].into_iter().flatten()
    }
}

fn is_secure(element: &str) -> Option<bool> {
    let is_one_of =
        |schemes: &[&str]| parameter(element, "proto=", |value| schemes.iter().find_map(|scheme| after(value, scheme))).is_some();
    if is_one_of(&["https", "wss"]) { Some(true) } else { is_one_of(&["http", "ws"]).then_some(false) }
}

/// The first parameter of this name with a valid value. `rest_of` returns the text after such a value.
fn parameter<'a>(element: &'a str, name: &str, rest_of: impl Fn(&'a str) -> Option<&'a str>) -> Option<&'a str> {
    let mut rest = element;
    loop {
        if let Some(value) = after(rest, name) {
            let (value, quote) = unquoted(value);
            let end = rest_of(value).and_then(|end| end.strip_prefix(quote).map(|closed| (end, closed)));
            if let Some((end, _)) = end.filter(|(_, closed)| matches!(blanks(closed).chars().next(), None | Some(';'))) {
                return Some(&value[..value.len() - end.len()]);
            }
        }
        rest = next_parameter(rest)?;
    }
}

/// The length of the host at the beginning of a text, optionally with a port.
pub(super) fn site(text: &str) -> Option<usize> {
    let run = |text: &str, fits: fn(char) -> bool| text.find(|c| !fits(c)).unwrap_or(text.len());
    let host = match text.strip_prefix('[') {
        Some(inner) => {
            let length = run(inner, |c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
            (length > 0 && inner[length..].starts_with(']')).then_some(length + 2)?
        }
        None => Some(run(text, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))).filter(|length| *length > 0)?,
    };
    let Some(port) = text[host..].strip_prefix(':') else { return Some(host) };
    let digits = run(port, |c| c.is_ascii_digit());
    if is_port(&port[..digits]) { Some(host + 1 + digits) } else { Some(host) }
}

fn is_port(digits: &str) -> bool {
    !digits.starts_with('0') && digits.parse::<u16>().is_ok()
}

/// The address of the element that is followed by this many.
fn address(header: &str, behind: usize) -> Option<IpAddr> {
    let found = starts(header).find_map(|start| {
        let mut rest = blanks(&header[start..]);
        loop {
            if let Some(address) = after(rest, "for=").and_then(|value| address_in(value, behind)) {
                return Some(address);
            }
            rest = next_parameter(rest)?;
        }
    });
    found?.parse().ok()
}

fn address_in(value: &str, behind: usize) -> Option<&str> {
    let (value, quote) = unquoted(value);
    let (value, in_brackets) = value.strip_prefix('[').map_or((value, false), |inner| (inner, true));
    let fits = |c: char| c.is_ascii_digit() || c == '.' || in_brackets && (c == ':' || c.is_ascii_hexdigit());
    let length = value.find(|c| !fits(c)).unwrap_or(value.len());
    let (address, rest) = value.split_at(length);
    let rest = rest.strip_prefix(']').unwrap_or(rest);
    let rest = rest.strip_prefix(':').and_then(after_port).unwrap_or(rest);
    let rest = blanks(rest.strip_prefix(quote)?);
    let rest = rest.strip_prefix(';').map_or(rest, after_element);
    (length > 0 && ends_behind(rest, behind)).then_some(address)
}

/// The text after the port of an address: a number, or an obfuscated identifier.
fn after_port(text: &str) -> Option<&str> {
    let (word, fits): (_, fn(char) -> bool) = match text.strip_prefix('_') {
        Some(word) => (word, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')),
        None => (text, |c| c.is_ascii_digit()),
    };
    let rest = word.trim_start_matches(fits);
    (rest.len() < word.len()).then_some(rest)
}

/// The whole element that is followed by this many; `None` if it is empty.
fn alone(header: &str, behind: usize) -> Option<&str> {
    starts(header).find_map(|start| {
        let tail = blanks(&header[start..]);
        let rest = after_element(tail);
        (!tail.is_empty() && !tail.starts_with(',') && ends_behind(rest, behind)).then(|| &tail[..tail.len() - rest.len()])
    })
}

/// The possible starts of an element: after each comma, from the last to the first, and at the beginning.
fn starts(header: &str) -> impl Iterator<Item = usize> + '_ {
    header.rmatch_indices(',').map(|(at, _)| at + 1).chain([0])
}

/// Whether exactly this many elements follow.
fn ends_behind(mut rest: &str, behind: usize) -> bool {
    for _ in 0..behind {
        let Some(next) = rest.strip_prefix(',') else { return false };
        rest = after_element(next);
    }
    rest.is_empty()
}

/// The text after an element. An element has no backslash and closes its quotes.
fn after_element(mut rest: &str) -> &str {
    loop {
        let plain = rest.find(['"', ',', '\\']).unwrap_or(rest.len());
        rest = &rest[plain..];
        match after_quoted(rest) {
            Some(next) => rest = next,
            None => return rest,
        }
    }
}

fn after_quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let end = inner.find(['"', '\\'])?;
    inner[end..].strip_prefix('"')
}

/// The text after a parameter and its semicolon.
fn next_parameter(text: &str) -> Option<&str> {
    let name = text.find(['=', '"', ',', ';', '\\', ' ', '\t']).filter(|length| *length > 0)?;
    let value = text[name..].strip_prefix('=')?;
    let plain = value.find(['"', ',', ';', '\\']).unwrap_or(value.len());
    let rest = value[plain..].strip_prefix(';').or_else(|| blanks(after_quoted(value)?).strip_prefix(';'))?;
    Some(blanks(rest))
}

fn unquoted(value: &str) -> (&str, &'static str) {
    value.strip_prefix('"').map_or((value, ""), |inner| (inner, "\""))
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The text after this word, ignoring case.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}
