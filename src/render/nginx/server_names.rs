//! The names of servers, by which nginx chooses the one for a request or a connection.

use super::writer::Word;
use crate::types::HostPattern;

/// nginx's own `*.example.org` would also match `a.b.example.org`; our wildcards are exactly one label, so they are
/// patterns. Exact names still take precedence, and no name matches two of our patterns.
pub fn server_name(host: &HostPattern) -> Word {
    if host.is_wildcard() { Word::one_label_wildcard(host) } else { host.into() }
}
