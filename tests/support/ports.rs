//! Free ports for engines and programs that a test starts, each given out only once. It must never return a port from the
//! kernel's own range, where a listener or an outgoing connection of another test may take it before the test's engine does.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Mutex;

/// Below the kernel's own range (`net.ipv4.ip_local_port_range` starts at 32768), and above the ports of common services.
const BLOCKS: Range<u16> = 120..320;
const PER_BLOCK: u16 = 100;

/// Each block belongs to one process: a listener on the block's first port keeps other test programs away while the process
/// lives.
struct PortBlock {
    _claim: TcpListener,
    left: Range<u16>,
}

/// A port without a listener, given out only once among all running test programs.
pub fn free_port() -> u16 {
    static BLOCK: Mutex<Option<PortBlock>> = Mutex::new(None);
    let mut block = BLOCK.lock().unwrap();
    loop {
        let left = block.as_mut().and_then(|block| block.left.next());
        match left {
            Some(port) if listen(port).is_some() => return port,
            Some(_) => {}
            None => *block = Some(claim()),
        }
    }
}

fn claim() -> PortBlock {
    let mut claims = BLOCKS.map(|block| block * PER_BLOCK).filter_map(|first| Some((first, listen(first)?)));
    let (first, claim) = claims.next().unwrap();
    PortBlock { _claim: claim, left: first + 1..first + PER_BLOCK }
}

/// Listens on all addresses, because an engine may listen on any of them.
fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()
}
