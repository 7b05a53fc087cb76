//! What the name server answers to the engine, with a fake Docker whose answers each case sets.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use hickory_proto::op::OpCode;
use hickory_proto::rr::rdata::PTR;

use super::*;
use crate::proxy::dns_bootstrap::RESOLVE_MAX;

const OWN: &str = "0123456789ab";
const TASK: &str = "0123456789abcdefghijklmno";

/// A fake Docker that answers each name in a given way and counts queries.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<BTreeMap<String, ScriptedAnswer>>>,
    queried: Arc<Mutex<Vec<String>>>,
    /// Whether it knows the container's own name.
    responds: bool,
}

#[derive(Clone)]
enum ScriptedAnswer {
    Addresses(Vec<Ipv4Addr>),
    Container(String),
    Code(ResponseCode),
    /// The answer to the first query gets lost.
    LostOnce(Box<ScriptedAnswer>),
    Nothing,
}

impl Script {
    fn answers(self, name: &str, answer: ScriptedAnswer) -> Self {
        self.answers.lock().unwrap().insert(name.to_owned(), answer);
        self
    }

    fn tasks(self, name: &str, hosts: &[u8]) -> Self {
        self.answers(name, ScriptedAnswer::Addresses(hosts.iter().map(|host| address(*host)).collect()))
    }

    fn container(self, host: u8, name: &str) -> Self {
        let reverse = Name::from(IpAddr::V4(address(host))).to_ascii();
        self.answers(reverse.trim_end_matches('.'), ScriptedAnswer::Container(format!("{name}.")))
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let query = &question.queries[0];
        let name = query.name().to_ascii();
        let name = name.trim_end_matches('.').to_owned();
        self.queried.lock().unwrap().push(name.clone());
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_query(query.clone());
        let scripted = self.answers.lock().unwrap().get(&name).cloned();
        let scripted = match scripted {
            Some(ScriptedAnswer::LostOnce(then)) => {
                self.answers.lock().unwrap().insert(name, *then);
                return None;
            }
            None if name == OWN && self.responds => ScriptedAnswer::Addresses(vec![address(250)]),
            None if name == OWN => return None,
            scripted => scripted.unwrap_or(ScriptedAnswer::Code(ResponseCode::NXDomain)),
        };
        match scripted {
            ScriptedAnswer::Addresses(addresses) => {
                let addresses = addresses.into_iter().filter(|_| query.query_type() == RecordType::A);
                answer
                    .add_answers(addresses.map(|address| Record::from_rdata(query.name().clone(), HOLD, RData::from(IpAddr::V4(address)))));
            }
            ScriptedAnswer::Container(name) => {
                let data = RData::PTR(PTR(Name::from_ascii(name).unwrap()));
                answer.add_answer(Record::from_rdata(query.name().clone(), HOLD, data));
            }
            ScriptedAnswer::Code(code) => answer.metadata.response_code = code,
            ScriptedAnswer::LostOnce(_) | ScriptedAnswer::Nothing => return None,
        }
        Some(answer)
    }

    /// Answers forever, over UDP and TCP.
    async fn run(self) -> SocketAddr {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
                break (socket, listener);
            }
        };
        let at = socket.local_addr().unwrap();
        let by_tcp = self.clone();
        tokio::spawn(async move {
            let mut message = vec![0; DATAGRAM_MAX];
            loop {
                let (length, from) = socket.recv_from(&mut message).await.unwrap();
                let question = Message::from_vec(&message[..length]).unwrap();
                let Some(answer) = self.answer(&question) else { continue };
                let whole = answer.to_vec().unwrap();
                let sent = if whole.len() > DATAGRAM_MAX { answer.truncate().to_vec().unwrap() } else { whole };
                socket.send_to(&sent, from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let question = Message::from_vec(&read_message(&mut stream).await.unwrap()).unwrap();
                let answer = by_tcp.answer(&question).unwrap();
                write_message(&mut stream, &answer.to_vec().unwrap()).await.unwrap();
            }
        });
        at
    }

    async fn handler(self) -> NameHandler {
        NameHandler { docker: DockerDns::new(self.run().await, OWN), learnt: ResolvedNames::new() }
    }
}

