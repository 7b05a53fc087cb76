//! The name server that the engine queries. It forwards to Docker's, with two differences.
//!
//! Docker resolves the name of a service's tasks to every container that has this name as an alias, on any network that the
//! container shares with the proxies. Of Docker's answer to `tasks.SERVICE.NETWORK` the engine therefore receives only the
//! addresses whose container, by the name that Swarm gave it, is a task of that service on that network. An address that Docker
//! cannot attribute is left out.
//!
//! Docker also forwards names that it does not know (such as that of a service whose last task has ended) to the name servers of
//! the node. If those do not answer, Docker does not answer either, and an engine that gets no answer keeps using the former
//! addresses, which may belong to another container by then. So if Docker does not answer for a name, but does answer for a name
//! that it knows, this server answers that the name does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::address_owner::TaskNames;
use super::docker_dns::{AddressOwner, DATAGRAM_MAX, DnsTransport, DockerDns, LookupResult, read_message, write_message};

/// How many queries of the engine may be open at a time. Most of them wait for their turn with Docker (`docker_dns.rs`).
const QUESTIONS_MAX: usize = 4096;
/// How long a query may wait for its answer: after 5 s the engine has given up or asks again.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How many connections the engine may have. It needs one, for answers that are too long for a datagram.
const CONNECTIONS_MAX: usize = 16;
/// How long a connection may be idle.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The TTL of answers in seconds, the same as Docker's. The engine's configuration makes it ask sooner.
const HOLD: u32 = 600;

/// The addresses of the name servers.
#[derive(Debug, Clone)]
pub struct NameServer {
    /// Where the engine sends its queries.
    pub listen: SocketAddr,
    /// Docker's name server.
    pub docker: SocketAddr,
    /// A name that Docker certainly knows: the container's own.
    pub known: String,
}

/// The last bytes of queries for addresses. The engine asks for both record types, and uses a name's addresses once it has both answers.
const KINDS: [[u8; 4]; 2] = [[0, 1, 0, 1], [0, 28, 0, 1]];
/// The factor by which Docker has longer to answer while nothing can be served without its answer: a busy engine is slow.
const PATIENCE_WHILE_AWAITED: u32 = 3;

/// The names that the engine has resolved, and their former addresses. Clones share their content.
#[derive(Debug, Clone)]
pub(super) struct ResolvedNames {
    /// The queries that were answered: name and record type, as on the wire.
    questions: Arc<watch::Sender<BTreeSet<Vec<u8>>>>,
    /// The last addresses of each name that are known from other sources than DNS.
    former: Arc<watch::Sender<BTreeMap<String, BTreeSet<IpAddr>>>>,
}

impl ResolvedNames {
    pub(super) fn new() -> Self {
        Self { questions: Arc::new(watch::Sender::new(BTreeSet::new())), former: Arc::new(watch::Sender::new(BTreeMap::new())) }
    }

    /// Forgets the queries so far. `former`: the last known addresses of each name, in lower case.
    pub(super) fn begin(&self, former: BTreeMap<String, BTreeSet<IpAddr>>) {
        self.former.send_replace(former);
        self.questions.send_replace(BTreeSet::new());
    }

    /// Subscribes to the names that the engine resolves.
    pub(super) fn resolution(&self) -> ResolutionWatch {
        ResolutionWatch(self.questions.subscribe())
    }

    /// Whether the agent waits for the engine to resolve names: then a late answer is better than a fast failure.
    fn is_awaited(&self) -> bool {
        self.questions.receiver_count() > 0
    }

    fn note(&self, question: &[u8]) {
        if let Some(queried) = question.get(12..).filter(|queried| KINDS.iter().any(|kind| queried.ends_with(kind))) {
            self.questions.send_if_modified(|questions| questions.insert(queried.to_ascii_lowercase()));
        }
    }

    fn former(&self, name: &Name, kind: RecordType) -> Vec<IpAddr> {
        let name = name.to_lowercase().to_ascii();
        let fits = |address: &IpAddr| address.is_ipv4() == (kind == RecordType::A);
        let former = self.former.borrow();
        former.get(name.trim_end_matches('.')).into_iter().flatten().copied().filter(fits).collect()
    }
}

