//! Questions to Docker's name server. Never has more under way than it takes, and waits for none longer than a moment: what Docker
//! knows it answers within milliseconds, and what it does not know it asks others about, who may be silent. So that what is known
//! never waits for what is not, each question waits a short time first; what is not answered then waits on among its like; and
//! names about which Docker was silent are for some seconds not asked at all (`silences.rs`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::unanswered_names::{HOLD, Key, Turn, UnansweredNames};

/// How long the first try takes: many times what Docker needs for what it knows.
const PROMPT: Duration = Duration::from_millis(200);
/// How long the second try may take. A busy engine has more time than it needs.
const PATIENCE: Duration = Duration::from_millis(700);
/// The names of addresses come after other questions, and the one who asked waits for all of them.
const PATIENCE_FOR_A_NAME: Duration = Duration::from_millis(500);
/// How long it may take to hear something of a name again about which Docker was silent.
const RENEWAL: Duration = Duration::from_millis(300);
/// How many first tries are under way at a time: Docker passes on what it does not know, and drops what is too much.
const PROMPT_MAX: usize = 64;
/// How many second tries: hundreds of names of which Docker knows nothing must not hold up a start for longer than the engine waits
/// for its answers. What Docker drops of these it does not know.
const LATE_MAX: usize = 512;
/// How many renewals, which is some 160 a second.
const RENEWALS_MAX: usize = 48;
/// No message by UDP is longer.
pub(super) const DATAGRAM_MAX: usize = 4096;
/// The shortest message: its head.
const HEAD: usize = 12;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Udp,
    /// For what is too long for a datagram.
    Tcp,
}

/// Docker's name server. Clones share what is under way and what is remembered.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    at: SocketAddr,
    /// A name that it knows for certain.
    known: String,
    rooms: Arc<Rooms>,
    silences: UnansweredNames,
    /// By how much longer than usual it is waited for.
    patience: u32,
}

/// Where questions wait for their turn. None takes a place from those of another room.
#[derive(Debug)]
struct Rooms {
    prompt: Semaphore,
    late: Semaphore,
    renewals: Semaphore,
}

/// What a question may cost.
#[derive(Debug, Clone, Copy)]
enum Effort {
    /// A short try, then one of this length.
    Both(Duration),
    /// One try for a name about which Docker was silent.
    Renewal,
}

/// What Docker is heard to say.
enum Heard {
    Answer(Message),
    /// Nothing about this name, while it speaks.
    Silence,
    /// Nothing at all.
    Nothing,
}

/// What Docker says about a name. That it said nothing about any is no answer of this kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has these addresses of the kind that was asked for.
    Addresses(Vec<IpAddr>),
    /// There is no such name: Docker says so, or nothing while it speaks.
    NoSuchName,
}

/// Who has an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The container of this name, on the network that is the last part of it.
    Container(Name),
    /// Nobody whom Docker knows.
    Nobody,
    /// There was no answer.
    Unknown,
}

impl Docker {
    pub(super) fn new(at: SocketAddr, known: &str) -> Self {
        let [prompt, late, renewals] = [PROMPT_MAX, LATE_MAX, RENEWALS_MAX].map(Semaphore::new);
        let rooms = Arc::new(Rooms { prompt, late, renewals });
        Self { at, known: known.to_owned(), rooms, silences: UnansweredNames::new(HOLD), patience: 1 }
    }

    /// The same, waited for so much longer.
    pub(super) fn patient(&self, patience: u32) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The same, with silences that are remembered for so long.
    #[cfg(test)]
    pub(super) fn holding(self, hold: Duration) -> Self {
        Self { silences: UnansweredNames::new(hold), ..self }
    }

    /// Whether it answers at all.
    pub(super) async fn speaks(&self) -> bool {
        let Ok(name) = Name::from_labels(self.known.split('.').filter(|label| !label.is_empty()).map(str::as_bytes)) else { return false };
        let answer = self.ask(&name, RecordType::A, Effort::Both(PATIENCE)).await;
        answer.is_some_and(|answer| answer.metadata.response_code == ResponseCode::NoError)
    }

    /// The addresses of a name; nothing if Docker is silent altogether or does not say.
    pub(super) async fn addresses(&self, name: &Name, kind: RecordType) -> Option<Said> {
        let answer = match self.hear(name, kind, PATIENCE).await {
            Heard::Answer(answer) => answer,
            Heard::Silence => return Some(Said::NoSuchName),
            Heard::Nothing => return None,
        };
        match answer.metadata.response_code {
            ResponseCode::NoError => Some(Said::Addresses(answer.answers.iter().filter_map(|record| address(&record.data)).collect())),
            ResponseCode::NXDomain => Some(Said::NoSuchName),
            _ => None,
        }
    }

