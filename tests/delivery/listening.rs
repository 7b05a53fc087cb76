//! Waits until an address can be listened at again. A listener that was closed stays open for a moment if another thread starts a
//! process at that time, which has all of this program's files until it begins to run its own. It must never listen itself, because
//! the same could happen to that listener.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

/// Returns when nothing listens at this address.
pub async fn until_free(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = bind(address) {
        assert!(error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline, "{address} cannot be used: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sockets that only reuse an address, and do not listen, are not in the way of others.
fn bind(address: SocketAddr) -> std::io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

#[tokio::test]
async fn an_address_is_free_once_its_listener_is_closed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    let close = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(listener);
    };
    tokio::join!(until_free(address), close);
    tokio::net::TcpListener::bind(address).await.unwrap();
}