/// Waits for the engine to resolve names.
pub(super) struct ResolutionWatch(watch::Receiver<BTreeSet<Vec<u8>>>);

impl ResolutionWatch {
    /// Returns once this many names have been answered.
    pub(super) async fn until(mut self, names: usize) {
        // The agent holds the sender: an error cannot occur.
        let _ = self.0.wait_for(|questions| questions.len() >= names * KINDS.len()).await;
    }
}

/// Serves forever. If the address cannot be used, names do not resolve, and this is logged once.
pub(super) async fn serve(names: Option<&NameServer>, learnt: &ResolvedNames) -> Infallible {
    if let Some(names) = names {
        match listen(names).await {
            Ok((socket, listener)) => {
                let handler = Arc::new(NameHandler { docker: DockerDns::new(names.docker, &names.known), learnt: learnt.clone() });
                tokio::select! {
                    never = answer_datagrams(&handler, Arc::new(socket)) => match never {},
                    never = answer_connections(&handler, listener) => match never {},
                }
            }
            Err(error) => tracing::error!(listen = %names.listen, %error, "cannot start the name server; the engine cannot resolve names"),
        }
    }
    std::future::pending().await
}

async fn listen(names: &NameServer) -> std::io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind(names.listen).await?, TcpListener::bind(names.listen).await?))
}

async fn answer_datagrams(handler: &Arc<NameHandler>, socket: Arc<UdpSocket>) -> Infallible {
    let room = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut message = vec![0; DATAGRAM_MAX];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut message).await else { continue };
        // The engine repeats queries above the bound. Leaving them unread would drop other queries.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (handler, socket, question) = (Arc::clone(handler), Arc::clone(&socket), message[..length].to_vec());
        tokio::spawn(async move {
            let _permit = permit;
            if let Ok(Some(answer)) = timeout(ANSWER_MAX, handler.now().answer_to(DnsTransport::Udp, &question)).await {
                // If the client has gone, it needs no answer.
                let _ = socket.send_to(&answer, from).await;
                handler.learnt.note(&question);
            }
        });
    }
}

/// Answers over TCP, to which the engine turns for answers that are too long for a datagram.
async fn answer_connections(handler: &Arc<NameHandler>, listener: TcpListener) -> Infallible {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { continue };
        let handler = Arc::clone(handler);
        tokio::spawn(async move {
            let _permit = permit;
            handler.answer_all(stream).await
        });
    }
}

/// Answers the engine's queries with Docker's answers.
struct NameHandler {
    docker: DockerDns,
    learnt: ResolvedNames,
}

/// A query of the engine for a service's tasks.
struct TaskQuery {
    id: u16,
    query: Query,
    tasks: TaskNames,
}

/// What is known about the tasks.
#[derive(Default)]
struct TaskLookup {
    own: Vec<IpAddr>,
    /// The name also leads to other containers.
    contested: bool,
    /// The container of an address could not be determined.
    unsure: bool,
    /// Whether Docker knows the name; `None` if Docker did not answer.
    exists: Option<bool>,
}

impl NameHandler {
    async fn answer_all(&self, mut stream: TcpStream) -> std::io::Result<()> {
        while let Ok(question) = timeout(IDLE_MAX, read_message(&mut stream)).await {
            let question = question?;
            if let Some(answer) = self.now().answer_to(DnsTransport::Tcp, &question).await {
                write_message(&mut stream, &answer).await?;
                self.learnt.note(&question);
            }
        }
        Ok(())
    }

    /// The same handler with the patience that fits this moment.
    fn now(&self) -> Self {
        let patience = if self.learnt.is_awaited() { PATIENCE_WHILE_AWAITED } else { 1 };
        Self { docker: self.docker.with_patience(patience), learnt: self.learnt.clone() }
    }

    /// `None` if Docker itself does not answer: that says nothing about the name.
    async fn answer_to(&self, via: DnsTransport, question: &[u8]) -> Option<Vec<u8>> {
        match TaskQuery::read(question) {
            Some(queried) => {
                let found = self.find(&queried).await?;
                queried.answer(&found).encoded(via)
            }
            None => self.passed_on(via, question).await,
        }
    }

