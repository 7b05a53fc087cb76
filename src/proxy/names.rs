//! The name server that the engine asks: Docker's own, but for one thing. Docker passes a name on that it does not know (such as
//! that of a service whose last task has ended) to the name servers of the node, and where nobody answers there, it answers
//! nothing; and an engine that gets no answer goes on using the addresses of before, which are somebody else's by then. So here
//! a name of which Docker says nothing, while it does answer for a name that it knows, is a name that does not exist. Knows of
//! the protocol only where a message holds its id and its code (RFC 1035, section 4.1.1).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// What Docker knows it answers within milliseconds; a busy engine has more time.
const PATIENCE: Duration = Duration::from_millis(700);
/// How many questions are under way at a time: Docker drops those that come too quickly.
const QUESTIONS_MAX: usize = 64;
/// No message by UDP is longer.
const MESSAGE_MAX: usize = 4096;

const CODE_OK: u8 = 0;
const CODE_NO_SUCH_NAME: u8 = 3;

/// Where names are asked for.
#[derive(Debug, Clone)]
pub struct NameServer {
    /// Where the engine asks.
    pub listen: SocketAddr,
    /// Where Docker answers.
    pub docker: SocketAddr,
    /// A name that Docker knows for certain: the container's own.
    pub known: String,
}

/// Which names the engine has been answered about, as the questions have them.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    questions: Arc<watch::Sender<BTreeSet<Vec<u8>>>>,
}

impl Answered {
    pub(super) fn new() -> Self {
        Self { questions: Arc::new(watch::Sender::new(BTreeSet::new())) }
    }

    /// Forgets all of them.
    pub(super) fn forget(&self) {
        self.questions.send_replace(BTreeSet::new());
    }

    /// Until so many names have been asked for and answered. Safe to cancel.
    pub(super) async fn until(&self, count: usize) {
        let mut questions = self.questions.subscribe();
        // The sender is here: an error cannot occur.
        let _ = questions.wait_for(|questions| questions.len() >= count).await;
    }

    fn note(&self, question: &[u8]) {
        // A question about an IPv4 address: the engine asks for the other kind as well.
        if let Some(name) = question.get(12..).and_then(|name| name.strip_suffix(&[0, 1, 0, 1])) {
            self.questions.send_if_modified(|questions| questions.insert(name.to_vec()));
        }
    }
}

/// Answers for ever. Where it cannot, names are not found, and it says so once.
pub(super) async fn serve(names: Option<&NameServer>, answered: &Answered) -> Infallible {
    if let Some(names) = names {
        match listen(names).await {
            Ok((socket, listener)) => tokio::select! {
                never = answer(names, Arc::new(socket), answered) => match never {},
                never = relay(names.docker, listener) => match never {},
            },
            Err(error) => tracing::error!(listen = %names.listen, %error, "the engine will find no names"),
        }
    }
    std::future::pending().await
}

async fn listen(names: &NameServer) -> std::io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind(names.listen).await?, TcpListener::bind(names.listen).await?))
}

async fn answer(names: &NameServer, socket: Arc<UdpSocket>, answered: &Answered) -> Infallible {
    let room = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut message = vec![0; MESSAGE_MAX];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut message).await else { continue };
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { continue };
        let (names, socket, answered, question) = (names.clone(), Arc::clone(&socket), answered.clone(), message[..length].to_vec());
        tokio::spawn(async move {
            let _permit = permit;
            if let Some(answer) = names.answer_to(&question).await {
                // Whoever asked and has gone needs no answer.
                let _ = socket.send_to(&answer, from).await;
                answered.note(&question);
            }
        });
    }
}

/// Answers that are too long for a datagram are asked for again by TCP.
async fn relay(docker: SocketAddr, listener: TcpListener) -> Infallible {
    loop {
        let Ok((mut engine, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let mut upstream = TcpStream::connect(docker).await?;
            tokio::io::copy_bidirectional(&mut engine, &mut upstream).await
        });
    }
}

impl NameServer {
    /// Nothing where Docker itself is silent: that says nothing about the name.
    async fn answer_to(&self, question: &[u8]) -> Option<Vec<u8>> {
        let said = self.ask(question).await;
        if let Some(answer) = said.filter(|answer| [CODE_OK, CODE_NO_SUCH_NAME].contains(&code(answer))) {
            return Some(answer);
        }
        let speaks = self.ask(&question_about(&self.known)).await.is_some_and(|answer| code(&answer) == CODE_OK);
        if speaks { no_such_name(question) } else { None }
    }