fn docker() -> Script {
    Script { responds: true, ..Script::default() }
}

fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, host)
}

fn task_of(service: &str) -> String {
    format!("{service}.1.{TASK}.net")
}

fn question(name: &str) -> Vec<u8> {
    question_of(name, RecordType::A)
}

fn question_of(name: &str, kind: RecordType) -> Vec<u8> {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    question.to_vec().unwrap()
}

/// The agent's name server in front of that Docker.
async fn served(script: Script) -> (SocketAddr, ResolvedNames) {
    let docker = script.run().await;
    let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (names, learnt) = (NameServer { listen: free, docker, known: OWN.to_owned() }, ResolvedNames::new());
    let served = learnt.clone();
    tokio::spawn(async move { serve(Some(&names), &served).await });
    (free, learnt)
}

/// Returns the answer to this query, which is repeated because the server may not listen yet.
async fn answered(engine: &UdpSocket, question: &[u8]) -> ResponseCode {
    let mut answer = [0; 512];
    loop {
        if engine.send(question).await.is_ok() && engine.recv(&mut answer).await.is_ok() {
            return code(&answer);
        }
        tokio::task::yield_now().await;
    }
}

/// The code of the answer and the last bytes of its addresses in order; `None` if there is no answer.
async fn resolve(handler: &NameHandler, name: &str) -> Option<(ResponseCode, Vec<u8>)> {
    let question = question(name);
    let answer = Message::from_vec(&handler.answer_to(DnsTransport::Udp, &question).await?).unwrap();
    let queried = Message::from_vec(&question).unwrap();
    assert_eq!(
        (answer.metadata.id, answer.metadata.message_type, &answer.queries),
        (queried.metadata.id, MessageType::Response, &queried.queries)
    );
    let mut hosts: Vec<u8> = answer.answers.iter().map(|record| record.data.ip_addr().map_or(0, last_byte)).collect();
    hosts.sort_unstable();
    Some((answer.metadata.response_code, hosts))
}

fn last_byte(address: IpAddr) -> u8 {
    if let IpAddr::V4(address) = address { address.octets()[3] } else { 0 }
}

fn unknown() -> (ResponseCode, Vec<u8>) {
    (ResponseCode::NXDomain, Vec::new())
}

fn known(hosts: &[u8]) -> (ResponseCode, Vec<u8>) {
    (ResponseCode::NoError, hosts.to_vec())
}

#[tokio::test]
async fn a_foreign_alias_does_not_add_addresses_to_a_name() {
    let script = docker().tasks("tasks.web.net", &[1, 2, 3, 4]).container(1, &task_of("web")).container(2, &task_of("web"));
    let handler = script.container(3, &task_of("evil")).handler().await;
    assert_eq!(resolve(&handler, "tasks.web.net").await, Some(known(&[1, 2])), "address 3 belongs to another service, and 4 to none");
    let alone = docker().tasks("tasks.web.net", &[3]).container(3, &task_of("evil")).handler().await;
    assert_eq!(resolve(&alone, "tasks.web.net").await, Some(unknown()));
}

#[tokio::test]
async fn an_unambiguous_name_costs_one_question_and_one_for_each_task() {
    let script = docker().tasks("tasks.web.net", &[1, 2]).container(1, &task_of("web")).container(2, &task_of("web"));
    let queried = script.queried.clone();
    let handler = script.handler().await;
    assert_eq!(resolve(&handler, "tasks.web.net").await, Some(known(&[1, 2])));
    assert_eq!(queried.lock().unwrap().len(), 3, "{queried:?}");
}

