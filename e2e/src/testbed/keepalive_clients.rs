//! Clients that keep one connection each and use it occasionally, as browsers do: they reopen a closed connection, and resend a
//! request that was cut off before any response. Anything but status 200 must be reported.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(5);

/// Clients that run until they are stopped or dropped.
pub struct Browsers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Drop for Browsers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Browsers {
    /// Starts `count` clients one after another, each of which leaves its connection idle for `rest` between two requests.
    pub fn start(address: &str, host: &str, count: u32, rest: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, address, host) = (Arc::clone(&stop), address.to_owned(), host.to_owned());
        // Started here, so that it uses the caller's network.
        let work = move || browse(&stopping, &address, &host, count, rest / count);
        let thread = thread::Builder::new().name("browsers".into()).spawn(work).context("start the clients")?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the clients, and fails if a single request failed.
    pub fn stop_without_loss(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        let Some(Ok(answers)) = ended else { bail!("the clients broke off") };
        let failed: Vec<_> = answers.iter().filter(|answer| *answer != "200").collect();
        ensure!(failed.is_empty(), "{} of {} requests on rested connections failed: {failed:?}", failed.len(), answers.len());
        ensure!(answers.len() >= 50, "{} requests are too few to judge", answers.len());
        Ok(())
    }
}

fn browse(stop: &AtomicBool, address: &str, host: &str, count: u32, pause: Duration) -> Vec<String> {
    let mut connections: Vec<_> = (0..count).map(|_| None).collect();
    let mut answers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for connection in &mut connections {
            thread::sleep(pause);
            answers.push(visit(connection, address, host));
        }
    }
    answers
}

/// Sends one request, over the kept connection if it is still open. Returns the status code or what went wrong.
fn visit(connection: &mut Option<TcpStream>, address: &str, host: &str) -> String {
    let kept = connection.take().and_then(|mut kept| request(&mut kept, host).ok().map(|answer| (kept, answer)));
    let fresh = || -> io::Result<_> {
        let mut fresh = TcpStream::connect(address)?;
        fresh.set_read_timeout(Some(PATIENCE))?;
        let answer = request(&mut fresh, host)?;
        Ok((fresh, answer))
    };
    match kept.map_or_else(fresh, Ok) {
        Ok((open, answer)) => {
            let goes_on = !answer.to_ascii_lowercase().contains("connection: close");
            *connection = goes_on.then_some(open);
            answer.split(' ').nth(1).unwrap_or("no status").to_owned()
        }
        Err(reason) => reason.to_string(),
    }
}

/// The head of the response, once the whole response is read. An error means that the connection ended before a response began.
fn request(stream: &mut TcpStream, host: &str) -> io::Result<String> {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        let count = match stream.read(&mut part) {
            // A proxy that does not answer in time counts as a response, and not one after which to retry.
            Err(reason) if matches!(reason.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok("HTTP/1.1 timeout".to_owned());
            }
            Err(reason) if reason.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if length.is_none_or(|length: usize| body.len() >= length) {
                return Ok(head.to_owned());
            }
        }
    }
}
