//! The PROXY protocol as defined by HAProxy's specification: what a load balancer sends before its client's data.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;

/// Version 1: a line of text.
pub fn v1(from: &str, from_port: u16, to: &str, to_port: u16) -> Vec<u8> {
    let family = if from.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// Version 2. `tls`: includes the information that the client connected over TLS.
pub fn v2(from: &str, from_port: u16, to: &str, to_port: u16, tls: bool) -> Vec<u8> {
    let ends = [(from, from_port), (to, to_port)].map(|(address, port)| SocketAddr::new(address.parse().unwrap(), port));
    let mut body: Vec<u8> = ends.iter().flat_map(|end| bytes(end.ip())).collect();
    body.extend(ends.iter().flat_map(|end| end.port().to_be_bytes()));
    if tls {
        let version = tlv(SSL_VERSION, b"TLSv1.3");
        // The client connected over TLS (1), without a certificate being requested (verify is not 0).
        body.extend(tlv(SSL, &[&[1, 0, 0, 0, 1], version.as_slice()].concat()));
    }
    header(PROXY, if ends[0].is_ipv4() { TCP4 } else { TCP6 }, &body)
}

/// Version 2 for a connection that the balancer opens for itself.
pub fn v2_local() -> Vec<u8> {
    header(LOCAL, 0, &[])
}

fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family], &length(body), body].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], length(value).as_slice(), value].concat()
}

fn length(body: &[u8]) -> [u8; 2] {
    u16::try_from(body.len()).unwrap().to_be_bytes()
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}
