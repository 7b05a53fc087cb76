//! Writes a plan as packet rules: in the engine's load-balancer namespaces, in its routing-mesh namespace, and on the node. It
//! must never write rules outside its own chains, except the jumps to them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::command::{finish, finish_with_input, in_network};

use super::super::network;
use super::plan::{BalancingPlan, MeshPort, Vip};

const TO_TASKS: &str = "SWARMGATE-VIP";
const FROM_HERE: &str = "SWARMGATE-SNAT";
const LET_PASS: &str = "SWARMGATE-PASS";

/// A namespace: the same path names another one after a node was off or a network was removed.
type Namespace = (PathBuf, u64);

/// The addresses of a namespace are cached for this many rounds: only the engine changes them, and only when it creates the
/// namespace. Reading them takes a process, and there are dozens of namespaces.
const ROUNDS: u32 = 12;

/// Which rules were written where, so that a round without changes costs nothing.
#[derive(Default)]
pub(super) struct AppliedRules {
    written: BTreeMap<Namespace, Rules>,
    addresses: BTreeMap<Namespace, Value>,
    plan: BalancingPlan,
    rounds: u32,
}

/// The rules of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    /// Addresses that the namespace must have in addition to its own.
    aliases: Vec<String>,
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
        gateway.map_or(Ok(()), |gateway| self.write(node, |_| Some(of_node(&plan.ports, &gateway))))
    }

    fn write(&mut self, namespace: &Path, rules: impl FnOnce(&Value) -> Option<Rules>) -> Result<()> {
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
    fn addresses(&mut self, path: &Path) -> Result<(Namespace, Value)> {
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

fn of_network(vips: &[Vip], addresses: &Value) -> Option<Rules> {
    let own = address_of(addresses, "eth0")?;
    Some(Rules {
        aliases: vips.iter().map(|vip| vip.address.clone()).collect(),
        redirects: vips.iter().flat_map(|vip| spread(&format!("-d {}/32", vip.address), &vip.tasks, "")).collect(),
        masks: vec![format!("-o eth0 -m conntrack --ctstate DNAT -j SNAT --to-source {own}")],
        passes: Vec::new(),
    })
}

fn of_mesh(ports: &[MeshPort], addresses: &Value) -> Option<Rules> {
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

fn of_node(ports: &[MeshPort], gateway: &str) -> Rules {
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

fn addresses_in(namespace: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&finish(in_network(namespace, "ip").args(["-j", "-4", "addr"]))?)?)
}

/// Every address with its interface and prefix length.
fn each_address(addresses: &Value) -> impl Iterator<Item = (&str, &str, u64)> {
    addresses.as_array().into_iter().flatten().flat_map(|interface| {
        let name = interface["ifname"].as_str().unwrap_or_default();
        let all = interface["addr_info"].as_array().into_iter().flatten();
        all.map(move |one| (name, one["local"].as_str().unwrap_or_default(), one["prefixlen"].as_u64().unwrap_or_default()))
    })
}

/// The address that the engine gave to `interface`; addresses that we added have a prefix length of 32.
fn address_of(addresses: &Value, interface: &str) -> Option<String> {
    each_address(addresses).find(|(name, _, length)| *name == interface && *length != 32).map(|(_, address, _)| address.to_owned())
}

fn write_aliases(namespace: &Path, addresses: &Value, wanted: &[String]) -> Result<()> {
    let present: Vec<_> =
        each_address(addresses).filter(|(name, _, length)| *name == "eth0" && *length == 32).map(|(_, address, _)| address).collect();
    let change = |verb: &str, address: &str| {
        finish(in_network(namespace, "ip").args(["addr", verb, &format!("{address}/32"), "dev", "eth0"])).map(drop)
    };
    for address in wanted.iter().filter(|address| !present.contains(&address.as_str())) {
        change("add", address)?;
    }
    for address in present.iter().filter(|address| !wanted.iter().any(|one| one == *address)) {
        change("del", address)?;
    }
    Ok(())
}

fn write_rules(namespace: &Path, rules: &Rules, is_new: bool) -> Result<()> {
    let lines = |chain: &str, rules: &[String]| rules.iter().map(|rule| format!("-A {chain} {rule}\n")).collect::<Vec<_>>().concat();
    let (redirects, masks, passes) = (lines(TO_TASKS, &rules.redirects), lines(FROM_HERE, &rules.masks), lines(LET_PASS, &rules.passes));
    let tables = format!(
        "*nat\n:{TO_TASKS} - [0:0]\n:{FROM_HERE} - [0:0]\n{redirects}{masks}COMMIT\n\
         *filter\n:{LET_PASS} - [0:0]\n{passes}COMMIT\n"
    );
    finish_with_input(in_network(namespace, "iptables-restore").args(["-w", "--noflush"]), &tables)?;
    if !is_new {
        return Ok(());
    }
    finish(in_network(namespace, "sh").args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]))?;
    let jumps =
        [("nat", "PREROUTING", TO_TASKS), ("nat", "OUTPUT", TO_TASKS), ("nat", "POSTROUTING", FROM_HERE), ("filter", "FORWARD", LET_PASS)];
    for (table, hook, chain) in jumps {
        let jump = |verb: &str| finish(in_network(namespace, "iptables").args(["-w", "-t", table, verb, hook, "-j", chain]));
        if jump("-C").is_err() {
            jump("-I")?;
        }
    }
    Ok(())
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