    async fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        let asked = async {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            socket.connect(self.docker).await?;
            socket.send(question).await?;
            let mut answer = vec![0; MESSAGE_MAX];
            let length = socket.recv(&mut answer).await?;
            answer.truncate(length);
            std::io::Result::Ok(answer)
        };
        let answer = timeout(PATIENCE, asked).await.ok()?.ok()?;
        (answer.len() >= 12 && answer[..2] == *question.get(..2)?).then_some(answer)
    }
}

fn code(message: &[u8]) -> u8 {
    message[3] & 0x0f
}

/// The question itself as an answer that says so, without whatever followed it.
fn no_such_name(question: &[u8]) -> Option<Vec<u8>> {
    let mut answer = question.to_vec();
    *answer.get_mut(2)? |= 0x80;
    *answer.get_mut(3)? = 0x80 | CODE_NO_SUCH_NAME;
    Some(answer)
}

/// A question about the IPv4 address of a name.
fn question_about(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let labels = labels.flat_map(|label| {
        let label = &label.as_bytes()[..label.len().min(63)];
        std::iter::once(u8::try_from(label.len()).unwrap_or(0)).chain(label.iter().copied())
    });
    [0x5a, 0x5a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0].into_iter().chain(labels).chain([0, 0, 1, 0, 1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "0123456789ab";

    /// Docker, of which the last byte of a question's first label says how it is answered: `y` known, `n` unknown, `f` a
    /// failure, anything else not at all. It speaks for the container's own name if `speaks`.
    async fn docker(speaks: bool) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let docker = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut message = vec![0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut message).await.unwrap();
                let label = &message[13..13 + usize::from(message[12])];
                let code = match label.last().unwrap() {
                    b'y' => 0,
                    b'n' => 3,
                    b'f' => 2,
                    _ if label == OWN.as_bytes() && speaks => 0,
                    _ => continue,
                };
                message[2] |= 0x80;
                message[3] = code;
                socket.send_to(&message[..length], from).await.unwrap();
            }
        });
        NameServer { listen: "127.0.0.1:0".parse().unwrap(), docker, known: OWN.to_owned() }
    }

    async fn code_for(names: &NameServer, label: &str) -> Option<u8> {
        let question = question_about(&format!("{label}.test"));
        let answer = names.answer_to(&question).await?;
        assert!(answer[..2] == question[..2] && answer[2] & 0x80 != 0 && answer[12..] == question[12..], "an answer to this question");
        Some(code(&answer))
    }

    #[tokio::test]
    async fn what_docker_says_nothing_of_while_it_speaks_does_not_exist() {
        let names = docker(true).await;
        for (label, expected) in [("known-y", 0), ("unknown-n", 3), ("failed-f", 3), ("silence", 3)] {
            assert_eq!(code_for(&names, label).await, Some(expected), "{label}");
        }
    }

    #[tokio::test]
    async fn while_docker_is_silent_nothing_is_said_about_any_name() {
        let names = docker(false).await;
        assert_eq!(code_for(&names, "silence").await, None);
        assert_eq!(code_for(&names, "known-y").await, Some(0));
    }

    #[tokio::test]
    async fn the_engine_is_answered_where_it_asks() {
        let mut names = docker(true).await;
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        names.listen = free;
        let answered = Answered::new();
        let told = answered.clone();
        tokio::spawn(async move { serve(Some(&names), &told).await });
        let engine = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        engine.connect(free).await.unwrap();
        let (question, mut answer) = (question_about("known-y.test"), [0; 512]);
        let asked = async {
            loop {
                // Until it listens, there is nobody.
                if engine.send(&question).await.is_ok() && engine.recv(&mut answer).await.is_ok() {
                    return code(&answer);
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(timeout(Duration::from_secs(5), asked).await.unwrap(), 0);
        timeout(Duration::from_secs(5), answered.until(1)).await.expect("it is noted");
        answered.forget();
        assert!(timeout(Duration::from_millis(10), answered.until(1)).await.is_err());
    }

    #[test]
    fn hostile_bytes_are_no_question() {
        assert_eq!(no_such_name(&[]), None);
        assert_eq!(no_such_name(&[1, 2, 3]), None);
        assert_eq!(question_about("a.bc")[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
    }
}
