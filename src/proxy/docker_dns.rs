//! Queries to Docker's name server. The number of open queries is bounded, and so is the time for each. Docker answers within
//! milliseconds for what it knows; for anything else it asks other name servers, which may not answer. So that known names never
//! wait for unknown ones, each query first waits a short time; one without an answer by then waits longer, in a separate queue; and
//! a name for which Docker did not answer is not queried at all for some seconds (`unresolved_names.rs`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::unresolved_names::{HOLD, NameQuery, QueryDecision, UnresolvedNames};

/// How long the first try may take: many times what Docker needs for names that it knows.
const PROMPT: Duration = Duration::from_millis(200);
/// How long the second try may take. A busy engine has more time than it needs.
const PATIENCE: Duration = Duration::from_millis(700);
/// For reverse lookups: they follow another query, and its client waits for all of them.
const PATIENCE_FOR_A_NAME: Duration = Duration::from_millis(500);
/// How long another query may take for a name that Docker did not answer before.
const RENEWAL: Duration = Duration::from_millis(300);
/// How many first tries may be open at a time: Docker forwards what it does not know, and drops queries above its bound.
const PROMPT_MAX: usize = 64;
/// How many second tries may be open: hundreds of names that Docker does not know must not delay a start for longer than the engine
/// waits for answers. The queries that Docker drops are for names that it does not know.
const LATE_MAX: usize = 512;
/// How many renewals may be open, which makes some 160 a second.
const RENEWALS_MAX: usize = 48;
/// The greatest length of a UDP message.
pub(super) const DATAGRAM_MAX: usize = 4096;
/// The shortest message: a header.
const HEAD: usize = 12;

/// The transport of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DnsTransport {
    Udp,
    /// For messages that are too long for a datagram.
    Tcp,
}

/// Docker's name server. Clones share the open queries and the unanswered names.
#[derive(Debug, Clone)]
pub(super) struct DockerDns {
    at: SocketAddr,
    /// A name that Docker certainly knows.
    known: String,
    rooms: Arc<Rooms>,
    silences: UnresolvedNames,
    /// The factor by which Docker has longer to answer.
    patience: u32,
}

/// The queues of open queries. None takes a place from another.
#[derive(Debug)]
struct Rooms {
    prompt: Semaphore,
    late: Semaphore,
    renewals: Semaphore,
}

/// How much time a query may take.
#[derive(Debug, Clone, Copy)]
enum Effort {
    /// A short try, then one of this length.
    Both(Duration),
    /// One try, for a name that Docker did not answer before.
    Renewal,
}

/// The result of a query.
enum QueryResult {
    Answer(Message),
    /// No answer for this name, although Docker answers others.
    Silence,
    /// No answer to any query.
    Nothing,
}

/// Docker's answer about a name. If it answers nothing at all, there is no such value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LookupResult {
    /// The addresses of the type that was asked for.
    Addresses(Vec<IpAddr>),
    /// The name does not exist: Docker answers so, or does not answer for it while it answers others.
    NoSuchName,
}

/// The owner of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AddressOwner {
    /// The container of this name. The last part is its network.
    Container(Name),
    /// No container that Docker knows.
    Nobody,
    /// There was no answer.
    Unknown,
}

impl DockerDns {
    pub(super) fn new(at: SocketAddr, known: &str) -> Self {
        let [prompt, late, renewals] = [PROMPT_MAX, LATE_MAX, RENEWALS_MAX].map(Semaphore::new);
        let rooms = Arc::new(Rooms { prompt, late, renewals });
        Self { at, known: known.to_owned(), rooms, silences: UnresolvedNames::new(HOLD), patience: 1 }
    }

    /// The same with this factor for the time to answer.
    pub(super) fn with_patience(&self, patience: u32) -> Self {
        Self { patience, ..self.clone() }
    }

    /// The same, but unanswered names are remembered for this long.
    #[cfg(test)]
    pub(super) fn with_hold(self, hold: Duration) -> Self {
        Self { silences: UnresolvedNames::new(hold), ..self }
    }

    /// Whether Docker answers at all.
    pub(super) async fn is_responding(&self) -> bool {
        let Ok(name) = Name::from_labels(self.known.split('.').filter(|label| !label.is_empty()).map(str::as_bytes)) else { return false };
        let answer = self.query(&name, RecordType::A, Effort::Both(PATIENCE)).await;
        answer.is_some_and(|answer| answer.metadata.response_code == ResponseCode::NoError)
    }

    /// The addresses of a name; `None` if Docker does not answer at all, or answers with an error.
    pub(super) async fn addresses(&self, name: &Name, kind: RecordType) -> Option<LookupResult> {
        let answer = match self.lookup(name, kind, PATIENCE).await {
            QueryResult::Answer(answer) => answer,
            QueryResult::Silence => return Some(LookupResult::NoSuchName),
            QueryResult::Nothing => return None,
        };
        match answer.metadata.response_code {
            ResponseCode::NoError => {
                Some(LookupResult::Addresses(answer.answers.iter().filter_map(|record| address(&record.data)).collect()))
            }
            ResponseCode::NXDomain => Some(LookupResult::NoSuchName),
            _ => None,
        }
    }