#[tokio::test]
async fn an_alias_on_another_network_hides_no_task() {
    // Docker first looks for the whole name on all networks, and for a name without a network on the first that has it.
    let evil = format!("evil.1.{TASK}.elsewhere");
    let script = docker().tasks("tasks.web.net", &[9]).container(9, &evil).container(1, &task_of("web")).container(2, &task_of("web"));
    let queried_by_short_name = script.clone().tasks("tasks.web", &[1]).handler().await;
    assert_eq!(resolve(&queried_by_short_name, "tasks.web.net").await, Some(known(&[1])));
    // Both names are hidden: the former addresses are used, as long as they still belong to the tasks.
    let hidden = script.tasks("tasks.web", &[9]).container(3, &task_of("other")).handler().await;
    assert_eq!(resolve(&hidden, "tasks.web.net").await, Some(unknown()));
    let former = [1, 2, 3, 4].map(|host| IpAddr::V4(address(host)));
    hidden.learnt.begin(BTreeMap::from([("tasks.web.net".to_owned(), former.into())]));
    assert_eq!(resolve(&hidden, "tasks.Web.net").await, Some(unknown()), "this Docker compares names with case");
    assert_eq!(resolve(&hidden, "tasks.web.net").await, Some(known(&[1, 2])));
}

#[tokio::test]
async fn a_lost_answer_is_requested_again_and_an_unconfirmed_address_is_left_out() {
    let lost = |script: Script, host: u8, then: ScriptedAnswer| {
        let reverse = Name::from(IpAddr::V4(address(host))).to_ascii();
        script.answers(reverse.trim_end_matches('.'), then)
    };
    let script = docker().tasks("tasks.web.net", &[1, 2, 3]).container(2, &task_of("web"));
    let script = lost(script, 1, ScriptedAnswer::LostOnce(Box::new(ScriptedAnswer::Container(format!("{}.", task_of("web"))))));
    let handler = lost(script, 3, ScriptedAnswer::Nothing).handler().await;
    assert_eq!(resolve(&handler, "tasks.web.net").await, Some(known(&[1, 2])));
    // No address can be attributed: while Docker answers for its own name, this name does not exist; otherwise there is no answer.
    for (responds, expected) in [(true, Some(unknown())), (false, None)] {
        let script = Script { responds, ..Script::default() }.tasks("tasks.web.net", &[1]);
        assert_eq!(resolve(&lost(script, 1, ScriptedAnswer::Nothing).handler().await, "tasks.web.net").await, expected, "{responds}");
    }
}

#[tokio::test]
async fn a_name_without_an_answer_does_not_exist_if_docker_answers_others() {
    let script = |responds| {
        let script = Script { responds, ..Script::default() };
        script
            .tasks("tasks.known.net", &[1])
            .container(1, &task_of("known"))
            .tasks("somebody", &[7])
            .answers("tasks.silence.net", ScriptedAnswer::Nothing)
            .answers("tasks.failed.net", ScriptedAnswer::Code(ResponseCode::ServFail))
            .answers("silence", ScriptedAnswer::Nothing)
    };
    let (responding, silent) = (script(true).handler().await, script(false).handler().await);
    for (name, expected, while_silent) in [
        ("tasks.known.net", Some(known(&[1])), Some(known(&[1]))),
        ("tasks.unknown.net", Some(unknown()), Some(unknown())),
        ("tasks.failed.net", Some(unknown()), None),
        ("tasks.silence.net", Some(unknown()), None),
        ("silence", Some(unknown()), None),
        ("somebody", Some(known(&[7])), Some(known(&[7]))),
    ] {
        assert_eq!(resolve(&responding, name).await, expected, "{name}");
        assert_eq!(resolve(&silent, name).await, while_silent, "{name} while Docker is silent");
    }
}

