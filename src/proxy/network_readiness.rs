//! A proxy that starts during a rollout that gives it new networks must show that it is reachable and reaches them before it
//! becomes healthy: only then does Swarm replace the next proxy, and it rolls the networks back if this one never does. This never
//! makes a healthy proxy unhealthy, nor does it affect a start at any other time, such as after a power cut. An application that is
//! down proves nothing, and so delays nothing.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use nix::ifaddrs::getifaddrs;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Agent;
use crate::protocol::NewNetworks;

/// Clocks of nodes differ. A start far outside of the rollout's time is another start, or a clock is wrong.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);
/// The time between two checks.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long an endpoint may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait for endpoints that no node knows (yet), or that no configuration names.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many endpoints of each network are tried in one check: some 1,500 in a trial of a minute in which none answers.
const ENDPOINTS_MAX: usize = 64;
/// How many of them a message names.
const NAMED_MAX: usize = 4;
/// The file on the volume that holds the port of the node at which a proxy was reached from inside. With a firewall between
/// containers and their node, no proxy ever is.
const PORT_FILE: &str = "reached-at-port";

/// Whether a proxy that starts now starts during that rollout.
pub(super) fn is_in_rollout(new: &NewNetworks, now: Timestamp) -> bool {
    new.from.saturating_sub(CLOCKS_DIFFER).is_ok_and(|from| from <= now) && now < new.until
}

/// Waits until the engine serves, then until everything is shown or the time is over, and records that.
pub(super) async fn report_ready(agent: &Agent) -> Infallible {
    let mut state = agent.state.subscribe();
    // The agent itself holds the sender.
    let _ = state.wait_for(|state| state.serving).await;
    if let Some(new) = agent.options.new_networks.as_ref() {
        let has_to_show = !agent.state.borrow().arrived;
        if has_to_show {
            show(agent, new).await;
        } else if let Some(route) = route() {
            // For the next rollout: this node or this volume may not have had one yet.
            note_port(new, &route, &agent.options.state_dir).await;
        }
    }
    agent.state.send_modify(|state| state.arrived = true);
    std::future::pending().await
}

async fn show(agent: &Agent, new: &NewNetworks) {
    let mut trials = Trials { since: Instant::now(), networks: new.new.iter().map(|network| Trial::of(network)).collect() };
    let mut logged = None;
    while is_in_rollout(new, Timestamp::now()) {
        let Some(unready_reason) = unready_reason(agent, new, &mut trials).await else { return };
        if logged.as_ref() != Some(&unready_reason) {
            tracing::warn!(reason = unready_reason, "this proxy is not ready: it is not reachable yet, or does not reach its new networks");
            logged = Some(unready_reason);
        }
        sleep(CHECK_EVERY).await;
    }
}

/// What has not been shown yet; `None`: everything is fine.
async fn unready_reason(agent: &Agent, new: &NewNetworks, trials: &mut Trials) -> Option<String> {
    let addresses = addresses();
    if let Some(unready_reason) = lacking_address(new, &addresses) {
        return Some(unready_reason);
    }
    let Some(route) = route() else {
        return Some("no route to clients".to_owned());
    };
    if let Some(unready_reason) = misled(new, &addresses, &route) {
        return Some(unready_reason);
    }
    if let Some(unready_reason) = unanswered_port(new, &route, &agent.options.state_dir).await {
        return Some(unready_reason);
    }
    trials.check(&texts(agent)).await
}

/// An interface and its address.
type Address = (String, IpAddr);

