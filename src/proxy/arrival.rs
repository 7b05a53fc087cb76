//! A proxy that starts in the middle of a rollout that gives it new networks shows that it is reached and reaches them before it
//! counts as healthy: Swarm replaces the next one only then, and takes the networks away again if this one never does. It
//! never makes a proxy unhealthy that was healthy once, nor one that starts at any other time, after a power cut for instance.
//! An application that is down proves nothing, and so holds nothing up.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use nix::ifaddrs::getifaddrs;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Agent;
use crate::channel::NewNetworks;

/// Clocks of nodes differ; what is far outside of the rollout's time is another start, or a clock that is wrong.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);
/// The time from one look to the next.
const LOOK: Duration = Duration::from_millis(500);
/// How long an endpoint may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long endpoints are waited for that no node knows (yet), or that no configuration names.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many endpoints of each network are tried.
const ENDPOINTS_MAX: usize = 8;
/// The file of the volume that says at which port of the node a proxy was reached from inside: where a firewall stands between
/// containers and their node none ever is.
const PORT_FILE: &str = "reached-at-port";

/// Whether a proxy that starts now is in the middle of that rollout.
pub(super) fn is_now(new: &NewNetworks, now: Timestamp) -> bool {
    new.from.saturating_sub(CLOCKS_DIFFER).is_ok_and(|from| from <= now) && now < new.until
}

/// Waits until the engine serves, then until all is shown or the time is over, and says so.
pub(super) async fn arrive(agent: &Agent) -> Infallible {
    let mut state = agent.state.subscribe();
    // The sender is the agent itself.
    let _ = state.wait_for(|state| state.serving).await;
    if let Some(new) = agent.options.new_networks.as_ref().filter(|_| !agent.state.borrow().arrived) {
        show(agent, new).await;
    }
    agent.state.send_modify(|state| state.arrived = true);
    std::future::pending().await
}

async fn show(agent: &Agent, new: &NewNetworks) {
    let since = Instant::now();
    let mut told = None;
    while is_now(new, Timestamp::now()) {
        let Some(lack) = lack(agent, new, since.elapsed()).await else { return };
        if told.as_ref() != Some(&lack) {
            tracing::warn!(lack, "this proxy cannot show yet that it is reached and reaches its new networks");
            told = Some(lack);
        }
        sleep(LOOK).await;
    }
}

/// What is not shown yet; nothing: all is well.
async fn lack(agent: &Agent, new: &NewNetworks, waited: Duration) -> Option<String> {
    let addresses = addresses();
    if let Some(lack) = lacking_address(new, &addresses) {
        return Some(lack);
    }
    let Some(route) = default_route(&fs::read_to_string("/proc/net/route").unwrap_or_default()) else {
        return Some("there is no route to clients".to_owned());
    };
    if let Some(lack) = misled(new, &addresses, &route) {
        return Some(lack);
    }
    if let Some(lack) = unanswered_port(new, &route, &agent.options.state_dir).await {
        return Some(lack);
    }
    let texts = texts(agent);
    for network in &new.new {
        let found = reach(&endpoints(&texts, network), waited).await;
        if let Err(lack) = found {
            return Some(lack);
        }
    }
    None
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
    Some(format!("there is no address in {}", lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
}

/// The way to everything that is on no network of the proxy's own: to its clients.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    gateway: Ipv4Addr,
}

/// Reads `/proc/net/route`: interface, destination and gateway stand first, numbers in the processor's order of bytes.
fn default_route(table: &str) -> Option<Route> {
    let mut routes = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = routes.find(|words| words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000"))?;
    let gateway = u32::from_str_radix(found.get(2)?, 16).ok()?;
    Some(Route { interface: (*found.first()?).to_owned(), gateway: Ipv4Addr::from(gateway.to_ne_bytes()) })
}

/// A network that takes the way to the clients for itself leads answers nowhere.
fn misled(new: &NewNetworks, addresses: &[Address], route: &Route) -> Option<String> {
    let on_it: Vec<IpAddr> = addresses.iter().filter(|(name, _)| *name == route.interface).map(|(_, address)| *address).collect();
    let mut networks = new.known.iter().chain(&new.new);
    let taken = networks.any(|network| on_it.iter().any(|address| is_on(network, *address)) || is_on(network, route.gateway.into()));
    taken.then(|| format!("the way to clients leads over an application's network ({})", route.interface))
}

/// The engine answers at its own port, and at its port of the node if one of ours was ever reached there from inside.
async fn unanswered_port(new: &NewNetworks, route: &Route, volume: &Path) -> Option<String> {
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, new.port));
    if knock(own).await != Knock::Answered {
        return Some(format!("port {} does not answer", new.port));
    }
    let port = new.node_port?;
    let file = volume.join(PORT_FILE);
    if knock(SocketAddr::from((route.gateway, port))).await == Knock::Answered {
        // Without the volume there is no such file, and nothing is concluded.
        let _ = fs::write(&file, port.to_string());
        return None;
    }
    let answered_before = fs::read_to_string(&file).is_ok_and(|known| known == port.to_string());
    answered_before.then(|| format!("the published port {port} does not answer"))
}