#[tokio::test]
async fn answers_that_do_not_fit_into_a_datagram_are_sent_over_tcp() {
    let addresses: Vec<Ipv4Addr> = (0..600_u16).map(|host| Ipv4Addr::from(0x0a00_0000 + u32::from(host))).collect();
    let mut script = docker().answers("tasks.web.net", ScriptedAnswer::Addresses(addresses.clone()));
    for address in &addresses {
        let reverse = Name::from(IpAddr::V4(*address)).to_ascii();
        script = script.answers(reverse.trim_end_matches('.'), ScriptedAnswer::Container(format!("{}.", task_of("web"))));
    }
    let handler = script.handler().await;
    let question = question("tasks.web.net");
    let [by_udp, by_tcp] = [DnsTransport::Udp, DnsTransport::Tcp].map(|via| handler.answer_to(via, &question));
    let [by_udp, by_tcp] = [by_udp.await, by_tcp.await].map(|answer| Message::from_vec(&answer.unwrap()).unwrap());
    assert!(by_udp.metadata.truncation && by_udp.answers.is_empty());
    assert_eq!((by_tcp.metadata.truncation, by_tcp.answers.len()), (false, 600));
}

#[tokio::test]
async fn the_engine_gets_answers_over_udp_and_tcp() {
    let (free, learnt) = served(docker().tasks("tasks.web.net", &[1]).container(1, &task_of("web"))).await;
    let question = question("tasks.web.net");
    let engine = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    engine.connect(free).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(5), answered(&engine, &question)).await.unwrap(), ResponseCode::NoError);
    assert!(timeout(Duration::from_millis(10), learnt.resolution().until(1)).await.is_err(), "the other kind of address is not known");
    let of_the_other_kind = [question.strip_suffix(&[0, 1, 0, 1]).unwrap(), &[0, 28, 0, 1]].concat();
    engine.send(&of_the_other_kind).await.unwrap();
    timeout(Duration::from_secs(5), learnt.resolution().until(1)).await.expect("the name is recorded as resolved");
    learnt.begin(BTreeMap::new());
    assert!(timeout(Duration::from_millis(10), learnt.resolution().until(1)).await.is_err());
    let mut connection = TcpStream::connect(free).await.unwrap();
    for _ in 0..2 {
        write_message(&mut connection, &question).await.unwrap();
        let answer = timeout(Duration::from_secs(5), read_message(&mut connection)).await.unwrap().unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }
}

#[tokio::test]
async fn malformed_queries_are_ignored() {
    let handler = docker().handler().await;
    for bytes in [&[][..], &[1, 2, 3], &[0; 12], &[0xff; 40]] {
        assert!(TaskQuery::read(bytes).is_none());
        // It is forwarded to Docker unchanged, which need not answer.
        let _ = timeout(Duration::from_secs(3), handler.answer_to(DnsTransport::Udp, &bytes[..bytes.len().min(3)])).await;
    }
    assert_eq!(no_such_name(&[1, 2, 3]), None);
}

#[tokio::test]
async fn hundreds_of_unanswered_names_do_not_delay_the_others_at_startup() {
    let mut script = docker().tasks("tasks.web.net", &[1]).container(1, &task_of("web"));
    let silent: Vec<String> = (0..250).map(|number| format!("tasks.silent{number}.net")).collect();
    let good: Vec<String> = (0..250).map(|number| format!("tasks.good{number}.net")).collect();
    for (name, host) in good.iter().zip(1..) {
        script = script.tasks(name, &[host]).container(host, &task_of(name.split('.').nth(1).unwrap()));
    }
    for name in &silent {
        script = script.answers(name, ScriptedAnswer::Nothing);
    }
    let (server, learnt) = served(script).await;
    let engine = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    engine.connect(server).await.unwrap();
    timeout(Duration::from_secs(5), answered(&engine, &question("tasks.web.net"))).await.unwrap();
    // The agent waits for the names, so Docker gets as much time as possible.
    let _lesson = learnt.resolution();
    let kinds = |name: &String| [RecordType::A, RecordType::AAAA].map(|kind| question_of(name, kind));
    let questions: Vec<_> = silent.iter().chain(&good).flat_map(kinds).collect();
    let mut answered = BTreeSet::new();
    let all_good = async {
        while answered.len() < good.len() * KINDS.len() {
            for question in questions.iter().filter(|question| !answered.contains(&question[12..])) {
                engine.send(question).await.unwrap();
                tokio::task::yield_now().await;
            }
            // Like the engine, which repeats queries that were not answered.
            let _ = timeout(ANSWER_MAX, receive_good(&engine, good.len() * KINDS.len(), &mut answered)).await;
        }
    };
    timeout(RESOLVE_MAX, all_good).await.expect("all names with tasks are resolved");
}

