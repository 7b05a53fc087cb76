//! Writes a plan as packet rules: in the engine's load-balancer namespaces, in its routing-mesh namespace, and on the node. It
//! must never write rules outside its own chains, except the jumps to them.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use crate::command::{finish, finish_with_input, in_network};

use super::super::{enter, network};
use super::plan::{BalancingPlan, MeshPort, Vip};

const TO_TASKS: &str = "SWARMGATE-VIP";
const FROM_HERE: &str = "SWARMGATE-SNAT";
const LET_PASS: &str = "SWARMGATE-PASS";

/// A namespace: the same path names another one after a node was off or a network was removed.
type Namespace = (PathBuf, u64);

/// The addresses of a namespace are cached for this many rounds: only the engine changes them, and only when it creates the
/// namespace, and there are dozens of namespaces.
const ROUNDS: u32 = 12;

/// Which rules were written where, so that a round without changes costs nothing.
#[derive(Default)]
pub(super) struct AppliedRules {
    written: BTreeMap<Namespace, Rules>,
    addresses: BTreeMap<Namespace, Vec<AssignedAddress>>,
    plan: BalancingPlan,
    rounds: u32,
}

/// An IPv4 address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AssignedAddress {
    interface: String,
    ip: Ipv4Addr,
    /// How many bits belong to the network.
    prefix: u32,
}

/// The rules of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Addresses that the namespace must have in addition to its own.
    aliases: Vec<Ipv4Addr>,
    redirects: Vec<String>,
    masks: Vec<String>,
    /// Traffic that a node must forward although the engine's rules drop it: the engine accepts only its own redirects.
    passes: Vec<String>,
}

impl AppliedRules {
    /// Begins a round: the content of the namespaces is read again after a change, and periodically.
    pub fn begin(&mut self, plan: &BalancingPlan) {
        self.rounds += 1;
        if self.rounds > ROUNDS || self.plan != *plan {
            (self.rounds, self.plan) = (0, plan.clone());
            self.addresses.clear();
        }
    }

    /// Makes the namespaces of node `k`, whose first process is `first`, match `plan`. A namespace can vanish at any time, or
    /// leave its name behind; that must not hold up the others, so each one is tried and the last failure is returned.
    pub fn bring(&mut self, lab: &str, k: usize, first: i32, plan: &BalancingPlan) -> Result<()> {
        let engines_own = PathBuf::from(format!("/proc/{first}/root/run/docker/netns"));
        let mut outcome = Ok(());
        for (id, vips) in &plan.networks {
            let Some(short) = id.get(..9) else { continue };
            let namespace = engines_own.join(format!("lb_{short}"));
            if namespace.exists() {
                outcome = self.write(&namespace, |addresses| of_network(vips, addresses)).and(outcome);
            }
        }
        let mesh = engines_own.join("ingress_sbox");
        if mesh.exists() {
            outcome = self.bring_mesh(&mesh, &network::of_node(lab, k), plan).and(outcome);
        }
        outcome
    }

    fn bring_mesh(&mut self, mesh: &Path, node: &Path, plan: &BalancingPlan) -> Result<()> {
        let gateway = address_of(&self.addresses(mesh)?.1, "eth1");
        self.write(mesh, |addresses| of_mesh(&plan.ports, addresses))?;
        gateway.map_or(Ok(()), |gateway| self.write(node, |_| Some(of_node(&plan.ports, gateway))))
    }

    fn write(&mut self, namespace: &Path, rules: impl FnOnce(&[AssignedAddress]) -> Option<Rules>) -> Result<()> {
        let (namespace, addresses) = self.addresses(namespace)?;
        let Some(rules) = rules(&addresses) else { return Ok(()) };
        if self.written.get(&namespace) == Some(&rules) {
            return Ok(());
        }
        write_aliases(&namespace.0, &addresses, &rules.aliases)?;
        write_rules(&namespace.0, &rules, !self.written.contains_key(&namespace))?;
        self.addresses.remove(&namespace);
        self.written.insert(namespace, rules);
        Ok(())
    }

    /// Addresses of a namespace that the engine has not finished setting up are not cached.
    fn addresses(&mut self, path: &Path) -> Result<(Namespace, Vec<AssignedAddress>)> {
        let namespace = (path.to_path_buf(), fs::metadata(path)?.ino());
        if let Some(known) = self.addresses.get(&namespace) {
            return Ok((namespace, known.clone()));
        }
        let found = addresses_in(path)?;
        if address_of(&found, "eth0").is_some() {
            self.addresses.insert(namespace.clone(), found.clone());
        }
        Ok((namespace, found))
    }
}

fn of_network(vips: &[Vip], addresses: &[AssignedAddress]) -> Option<Rules> {
    let own = address_of(addresses, "eth0")?;
    Some(Rules {
        aliases: vips.iter().filter_map(|vip| vip.address.parse().ok()).collect(),
        redirects: vips.iter().flat_map(|vip| spread(&format!("-d {}/32", vip.address), &vip.tasks, "")).collect(),
        masks: vec![format!("-o eth0 -m conntrack --ctstate DNAT -j SNAT --to-source {own}")],
        passes: Vec::new(),
    })
}

fn of_mesh(ports: &[MeshPort], addresses: &[AssignedAddress]) -> Option<Rules> {
    let own = address_of(addresses, "eth0")?;
    let redirects = ports
        .iter()
        .flat_map(|port| spread(&format!("-p {} --dport {}", port.protocol, port.published), &port.tasks, &format!(":{}", port.target)));
    Some(Rules {
        aliases: Vec::new(),
        redirects: redirects.collect(),
        masks: vec![format!("-o eth0 -m conntrack --ctstate DNAT -j SNAT --to-source {own}")],
        passes: Vec::new(),
    })
}

