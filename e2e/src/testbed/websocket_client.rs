//! A websocket client, for connections that outlive changes and for conversations that use everything the protocol allows. It
//! must never reopen a connection by itself, because a broken one must be reported.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use tungstenite::handshake::client::generate_key;
use tungstenite::http::Request;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::{Message, WebSocket};

/// How long a client waits for one message.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open connection.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens `ws://HOST/PATH` at `address` (`IP:PORT`).
    pub fn open(address: &str, host: &str, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let request = Request::get(format!("ws://{host}{path}")).header("host", host);
        let request = request.header("connection", "Upgrade").header("upgrade", "websocket");
        let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", generate_key()).body(())?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(reason) => Err(anyhow::anyhow!("open ws://{host}{path} at {address}: {reason}")),
        }
    }

    /// Sends a text and waits until the same text comes back.
    pub fn echoes(&mut self, text: &str) -> Result<()> {
        self.0.send(Message::text(text)).with_context(|| format!("send {text}"))?;
        let answer = self.0.read().with_context(|| format!("wait for {text}"))?;
        ensure!(answer == Message::text(text), "{text} is echoed as {answer:?}");
        Ok(())
    }

    fn send(&mut self, messages: Vec<Message>) -> Result<()> {
        messages.into_iter().try_for_each(|message| self.0.send(message)).context("send")
    }

    /// Describes the next message.
    fn received(&mut self) -> String {
        match self.0.read() {
            Ok(Message::Text(text)) => format!("text {:.60}, {} bytes", text.as_str(), text.len()),
            Ok(Message::Binary(bytes)) => format!("binary {} bytes {}", bytes.len(), sum(&bytes)),
            Ok(Message::Pong(bytes)) => format!("pong {} bytes {}", bytes.len(), sum(&bytes)),
            Ok(Message::Close(Some(close))) => format!("close {} {}", u16::from(close.code), close.reason),
            Ok(other) => format!("{other:?}"),
            Err(reason) => format!("end: {reason}"),
        }
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The responses of an echo server at this address to everything that the protocol allows: fragmented messages with pings
/// between them, empty and large ones, every boundary of the length encodings, and several ways to close. If two results are
/// equal, nothing in between changed anything.
pub fn conversation(address: &str, host: &str, path: &str) -> Result<Vec<String>> {
    let mut received = Vec::new();
    let mut socket = Socket::open(address, host, path)?;
    for (messages, answers) in sayings() {
        socket.send(messages)?;
        received.extend((0..answers).map(|_| socket.received()));
    }
    for code in [CloseCode::Normal, CloseCode::Away, CloseCode::Library(3000), CloseCode::Bad(4999)] {
        let mut socket = Socket::open(address, host, path)?;
        socket.0.close(Some(CloseFrame { code, reason: "enough".into() }))?;
        received.extend([socket.received(), socket.received()]);
    }
    received.extend(offences().into_iter().map(|offence| offend(address, host, path, offence)).collect::<Result<Vec<_>>>()?);
    Ok(received)
}

/// Messages, and how many responses each one has.
fn sayings() -> Vec<(Vec<Message>, usize)> {
    let part = |text: &'static str, data, last| Message::Frame(Frame::message(text, OpCode::Data(data), last));
    let ping = |length| Message::Ping(vec![7_u8; length].into());
    let binary = |length: usize| Message::binary((0..=250).cycle().take(length).collect::<Vec<u8>>());
    let mut sayings = vec![
        (vec![Message::text("")], 1),
        (vec![Message::text("h\u{e4}ll\u{f6} \u{1f30d}")], 1),
        (vec![ping(0)], 1),
        (vec![ping(125)], 1),
        (vec![part("one, ", Data::Text, false), ping(3), part("two, ", Data::Continue, false), part("three", Data::Continue, true)], 2),
        (vec![part("", Data::Binary, false), part("", Data::Continue, true)], 1),
        ((0..20).map(|length| binary(length * 7)).collect(), 20),
    ];
    sayings.extend([125, 126, 127, 65_535, 65_536, 65_537, 1 << 20, (4 << 20) + 1].map(|length| (vec![binary(length)], 1)));
    sayings
}

/// Frames that a client must not send.
fn offences() -> Vec<Message> {
    let lonely = Frame::message("lonely", OpCode::Data(Data::Continue), true);
    let reserved = Frame::message("reserved", OpCode::Data(Data::Reserved(3)), true);
    let no_text = Frame::message(vec![0xff_u8, 0xfe], OpCode::Data(Data::Text), true);
    [lonely, reserved, no_text].map(Message::Frame).into()
}

fn offend(address: &str, host: &str, path: &str, offence: Message) -> Result<String> {
    let mut socket = Socket::open(address, host, path)?;
    socket.send(vec![offence])?;
    Ok(socket.received())
}