    /// The container that has this address.
    pub(super) async fn owner_of(&self, address: IpAddr) -> AddressOwner {
        let QueryResult::Answer(answer) = self.lookup(&Name::from(address), RecordType::PTR, PATIENCE_FOR_A_NAME).await else {
            return AddressOwner::Unknown;
        };
        let container = answer.answers.iter().find_map(|record| if let RData::PTR(name) = &record.data { Some(&name.0) } else { None });
        container.map_or(AddressOwner::Nobody, |name| AddressOwner::Container(name.clone()))
    }

    /// Queries Docker, unless it did not answer for this name lately.
    async fn lookup(&self, name: &Name, kind: RecordType, patience: Duration) -> QueryResult {
        match self.silences.decide(&NameQuery::new(name, kind), Instant::now()) {
            QueryDecision::Query => self.query_now(name, kind, Effort::Both(patience)).await,
            QueryDecision::Spare if self.is_responding().await => QueryResult::Silence,
            QueryDecision::Spare => QueryResult::Nothing,
            QueryDecision::Renew => {
                let (docker, name) = (self.clone(), name.clone());
                // Goes on if the client goes away: other queries rely on the result.
                let renewed = tokio::spawn(async move { docker.query_now(&name, kind, Effort::Renewal).await });
                renewed.await.unwrap_or(QueryResult::Nothing)
            }
        }
    }

    async fn query_now(&self, name: &Name, kind: RecordType, effort: Effort) -> QueryResult {
        let (key, queried_at) = (NameQuery::new(name, kind), Instant::now());
        if let Some(answer) = self.query(name, kind, effort).await {
            self.silences.record_answer(&key);
            return QueryResult::Answer(answer);
        }
        if self.is_responding().await {
            self.silences.record_silence(key, queried_at, Instant::now());
            return QueryResult::Silence;
        }
        self.silences.record_unclear(&key);
        QueryResult::Nothing
    }

    /// Forwards a query unchanged, and returns the answer unchanged.
    pub(super) async fn forward(&self, via: DnsTransport, question: &[u8]) -> Option<Vec<u8>> {
        let answer = self.exchange(via, question, Effort::Both(PATIENCE)).await?;
        (answer.len() >= HEAD && answer[..2] == *question.get(..2)?).then_some(answer)
    }

    async fn query(&self, name: &Name, kind: RecordType, effort: Effort) -> Option<Message> {
        let mut question = Message::query();
        let mut name = name.clone();
        name.set_fqdn(true);
        question.add_query(Query::query(name, kind));
        question.metadata.recursion_desired = true;
        let mut edns = Edns::new();
        edns.set_max_payload(u16::try_from(DATAGRAM_MAX).unwrap_or(u16::MAX));
        question.set_edns(edns);
        let answer = self.query_via(DnsTransport::Udp, &question, effort).await?;
        if answer.metadata.truncation { self.query_via(DnsTransport::Tcp, &question, effort).await } else { Some(answer) }
    }

    async fn query_via(&self, via: DnsTransport, question: &Message, effort: Effort) -> Option<Message> {
        let answer = Message::from_vec(&self.exchange(via, &question.to_vec().ok()?, effort).await?).ok()?;
        let fits = answer.metadata.id == question.metadata.id && answer.metadata.message_type == MessageType::Response;
        (fits && answer.queries == question.queries).then_some(answer)
    }

    async fn exchange(&self, via: DnsTransport, question: &[u8], effort: Effort) -> Option<Vec<u8>> {
        let mut exchanged = std::pin::pin!(self.exchanged(via, question));
        let patience = match effort {
            Effort::Renewal => return within(&self.rooms.renewals, RENEWAL, exchanged).await?.ok(),
            Effort::Both(patience) => patience * self.patience,
        };
        match within(&self.rooms.prompt, PROMPT, exchanged.as_mut()).await {
            Some(answer) => answer.ok(),
            // Docker does not know the name, or is busy: another query now would make it busier. But datagrams do get lost
            // sometimes.
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

    async fn exchanged(&self, via: DnsTransport, question: &[u8]) -> std::io::Result<Vec<u8>> {
        match via {
            DnsTransport::Udp => self.by_udp(question).await,
            DnsTransport::Tcp => self.by_tcp(question).await,
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

/// The result of `work` if it ends within this time, counted from when there is room for it.
async fn within<T>(room: &Semaphore, time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let _permit = room.acquire().await.ok()?;
    timeout(time, work).await.ok()
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

/// Over TCP, each message is preceded by its length.
pub(super) async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}