/// What becomes of a try to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knock {
    /// It was accepted.
    Answered,
    /// It was refused, by somebody who is there.
    Refused,
    /// No node knows such an address.
    Unknown,
    /// Nothing came back.
    Silent,
}

async fn knock(address: SocketAddr) -> Knock {
    match timeout(ANSWER, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Knock::Answered,
        Ok(Err(error)) => judged(&error),
        Err(_) => Knock::Silent,
    }
}

fn judged(error: &io::Error) -> Knock {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Knock::Refused,
        ErrorKind::TimedOut => Knock::Silent,
        _ => Knock::Unknown,
    }
}

/// The newest configuration that is known, as text.
fn texts(agent: &Agent) -> Vec<String> {
    let offer = agent.offers.borrow().clone();
    offer.map(|offer| offer.live.files.values().cloned().collect()).unwrap_or_default()
}

/// The endpoints on a network that a configuration names.
fn endpoints(texts: &[String], network: &[IpNet]) -> Vec<SocketAddr> {
    let words = texts.iter().flat_map(|text| text.split(|c: char| c.is_whitespace() || c == ';'));
    let found: BTreeSet<SocketAddr> =
        words.filter_map(|word| word.parse().ok()).filter(|at: &SocketAddr| is_on(network, at.ip())).collect();
    // Not the first ones only: those may be of one application that hangs.
    let step = found.len().div_ceil(ENDPOINTS_MAX).max(1);
    found.into_iter().step_by(step).collect()
}

/// Whether any endpoint of a network answers. That none is known, or that no node knows them, is no proof of anything; that
/// packets vanish is.
async fn reach(endpoints: &[SocketAddr], waited: Duration) -> Result<(), String> {
    let knocks = futures::future::join_all(endpoints.iter().map(|endpoint| knock(*endpoint))).await;
    verdict(endpoints, &knocks, waited)
}