    /// Who has this address.
    pub(super) async fn holder(&self, address: IpAddr) -> Holder {
        let Heard::Answer(answer) = self.hear(&Name::from(address), RecordType::PTR, PATIENCE_FOR_A_NAME).await else {
            return Holder::Unknown;
        };
        let container = answer.answers.iter().find_map(|record| if let RData::PTR(name) = &record.data { Some(&name.0) } else { None });
        container.map_or(Holder::Nobody, |name| Holder::Container(name.clone()))
    }

    /// What Docker says, or that it was silent about this lately.
    async fn hear(&self, name: &Name, kind: RecordType, patience: Duration) -> Heard {
        match self.silences.turn(&Key::new(name, kind), Instant::now()) {
            Turn::Ask => self.hear_now(name, kind, Effort::Both(patience)).await,
            Turn::Spare if self.speaks().await => Heard::Silence,
            Turn::Spare => Heard::Nothing,
            Turn::Renew => {
                let (docker, name) = (self.clone(), name.clone());
                // It goes on when the one who asked has gone: others rely on its end.
                let renewed = tokio::spawn(async move { docker.hear_now(&name, kind, Effort::Renewal).await });
                renewed.await.unwrap_or(Heard::Nothing)
            }
        }
    }

    async fn hear_now(&self, name: &Name, kind: RecordType, effort: Effort) -> Heard {
        let (key, asked) = (Key::new(name, kind), Instant::now());
        if let Some(answer) = self.ask(name, kind, effort).await {
            self.silences.answered(&key);
            return Heard::Answer(answer);
        }
        if self.speaks().await {
            self.silences.silent(key, asked, Instant::now());
            return Heard::Silence;
        }
        self.silences.unclear(&key);
        Heard::Nothing
    }

    /// Asks as somebody else has asked, and gives the answer as it is.
    pub(super) async fn pass_on(&self, via: Via, question: &[u8]) -> Option<Vec<u8>> {
        let answer = self.exchange(via, question, Effort::Both(PATIENCE)).await?;
        (answer.len() >= HEAD && answer[..2] == *question.get(..2)?).then_some(answer)
    }

    async fn ask(&self, name: &Name, kind: RecordType, effort: Effort) -> Option<Message> {
        let mut question = Message::query();
        let mut name = name.clone();
        name.set_fqdn(true);
        question.add_query(Query::query(name, kind));
        question.metadata.recursion_desired = true;
        let mut edns = Edns::new();
        edns.set_max_payload(u16::try_from(DATAGRAM_MAX).unwrap_or(u16::MAX));
        question.set_edns(edns);
        let answer = self.ask_via(Via::Udp, &question, effort).await?;
        if answer.metadata.truncation { self.ask_via(Via::Tcp, &question, effort).await } else { Some(answer) }
    }

    async fn ask_via(&self, via: Via, question: &Message, effort: Effort) -> Option<Message> {
        let answer = Message::from_vec(&self.exchange(via, &question.to_vec().ok()?, effort).await?).ok()?;
        let fits = answer.metadata.id == question.metadata.id && answer.metadata.message_type == MessageType::Response;
        (fits && answer.queries == question.queries).then_some(answer)
    }

    async fn exchange(&self, via: Via, question: &[u8], effort: Effort) -> Option<Vec<u8>> {
        let mut exchanged = std::pin::pin!(self.exchanged(via, question));
        let patience = match effort {
            Effort::Renewal => return within(&self.rooms.renewals, RENEWAL, exchanged).await?.ok(),
            Effort::Both(patience) => patience * self.patience,
        };
        match within(&self.rooms.prompt, PROMPT, exchanged.as_mut()).await {
            Some(answer) => answer.ok(),
            // Docker does not know it, or is busy: to ask once more would make it busier. But a datagram gets lost now and then.
            None => within(&self.rooms.late, patience, async {
                if let Ok(answer) = timeout(patience * 2 / 3, exchanged.as_mut()).await {
                    return answer;
                }
                tokio::select! {
                    answer = exchanged.as_mut() => answer,
                    answer = self.exchanged(via, question) => answer,
                }
            })
            .await?
            .ok(),
        }
    }

    async fn exchanged(&self, via: Via, question: &[u8]) -> std::io::Result<Vec<u8>> {
        match via {
            Via::Udp => self.by_udp(question).await,
            Via::Tcp => self.by_tcp(question).await,
        }
    }

    async fn by_udp(&self, question: &[u8]) -> std::io::Result<Vec<u8>> {
        let any = if self.at.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(self.at).await?;
        socket.send(question).await?;
        let mut answer = vec![0; DATAGRAM_MAX];
        let length = socket.recv(&mut answer).await?;
        answer.truncate(length);
        Ok(answer)
    }

    async fn by_tcp(&self, question: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.at).await?;
        write_message(&mut stream, question).await?;
        read_message(&mut stream).await
    }
}

/// What has an end within this time, once there is a place for it.
async fn within<T>(room: &Semaphore, time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let _place = room.acquire().await.ok()?;
    timeout(time, work).await.ok()
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

/// Messages by TCP have their length before them.
pub(super) async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}