    /// A query for something other than tasks, which an administrator's own lines may cause.
    async fn passed_on(&self, via: DnsTransport, question: &[u8]) -> Option<Vec<u8>> {
        let answered = self.docker.forward(via, question).await;
        if let Some(answer) = answered.filter(|answer| [ResponseCode::NoError, ResponseCode::NXDomain].contains(&code(answer))) {
            return Some(answer);
        }
        if self.docker.is_responding().await { no_such_name(question) } else { None }
    }

    /// The addresses that belong to the tasks. If other containers have the name too, all other ways to find the tasks are tried as
    /// well.
    async fn find(&self, queried: &TaskQuery) -> Option<TaskLookup> {
        let mut found = TaskLookup::default();
        for name in queried.tasks.names() {
            if let Some(answered) = self.docker.addresses(&name, queried.query.query_type()).await {
                let known = found.exists == Some(true) || matches!(answered, LookupResult::Addresses(_));
                found.exists = Some(known);
                if let LookupResult::Addresses(addresses) = answered {
                    self.sort(&queried.tasks, addresses, &mut found).await;
                }
            }
            if !found.contested {
                break;
            }
        }
        if found.contested {
            let former = self.learnt.former(queried.query.name(), queried.query.query_type());
            self.sort(&queried.tasks, former, &mut found).await;
        }
        let is_certain = found.exists.is_some() && !(found.own.is_empty() && found.unsure);
        (is_certain || self.docker.is_responding().await).then_some(found)
    }

    async fn sort(&self, tasks: &TaskNames, addresses: Vec<IpAddr>, found: &mut TaskLookup) {
        let new: Vec<IpAddr> = addresses.into_iter().filter(|address| !found.own.contains(address)).collect();
        let holders = join_all(new.iter().map(|address| self.docker.owner_of(*address))).await;
        for (address, holder) in new.into_iter().zip(holders) {
            match holder {
                AddressOwner::Container(name) if tasks.include(&name) => found.own.push(address),
                AddressOwner::Container(_) | AddressOwner::Nobody => found.contested = true,
                AddressOwner::Unknown => found.unsure = true,
            }
        }
    }
}

impl TaskQuery {
    /// `None` if it is not a query for tasks.
    fn read(question: &[u8]) -> Option<Self> {
        let message = Message::from_vec(question).ok()?;
        let [query] = &message.queries[..] else { return None };
        let is_question = message.metadata.message_type == MessageType::Query;
        let tasks = TaskNames::queried(query).filter(|_| is_question)?;
        Some(Self { id: message.metadata.id, query: query.clone(), tasks })
    }

    fn answer(&self, found: &TaskLookup) -> DnsReply {
        let mut message = Message::response(self.id, hickory_proto::op::OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.recursion_available = true;
        message.add_query(self.query.clone());
        let records = found.own.iter().map(|address| Record::from_rdata(self.query.name().clone(), HOLD, RData::from(*address)));
        message.add_answers(records);
        // A name that leads only to other containers is treated as missing. One without addresses of this type may have some of the
        // other.
        if found.own.is_empty() && (found.exists != Some(true) || found.contested || found.unsure) {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        DnsReply(message)
    }
}

/// The answer for the engine.
struct DnsReply(Message);

impl DnsReply {
    fn encoded(&self, via: DnsTransport) -> Option<Vec<u8>> {
        let whole = self.0.to_vec().ok()?;
        if via == DnsTransport::Udp && whole.len() > DATAGRAM_MAX { self.0.truncate().to_vec().ok() } else { Some(whole) }
    }
}

fn code(message: &[u8]) -> ResponseCode {
    ResponseCode::from_low(message[3] & 0x0f)
}

/// Turns the query itself into an NXDOMAIN answer, without any further sections.
fn no_such_name(question: &[u8]) -> Option<Vec<u8>> {
    let mut answer = question.to_vec();
    *answer.get_mut(2)? |= 0x80;
    *answer.get_mut(3)? = 0x80 | ResponseCode::NXDomain.low();
    Some(answer)
}

#[cfg(test)]
#[path = "dns_server_tests.rs"]
mod tests;