fn of_node(ports: &[MeshPort], gateway: Ipv4Addr) -> Rules {
    let redirect = |port: &MeshPort| {
        let MeshPort { protocol, published, .. } = port;
        format!("-m addrtype --dst-type LOCAL -p {protocol} --dport {published} -j DNAT --to-destination {gateway}:{published}")
    };
    Rules {
        aliases: Vec::new(),
        redirects: ports.iter().map(redirect).collect(),
        masks: vec![format!("-o docker_gwbridge -d {gateway}/32 -m conntrack --ctstate DNAT -j MASQUERADE")],
        passes: vec![format!("-o docker_gwbridge -d {gateway}/32 -m conntrack --ctstate DNAT -j ACCEPT")],
    }
}

/// One rule for each task, each taking an equal share of what the rules before it left over.
fn spread(matching: &str, tasks: &[String], port: &str) -> Vec<String> {
    let rule = |(at, task): (usize, &String)| {
        let left = tasks.len() - at;
        let share = if left > 1 { format!("-m statistic --mode nth --every {left} --packet 0 ") } else { String::new() };
        format!("{matching} {share}-j DNAT --to-destination {task}{port}")
    };
    tasks.iter().enumerate().map(rule).collect()
}

fn addresses_in(namespace: &Path) -> Result<Vec<AssignedAddress>> {
    enter::inside(namespace, || Ok(getifaddrs().context("list the addresses")?.filter_map(of_interface).collect()))
        .with_context(|| format!("in {}", namespace.display()))
}

/// Other entries are links and IPv6 addresses.
fn of_interface(entry: InterfaceAddress) -> Option<AssignedAddress> {
    let ip = entry.address?.as_sockaddr_in()?.ip();
    let prefix = entry.netmask?.as_sockaddr_in()?.ip().to_bits().count_ones();
    Some(AssignedAddress { interface: entry.interface_name, ip, prefix })
}

/// The address that the engine gave to `interface`; addresses that we added have a prefix length of 32.
fn address_of(addresses: &[AssignedAddress], interface: &str) -> Option<Ipv4Addr> {
    addresses.iter().find(|one| one.interface == interface && one.prefix != 32).map(|one| one.ip)
}

fn write_aliases(namespace: &Path, addresses: &[AssignedAddress], wanted: &[Ipv4Addr]) -> Result<()> {
    let present: Vec<_> = addresses.iter().filter(|one| one.interface == "eth0" && one.prefix == 32).map(|one| one.ip).collect();
    let lines = |verb: &str, these: &[Ipv4Addr], but: &[Ipv4Addr]| -> String {
        these
            .iter()
            .filter(|address| !but.contains(address))
            .map(|address| format!("addr {verb} {address}/32 dev eth0\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    let changes = lines("add", wanted, &present) + &lines("del", &present, wanted);
    if changes.is_empty() {
        return Ok(());
    }
    finish_with_input(in_network(namespace, "ip").args(["-batch", "-"]), &changes).map(drop)
}

/// Where packets are sent through our chains: table, chain of the kernel, chain of ours.
const JUMPS: [(&str, &str, &str); 4] =
    [("nat", "PREROUTING", TO_TASKS), ("nat", "OUTPUT", TO_TASKS), ("nat", "POSTROUTING", FROM_HERE), ("filter", "FORWARD", LET_PASS)];

fn write_rules(namespace: &Path, rules: &Rules, is_new: bool) -> Result<()> {
    let lines = |chain: &str, rules: &[String]| rules.iter().map(|rule| format!("-A {chain} {rule}\n")).collect::<Vec<_>>().concat();
    let (redirects, masks, passes) = (lines(TO_TASKS, &rules.redirects), lines(FROM_HERE, &rules.masks), lines(LET_PASS, &rules.passes));
    let [to_nat, to_filter] = if is_new { missing_jumps(namespace)? } else { Default::default() };
    let tables = format!(
        "*nat\n:{TO_TASKS} - [0:0]\n:{FROM_HERE} - [0:0]\n{to_nat}{redirects}{masks}COMMIT\n\
         *filter\n:{LET_PASS} - [0:0]\n{to_filter}{passes}COMMIT\n"
    );
    finish_with_input(in_network(namespace, "iptables-restore").args(["-w", "--noflush"]), &tables)?;
    if is_new {
        enter::inside(namespace, || fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("let packets through"))?;
    }
    Ok(())
}

/// The lines that add the jumps which a namespace does not have yet: to the nat table, to the filter table. A shim that ran before
/// may have added them.
fn missing_jumps(namespace: &Path) -> Result<[String; 2]> {
    let present = finish(&mut in_network(namespace, "iptables-save"))?;
    Ok(["nat", "filter"].map(|table| {
        let jumps = JUMPS.iter().filter(|(of, ..)| *of == table).map(|(_, hook, chain)| format!("{hook} -j {chain}\n"));
        jumps.filter(|jump| !present.contains(&format!("-A {jump}"))).map(|jump| format!("-I {jump}")).collect::<Vec<_>>().concat()
    }))
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn every_task_gets_an_equal_share() {
        let rules = spread("-d 10.0.1.5/32", &["10.0.1.7".into(), "10.0.1.8".into()], "");
        assert_eq!(rules.len(), 2);
        assert!(rules[0].contains("--every 2"), "half of all to the first: {rules:?}");
        assert!(!rules[1].contains("statistic"), "the rest to the last: {rules:?}");
    }
}