/// Returns once this many queries were answered, with addresses or with none of this type.
async fn receive_good(engine: &UdpSocket, number: usize, answered: &mut BTreeSet<Vec<u8>>) {
    let mut answer = [0; 512];
    while answered.len() < number {
        let length = engine.recv(&mut answer).await.unwrap();
        let message = Message::from_vec(&answer[..length]).unwrap();
        if message.metadata.response_code == ResponseCode::NoError {
            let query = &message.queries[0];
            assert_eq!(message.answers.len(), usize::from(query.query_type() == RecordType::A), "{query}");
            let mut queried = Message::query();
            queried.add_query(query.clone());
            answered.insert(queried.to_vec().unwrap()[12..].to_vec());
        }
    }
}

#[tokio::test]
async fn a_silence_is_remembered_until_docker_answers() {
    let short = Duration::from_millis(300);
    for (hold, is_found) in [(Duration::from_secs(3600), false), (short, true)] {
        let script = docker().answers("tasks.web.net", ScriptedAnswer::Nothing).container(1, &task_of("web"));
        let (answers, queried) = (Arc::clone(&script.answers), Arc::clone(&script.queried));
        let handler = script.handler().await;
        let handler = NameHandler { docker: handler.docker.with_hold(hold), learnt: handler.learnt };
        for _ in 0..2 {
            assert_eq!(resolve(&handler, "tasks.web.net").await, Some(unknown()));
        }
        let times = || queried.lock().unwrap().iter().filter(|name| *name == "tasks.web.net").count();
        assert_eq!(times(), 4, "two tries for each");
        let set_answer = |what: ScriptedAnswer| answers.lock().unwrap().insert("tasks.web.net".to_owned(), what);
        set_answer(ScriptedAnswer::Addresses(vec![address(1)]));
        if is_found {
            let found = async { while resolve(&handler, "tasks.web.net").await != Some(known(&[1])) {} };
            timeout(short * 20, found).await.expect("a service that gets tasks is found");
            set_answer(ScriptedAnswer::LostOnce(Box::new(ScriptedAnswer::Addresses(vec![address(1)]))));
            assert_eq!(resolve(&handler, "tasks.web.net").await, Some(known(&[1])), "a name with a recent answer is asked for twice");
        } else {
            assert_eq!((resolve(&handler, "tasks.web.net").await, times()), (Some(unknown()), 4), "Docker is not asked");
        }
    }
}

#[tokio::test]
async fn a_remembered_silence_means_nothing_while_docker_is_silent() {
    let mut script = docker().answers("tasks.web.net", ScriptedAnswer::Nothing);
    let answers = Arc::clone(&script.answers);
    script.responds = false;
    let script = script.tasks(OWN, &[250]);
    let handler = script.handler().await;
    for _ in 0..3 {
        assert_eq!(resolve(&handler, "tasks.web.net").await, Some(unknown()));
    }
    answers.lock().unwrap().insert(OWN.to_owned(), ScriptedAnswer::Nothing);
    assert_eq!(resolve(&handler, "tasks.web.net").await, None);
}