fn addresses() -> Vec<Address> {
    let Ok(found) = getifaddrs() else { return Vec::new() };
    let ip = |storage: &nix::sys::socket::SockaddrStorage| {
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    found.filter_map(|one| Some((one.interface_name.clone(), ip(one.address.as_ref()?)?))).collect()
}

fn is_on(network: &[IpNet], address: IpAddr) -> bool {
    network.iter().any(|subnet| subnet.contains(&address))
}

/// Every network must have an interface.
fn lacking_address(new: &NewNetworks, addresses: &[Address]) -> Option<String> {
    let has_none = |network: &&Vec<IpNet>| !addresses.iter().any(|(_, address)| is_on(network, *address));
    let lacking = new.known.iter().chain(&new.new).find(has_none)?;
    Some(format!("no address in {}", lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
}

/// The route to everything outside of the proxy's own networks, and so to its clients.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    gateway: Ipv4Addr,
}

fn route() -> Option<Route> {
    default_route(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// Reads `/proc/net/route`: interface, destination and gateway come first, with numbers in native byte order.
fn default_route(table: &str) -> Option<Route> {
    let mut routes = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = routes.find(|fields| fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000"))?;
    let gateway = u32::from_str_radix(found.get(2)?, 16).ok()?;
    Some(Route { interface: (*found.first()?).to_owned(), gateway: Ipv4Addr::from(gateway.to_ne_bytes()) })
}

/// A network that takes over the route to the clients sends answers nowhere.
fn misled(new: &NewNetworks, addresses: &[Address], route: &Route) -> Option<String> {
    let on_it: Vec<IpAddr> = addresses.iter().filter(|(name, _)| *name == route.interface).map(|(_, address)| *address).collect();
    let mut networks = new.known.iter().chain(&new.new);
    let taken = networks.any(|network| on_it.iter().any(|address| is_on(network, *address)) || is_on(network, route.gateway.into()));
    taken.then(|| format!("the route to clients leads through an application's network ({})", route.interface))
}

/// The engine answers at its own port, and at its port of the node if a proxy was ever reached there from inside.
async fn unanswered_port(new: &NewNetworks, route: &Route, volume: &Path) -> Option<String> {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, new.port));
    if probe(own).await != Probe::Answered {
        return Some(format!("port {} does not answer", new.port));
    }
    let port = new.node_port?;
    if note_port(new, route, volume).await {
        return None;
    }
    let answered_before = fs::read_to_string(volume.join(PORT_FILE)).is_ok_and(|known| known == port.to_string());
    answered_before.then(|| format!("the published port {port} does not answer"))
}

/// Whether the port of the node is reachable from inside, which is recorded.
async fn note_port(new: &NewNetworks, route: &Route, volume: &Path) -> bool {
    let Some(port) = new.node_port else { return false };
    let answers = probe(SocketAddr::from((route.gateway, port))).await == Probe::Answered;
    if answers {
        // Without the volume there is no such file, and nothing is concluded.
        let _ = fs::write(volume.join(PORT_FILE), port.to_string());
    }
    answers
}

/// The result of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// It was accepted.
    Answered,
    /// It was refused, so a host is there.
    Refused,
    /// No node knows this address.
    Unknown,
    /// Nothing came back.
    Silent,
}

async fn probe(address: SocketAddr) -> Probe {
    match timeout(ANSWER, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Probe::Answered,
        Ok(Err(error)) => judged(&error),
        Err(_) => Probe::Silent,
    }
}

fn judged(error: &io::Error) -> Probe {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Probe::Refused,
        ErrorKind::TimedOut => Probe::Silent,
        _ => Probe::Unknown,
    }
}

/// The newest known configuration, as text.
fn texts(agent: &Agent) -> Vec<String> {
    let offer = agent.offers.borrow().clone();
    offer.map(|offer| offer.live.files.values().cloned().collect()).unwrap_or_default()
}

/// The endpoints on a network that a configuration names: in a file for that purpose, until every proxy is on the network.
fn endpoints(texts: &[String], network: &[IpNet]) -> Vec<SocketAddr> {
    let fields = texts.iter().flat_map(|text| text.split(|c: char| c.is_whitespace() || c == ';'));
    let found: BTreeSet<SocketAddr> =
        fields.filter_map(|field| field.parse().ok()).filter(|at: &SocketAddr| is_on(network, at.ip())).collect();
    found.into_iter().collect()
}

/// All new networks. Each is checked until it is reached once.
struct Trials {
    since: Instant,
    networks: Vec<Trial>,
}

/// One network, and what the checks have shown so far.
struct Trial {
    network: Vec<IpNet>,
    checks: usize,
    /// The last check in which packets vanished, and their targets.
    silent: Option<(usize, String)>,
    reached: bool,
}

impl Trials {
    /// Tries endpoints of all networks that are not reached yet, at the same time, and returns the reason of the first that is not.
    async fn check(&mut self, texts: &[String]) -> Option<String> {
        let waited = self.since.elapsed();
        let open = self.networks.iter_mut().filter(|trial| !trial.reached);
        let reasons = join_all(open.map(|trial| trial.check(texts, waited))).await;
        reasons.into_iter().flatten().next()
    }
}

impl Trial {
    fn of(network: &[IpNet]) -> Self {
        Self { network: network.to_vec(), checks: 0, silent: None, reached: false }
    }

    async fn check(&mut self, texts: &[String], waited: Duration) -> Option<String> {
        let all = endpoints(texts, &self.network);
        let tried = sample(&all, self.checks);
        let probes = join_all(tried.iter().map(|endpoint| probe(*endpoint))).await;
        self.judge(all.len(), &tried, &probes, waited).err()
    }

    /// Whether any endpoint answers. If none is known, or no node knows them, that proves nothing; if packets vanish, that is a
    /// proof until all endpoints have been tried again.
    fn judge(&mut self, all: usize, tried: &[SocketAddr], probes: &[Probe], waited: Duration) -> Result<(), String> {
        let check = self.checks;
        self.checks += 1;
        let is = |wanted: Probe| probes.contains(&wanted);
        if is(Probe::Silent) {
            let to = tried.iter().zip(probes).filter(|(_, probe)| **probe == Probe::Silent).map(|(endpoint, _)| *endpoint);
            self.silent = Some((check, named(&to.collect::<Vec<_>>(), all)));
        }
        let vanished_lately = self.silent.as_ref().filter(|(last, _)| check - last < checks_for(all));
        self.reached = is(Probe::Answered) || is(Probe::Refused);
        if self.reached || (waited >= PATIENCE && vanished_lately.is_none()) {
            return Ok(());
        }
        Err(match (vanished_lately, tried.is_empty()) {
            (Some((_, to)), _) => format!("no answer from {to}"),
            (None, true) => "no endpoint is known yet".to_owned(),
            (None, false) => format!("these endpoints are unknown to all nodes so far: {}", named(tried, all)),
        })
    }
}

/// After this many checks every endpoint has been tried.
fn checks_for(endpoints: usize) -> usize {
    endpoints.div_ceil(ENDPOINTS_MAX).max(1)
}

/// Different ones in every check until all have been tried: one application with many hanging tasks must not be the only one tried.
fn sample(all: &[SocketAddr], check: usize) -> Vec<SocketAddr> {
    let step = checks_for(all.len());
    all.iter().skip(check % step).step_by(step).copied().collect()
}

fn named(tried: &[SocketAddr], all: usize) -> String {
    let first = tried.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if all > NAMED_MAX { format!("{first} and others ({all} in total)") } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_networks() -> NewNetworks {
        let net = |text: &str| vec![text.parse::<IpNet>().unwrap()];
        NewNetworks {
            from: Timestamp::from_second(1_000).unwrap(),
            until: Timestamp::from_second(1_180).unwrap(),
            known: vec![net("10.0.1.0/24")],
            new: vec![net("10.0.2.0/24")],
            node_port: Some(8082),
            port: 80,
        }
    }

    fn address(name: &str, text: &str) -> Address {
        (name.to_owned(), text.parse().unwrap())
    }

    #[test]
    fn readiness_is_checked_only_during_a_rollout() {
        let at = |second| is_in_rollout(&new_networks(), Timestamp::from_second(second).unwrap());
        assert!(at(1_000) && at(1_179) && at(950));
        assert!(!at(1_180) && !at(1_000_000), "after a power cut");
        assert!(!at(0) && !at(930), "with a reset clock");
    }

    #[test]
    fn every_network_needs_an_address_and_none_provides_the_default_route() {
        let new = new_networks();
        let all = [address("eth0", "10.0.1.7"), address("eth1", "10.0.2.7"), address("eth2", "172.18.0.3")];
        assert_eq!(lacking_address(&new, &all), None);
        assert_eq!(lacking_address(&new, &all[..1]).unwrap(), "no address in 10.0.2.0/24");
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth2\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let out = default_route(table).unwrap();
        assert_eq!(out, Route { interface: "eth2".to_owned(), gateway: Ipv4Addr::new(172, 18, 0, 1) });
        assert_eq!(misled(&new, &all, &out), None);
        let over_the_new_one = default_route(&table.replace("eth2\t00000000\t010012AC", "eth1\t00000000\t0102000A")).unwrap();
        assert!(misled(&new, &all, &over_the_new_one).unwrap().contains("eth1"));
        assert_eq!(default_route("Iface\n"), None);
        // A network of half the internet: some routes are more specific than the default, which stays.
        assert_eq!(default_route("Iface\neth1 00000000 0102000A 1 0 0 0 00000080 0 0 0\n"), None);
    }

    #[test]
    fn endpoints_are_selected_by_network() {
        let network = new_networks().new[0].clone();
        let text = "server 10.0.2.9:8080 max_fails=1;\nserver 10.0.1.9:8080;\nlisten 80; server 10.0.2.10:9090;".to_owned();
        let awaited = "10.0.2.11:80\n10.0.3.1:80\n".to_owned();
        let found = endpoints(&[text, awaited], &network);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.2.9:8080", "10.0.2.10:9090", "10.0.2.11:80"]);
    }

    #[test]
    fn a_check_tries_few_endpoints_and_all_are_tried_over_time() {
        for number in [0, 1, 64, 65, 200, 1_500] {
            let all: Vec<SocketAddr> = (0..number).map(|last| SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + last), 80))).collect();
            let checks: Vec<_> = (0..checks_for(all.len())).map(|check| sample(&all, check)).collect();
            assert!(checks.len() <= 24 && checks.iter().all(|check| check.len() <= ENDPOINTS_MAX), "{number}");
            assert_eq!(checks.concat().into_iter().collect::<BTreeSet<_>>(), all.into_iter().collect(), "{number}");
        }
    }

    #[tokio::test]
    async fn many_hanging_endpoints_do_not_hide_one_that_answers() {
        // A full queue of connections that are not accepted: packets vanish.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = full.local_addr().unwrap().port();
        let _full = full.listen(0).unwrap();
        let _waiting = [connect_and_hold(port).await, connect_and_hold(port).await];
        let answers = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
        let hanging = format!("127.0.0.1:{port}");
        assert_eq!(probe(hanging.parse().unwrap()).await, Probe::Silent, "the precondition of this test");
        let trials = |networks: &[&str]| {
            let networks = networks.iter().map(|network| Trial::of(&[network.parse().unwrap()])).collect();
            Trials { since: Instant::now() - PATIENCE, networks }
        };
        let texts = [hanging, answers.local_addr().unwrap().to_string()];
        let mut both = trials(&["127.0.0.1/32", "127.0.0.2/32"]);
        assert!(both.check(&texts).await.unwrap().contains("no answer from 127.0.0.1:"));
        assert_eq!(both.networks.iter().map(|trial| trial.reached).collect::<Vec<_>>(), [false, true], "each network is judged separately");
        assert_eq!(trials(&["127.0.0.0/24"]).check(&texts).await, None);
    }

    /// The remaining room of a queue.
    async fn connect_and_hold(port: u16) -> Option<TcpStream> {
        timeout(Duration::from_millis(200), TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await.ok()?.ok()
    }

    #[test]
    fn lost_packets_matter_until_all_endpoints_were_tried_again() {
        let mut trial = Trial::of(&new_networks().new[0]);
        let at = [SocketAddr::from(([10, 0, 2, 9], 80))];
        let mut check = |probe| trial.judge(3 * ENDPOINTS_MAX, &at, &[probe], PATIENCE);
        assert!(check(Probe::Silent).unwrap_err().contains("10.0.2.9:80 and others (192 in total)"));
        assert!(check(Probe::Unknown).is_err() && check(Probe::Unknown).is_err());
        assert_eq!(check(Probe::Unknown), Ok(()), "no packets were lost in the last three checks");
    }

    #[test]
    fn lost_packets_delay_readiness_but_an_application_that_is_down_does_not() {
        let at = [SocketAddr::from(([10, 0, 2, 9], 80)); 2];
        let after = |probes: &[Probe], waited| Trial::of(&new_networks().new[0]).judge(probes.len(), &at[..probes.len()], probes, waited);
        let (now, later) = (|probes: &[Probe]| after(probes, Duration::ZERO), |probes: &[Probe]| after(probes, PATIENCE));
        for probes in [[Probe::Answered, Probe::Silent], [Probe::Silent, Probe::Refused]] {
            assert_eq!(now(&probes), Ok(()), "{probes:?}");
        }
        assert!(later(&[Probe::Silent, Probe::Unknown]).unwrap_err().contains("10.0.2.9:80"));
        let two = [at[0], SocketAddr::from(([10, 0, 2, 10], 80))];
        let verdict = Trial::of(&new_networks().new[0]).judge(2, &two, &[Probe::Unknown, Probe::Silent], PATIENCE);
        assert_eq!(verdict.unwrap_err(), "no answer from 10.0.2.10:80");
        for probes in [&[][..], &[Probe::Unknown]] {
            assert!(now(probes).is_err() && later(probes) == Ok(()), "{probes:?}");
        }
        let mut trial = Trial::of(&new_networks().new[0]);
        assert_eq!((trial.judge(0, &[], &[], PATIENCE), trial.reached), (Ok(()), false), "endpoints that come later are tried");
        assert_eq!(now(&[]).unwrap_err(), "no endpoint is known yet");
        assert!(now(&[Probe::Unknown]).unwrap_err().contains("10.0.2.9:80"));
    }

    #[tokio::test]
    async fn the_published_port_is_checked_only_if_it_was_ever_reachable_from_inside() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let closed = {
            let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            other.local_addr().unwrap().port()
        };
        let open = listener.local_addr().unwrap().port();
        let route = Route { interface: "lo".to_owned(), gateway: Ipv4Addr::LOCALHOST };
        let volume = tempfile::tempdir().unwrap();
        let new = |node_port| NewNetworks { port: open, node_port: Some(node_port), ..new_networks() };
        assert!(!note_port(&new(closed), &route, volume.path()).await);
        assert_eq!(unanswered_port(&new(closed), &route, volume.path()).await, None, "a firewall may block it");
        assert!(note_port(&new(open), &route, volume.path()).await, "outside rollouts, too");
        assert_eq!(fs::read_to_string(volume.path().join(PORT_FILE)).unwrap(), open.to_string());
        assert_eq!(unanswered_port(&new(open), &route, volume.path()).await, None);
        fs::write(volume.path().join(PORT_FILE), closed.to_string()).unwrap();
        assert!(unanswered_port(&new(closed), &route, volume.path()).await.unwrap().contains("published port"));
        let deaf = NewNetworks { port: closed, node_port: None, ..new_networks() };
        assert!(unanswered_port(&deaf, &route, volume.path()).await.unwrap().contains("does not answer"));
        assert_eq!(judged(&io::Error::from(ErrorKind::HostUnreachable)), Probe::Unknown);
    }
}
