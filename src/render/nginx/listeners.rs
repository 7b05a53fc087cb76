//! The addresses where servers listen: the same port for IPv4 and IPv6. A line for IPv6 begins with `listen [::]:` and is
//! separate, because a container without IPv6 leaves it out (`runtime/nginx/kernel_limits.rs`).

use super::writer::{Word, Writer};
use super::{ConfigPurpose, Rendering, client_address};
use crate::types::Port;

/// Writes `listen` for a port that clients reach, in `http` or `stream`.
pub fn write(server: &mut Writer, rendering: &Rendering<'_>, port: Port, options: &[Word]) {
    let settings = &rendering.table.settings;
    let protocol = client_address::by_proxy_protocol(settings).then(|| "proxy_protocol".into());
    let options: Vec<Word> = options.iter().cloned().chain(protocol).collect();
    let mut listen = |address: Word| server.directive("listen", &[&[address], options.as_slice()].concat());
    listen(port.into());
    // A stock image does not start if its configuration names IPv6 and there is none.
    if settings.ipv6.unwrap_or(rendering.purpose != ConfigPurpose::Stock) {
        listen(Word::join(["[::]:".into(), port.into()]));
    }
}
