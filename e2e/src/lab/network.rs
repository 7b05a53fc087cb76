//! The network of a lab: one parent namespace with a bridge, one namespace for each node with a veth pair to that bridge, no
//! route out of any of them. It must never add an interface, an address or a rule to the machine's own network.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::command::{finish, in_network, run, run_line};

const NAMESPACES: &str = "/run/netns";
/// Addresses of further clients start at .200 of a /24; those of nodes start at .11.
const FIRST_CLIENT: u8 = 200;
const CUT_CHAIN: &str = "SWARMGATE-CUT";

/// Which /24 of 198.18.0.0/15 (the block for benchmarks, which no network uses) a lab has. Labs cannot see each other even when
/// they share one; the numbers differ so that people can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSubnet(u16);

impl LabSubnet {
    const COUNT: u16 = 512;

    /// The subnet with that number, modulo 512.
    pub fn number(index: u16) -> Self {
        Self(index % Self::COUNT)
    }

    /// Derives a number from the lab's name, always the same one.
    pub fn of_name(name: &str) -> Self {
        Self::number(name.bytes().fold(0, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte))))
    }

    /// The address of the parent namespace, which is the outside client of the Swarm.
    pub fn gateway(self) -> String {
        format!("{self}.1")
    }

    /// The address of node `node`, counted from 1.
    pub fn node(self, node: usize) -> String {
        format!("{self}.{}", 10 + node)
    }
}

impl fmt::Display for LabSubnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "198.{}.{}", 18 + self.0 / 256, self.0 % 256)
    }
}

/// The file that names the parent namespace of a lab.
pub(crate) fn parent(lab: &str) -> PathBuf {
    Path::new(NAMESPACES).join(lab)
}

/// The file that names the namespace of a node.
pub(crate) fn of_node(lab: &str, node: usize) -> PathBuf {
    Path::new(NAMESPACES).join(format!("{lab}-n{node}"))
}

/// Every namespace that a lab with this name has or left behind.
pub(crate) fn all_of(lab: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let ours = |name: &str| {
        name == lab || name.strip_prefix(lab).and_then(|rest| rest.strip_prefix("-n")).is_some_and(|digits| digits.parse::<usize>().is_ok())
    };
    entries.filter(|entry| entry.file_name().to_str().is_some_and(ours)).map(|entry| entry.path()).collect()
}

/// Creates the parent namespace and its bridge.
pub(crate) fn make_parent(lab: &str, subnet: LabSubnet) -> Result<()> {
    run_line(&format!("ip netns add {lab}"))?;
    run_line(&format!("ip -n {lab} link set lo up"))?;
    run_line(&format!("ip -n {lab} link add br0 type bridge"))?;
    run_line(&format!("ip -n {lab} addr add {}/24 dev br0", subnet.gateway()))?;
    run_line(&format!("ip -n {lab} link set br0 up"))?;
    Ok(())
}

/// Gives the parent namespace `count` further addresses, so that it can act as that many clients. Existing addresses stay.
pub(crate) fn add_clients(lab: &str, subnet: LabSubnet, count: u8) -> Result<Vec<IpAddr>> {
    let add = |last: u8| {
        let address = format!("{subnet}.{last}");
        run_line(&format!("ip -n {lab} addr replace {address}/24 dev br0"))?;
        Ok(address.parse()?)
    };
    (FIRST_CLIENT..=254).take(usize::from(count)).map(add).collect()
}

/// Creates the namespace of a node and connects it to the bridge; leaves an existing one unchanged.
pub(crate) fn make_node(lab: &str, subnet: LabSubnet, node: usize) -> Result<()> {
    if of_node(lab, node).exists() {
        return Ok(());
    }
    let namespace = format!("{lab}-n{node}");
    run_line(&format!("ip netns add {namespace}"))?;
    unplug(lab, node);
    run_line(&format!("ip -n {lab} link add n{node} type veth peer name eth0 netns {namespace}"))?;
    run_line(&format!("ip -n {lab} link set n{node} master br0 up"))?;
    run_line(&format!("ip -n {namespace} addr add {}/24 dev eth0", subnet.node(node)))?;
    run_line(&format!("ip -n {namespace} link set eth0 up"))?;
    run_line(&format!("ip -n {namespace} link set lo up"))?;
    Ok(())
}

/// Removes the node's link. Another node's mount namespace may keep the dead namespace alive for a while.
pub(crate) fn unplug(lab: &str, node: usize) {
    let _ = run_line(&format!("ip -n {lab} link del n{node}"));
}

/// Removes a namespace by its file; its processes must have ended.
pub(crate) fn remove(namespace: &Path) -> Result<()> {
    match namespace.file_name().and_then(|name| name.to_str()) {
        Some(name) => run("ip", &["netns", "del", name]).map(drop),
        None => Ok(()),
    }
}

/// Drops, on arrival at `node`, every packet from `source`: a silent partition. (A rule for outgoing packets would give the
/// sender an error at once, which a broken cable does not.)
pub(crate) fn drop_from(lab: &str, node: usize, source: &str) -> Result<()> {
    let namespace = of_node(lab, node);
    let raw = |args: &[&str]| finish(in_network(&namespace, "iptables").args(["-w", "-t", "raw"]).args(args));
    if raw(&["-N", CUT_CHAIN]).is_ok() {
        raw(&["-I", "PREROUTING", "-j", CUT_CHAIN])?;
    }
    raw(&["-A", CUT_CHAIN, "-s", source, "-j", "DROP"]).map(drop)
}

/// Undoes every [`drop_from`] of a node.
pub(crate) fn drop_nothing(lab: &str, node: usize) -> Result<()> {
    let namespace = of_node(lab, node);
    let raw = |args: &[&str]| finish(in_network(&namespace, "iptables").args(["-w", "-t", "raw"]).args(args));
    if raw(&["-S", CUT_CHAIN]).is_ok() {
        raw(&["-F", CUT_CHAIN])?;
    }
    Ok(())
}

/// The rules of a node that redirect packets, in the order in which they apply, and its listeners.
pub(crate) fn redirects(lab: &str, node: usize) -> Result<String> {
    let namespace = of_node(lab, node);
    let rules = finish(in_network(&namespace, "iptables").args(["-w", "-t", "nat", "-S"]))?;
    let listeners = finish(in_network(&namespace, "ss").args(["-Hltn"]))?;
    Ok(rules + &listeners)
}

/// Occupies the number of a VXLAN on a node, so that no overlay with that number can be set up there.
pub(crate) fn occupy_vxlan(lab: &str, node: usize, number: u32) -> Result<()> {
    run_line(&format!("ip -n {lab}-n{node} link add taken{number} type vxlan id {number} dstport 4789")).map(drop)
}

/// Releases it.
pub(crate) fn release_vxlan(lab: &str, node: usize, number: u32) -> Result<()> {
    run_line(&format!("ip -n {lab}-n{node} link del taken{number}")).map(drop)
}

#[cfg(test)]
mod tests {
    use super::LabSubnet;

    #[test]
    fn subnets_stay_inside_the_benchmark_block() {
        assert_eq!(LabSubnet::number(0).gateway(), "198.18.0.1");
        assert_eq!(LabSubnet::number(511).node(2), "198.19.255.12");
        assert_eq!(LabSubnet::number(512), LabSubnet::number(0));
    }
}