fn verdict(endpoints: &[SocketAddr], knocks: &[Knock], waited: Duration) -> Result<(), String> {
    let is = |wanted: Knock| knocks.contains(&wanted);
    if is(Knock::Answered) || is(Knock::Refused) {
        return Ok(());
    }
    let tried = endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if is(Knock::Silent) {
        return Err(format!("nothing comes back from {tried}"));
    }
    if waited < PATIENCE { Err(format!("no endpoint is known yet ({tried})")) } else { Ok(()) }
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
    fn only_a_start_in_the_time_of_the_rollout_has_to_show_anything() {
        let at = |second| is_now(&new_networks(), Timestamp::from_second(second).unwrap());
        assert!(at(1_000) && at(1_179) && at(950));
        assert!(!at(1_180) && !at(1_000_000), "after a power cut");
        assert!(!at(0) && !at(930), "with a clock that was lost");
    }

    #[test]
    fn every_network_has_an_address_and_the_way_out_is_none_of_theirs() {
        let new = new_networks();
        let all = [address("eth0", "10.0.1.7"), address("eth1", "10.0.2.7"), address("eth2", "172.18.0.3")];
        assert_eq!(lacking_address(&new, &all), None);
        assert_eq!(lacking_address(&new, &all[..1]).unwrap(), "there is no address in 10.0.2.0/24");
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth2\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth0\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let out = default_route(table).unwrap();
        assert_eq!(out, Route { interface: "eth2".to_owned(), gateway: Ipv4Addr::new(172, 18, 0, 1) });
        assert_eq!(misled(&new, &all, &out), None);
        let over_the_new_one = default_route(&table.replace("eth2\t00000000\t010012AC", "eth1\t00000000\t0102000A")).unwrap();
        assert!(misled(&new, &all, &over_the_new_one).unwrap().contains("eth1"));
        assert_eq!(default_route("Iface\n"), None);
        // A network of half the internet: some routes are more special than the default, which stays.
        assert_eq!(default_route("Iface\neth1 00000000 0102000A 1 0 0 0 00000080 0 0 0\n"), None);
    }

    #[test]
    fn endpoints_are_those_of_the_network_and_spread_over_all_applications() {
        let network = new_networks().new[0].clone();
        let text = "server 10.0.2.9:8080 max_fails=1;\nserver 10.0.1.9:8080;\nlisten 80; server 10.0.2.10:9090;".to_owned();
        let found = endpoints(&[text], &network);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.2.9:8080", "10.0.2.10:9090"]);
        let many = (1..=200).map(|last| format!("server 10.0.2.{last}:80;")).collect::<Vec<_>>().join("\n");
        let found = endpoints(&[many], &network);
        assert!(found.len() <= ENDPOINTS_MAX && found.last().unwrap().ip() > IpAddr::from([10, 0, 2, 150]), "{found:?}");
    }

    #[test]
    fn an_application_that_is_down_holds_nothing_up_and_packets_that_vanish_do() {
        let at = [SocketAddr::from(([10, 0, 2, 9], 80)); 2];
        let now = |knocks: &[Knock]| verdict(&at[..knocks.len()], knocks, Duration::ZERO);
        let later = |knocks: &[Knock]| verdict(&at[..knocks.len()], knocks, PATIENCE);
        for knocks in [[Knock::Answered, Knock::Silent], [Knock::Silent, Knock::Refused]] {
            assert_eq!(now(&knocks), Ok(()), "{knocks:?}");
        }
        assert!(later(&[Knock::Silent, Knock::Unknown]).unwrap_err().contains("10.0.2.9:80"));
        for knocks in [&[][..], &[Knock::Unknown]] {
            assert!(now(knocks).is_err() && later(knocks) == Ok(()), "{knocks:?}");
        }
    }

    #[tokio::test]
    async fn the_published_port_counts_only_where_it_was_ever_reached_from_inside() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let closed = {
            let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            other.local_addr().unwrap().port()
        };
        let open = listener.local_addr().unwrap().port();
        let route = Route { interface: "lo".to_owned(), gateway: Ipv4Addr::LOCALHOST };
        let volume = tempfile::tempdir().unwrap();
        let new = |node_port| NewNetworks { port: open, node_port: Some(node_port), ..new_networks() };
        assert_eq!(unanswered_port(&new(closed), &route, volume.path()).await, None, "a firewall may stand there");
        assert_eq!(unanswered_port(&new(open), &route, volume.path()).await, None);
        fs::write(volume.path().join(PORT_FILE), closed.to_string()).unwrap();
        assert!(unanswered_port(&new(closed), &route, volume.path()).await.unwrap().contains("published port"));
        let deaf = NewNetworks { port: closed, node_port: None, ..new_networks() };
        assert!(unanswered_port(&deaf, &route, volume.path()).await.unwrap().contains("does not answer"));
        assert_eq!(judged(&io::Error::from(ErrorKind::HostUnreachable)), Knock::Unknown);
    }
}
