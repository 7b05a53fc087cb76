//! A lab: a real Docker Swarm of several nodes on one machine, each node in its own namespaces, on an isolated network. It must
//! never leave anything behind after [`Lab::down`], nor disturb a lab with another name.

mod cgroup;
mod docker_client;
mod enter;
mod filter;
mod names;
mod network;
mod node;
mod process;
mod shim;
mod swarm;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use docker_client::DockerClient;
pub use enter::{enter_lab_namespace, enter_lab_namespace_by_reexec};
pub use filter::{FilterOptions, SOCKET_GROUP, filter_docker};
pub use names::refuse_names;
pub use network::LabSubnet;
pub use shim::VipShim;

use crate::command::run;
use node::LabNode;

const HOME: &str = "/var/tmp/swarmgate-lab";
const RECORD: &str = "lab.json";

/// The configuration of a lab.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Lower-case letters, digits and dashes; also the name of the parent namespace.
    pub name: String,
    /// How many nodes, from 1 to 200; they are called node1, node2 and so on.
    pub nodes: usize,
    /// How many of them are managers; the managers come first.
    pub managers: usize,
    /// Image archives to load on every node.
    pub load: Vec<PathBuf>,
    /// Which subnet the nodes have; derived from the name when `None`.
    pub subnet: Option<LabSubnet>,
    /// Seconds between two heartbeats of a node (Docker's default is 5; a lower value detects a dead node sooner).
    pub heartbeat_seconds: u64,
    /// Additional arguments for every `dockerd`.
    pub daemon_args: Vec<String>,
    /// A list of Docker API calls: every node gets a second socket (`Lab::filtered_socket`) that passes only those.
    pub allowed_calls: Option<PathBuf>,
    /// The `swarmlab` program, which is also the lab's name server; looked up next to the running program when `None`.
    pub helper: Option<PathBuf>,
}

impl LabOptions {
    /// A lab of `nodes` nodes, the first `managers` of which are managers, with defaults for everything else.
    pub fn new(name: &str, nodes: usize, managers: usize) -> Self {
        Self {
            name: name.to_owned(),
            nodes,
            managers,
            load: Vec::new(),
            subnet: None,
            heartbeat_seconds: 5,
            daemon_args: Vec::new(),
            allowed_calls: None,
            helper: None,
        }
    }

    fn check(&self) -> Result<()> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = &self.name;
        ensure!(
            !name.is_empty() && name.len() <= 32 && name.bytes().all(plain),
            "a lab's name has lower-case letters, digits and dashes, 32 at most, not {name:?}"
        );
        let like_a_node = name.rsplit_once("-n").is_some_and(|(_, digits)| digits.parse::<usize>().is_ok());
        ensure!(!like_a_node, "{name:?} looks like a node of another lab");
        ensure!((1..=200).contains(&self.nodes), "a lab has 1 to 200 nodes, not {}", self.nodes);
        ensure!((1..=self.nodes).contains(&self.managers), "of {} nodes, {} cannot be managers", self.nodes, self.managers);
        Ok(())
    }

    fn helper(&self) -> Result<PathBuf> {
        if let Some(helper) = &self.helper {
            return Ok(helper.clone());
        }
        let program = std::env::current_exe().context("find the running program")?;
        let beside = program.ancestors().skip(1).take(2).map(|directory| directory.join("swarmlab"));
        beside
            .into_iter()
            .find(|helper| helper.is_file())
            .with_context(|| format!("no `swarmlab` next to {}: build it first", program.display()))
    }
}

/// A lab that is up. Dropping it leaves it up; [`Lab::down`] ends it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lab {
    name: String,
    nodes: usize,
    managers: usize,
    subnet: LabSubnet,
    daemon_args: Vec<String>,
    filter: Option<Filter>,
}

/// The filter of a lab's nodes: its program, and the list of calls that it passes.
#[derive(Debug, Serialize, Deserialize)]
struct Filter {
    helper: PathBuf,
    list: PathBuf,
}

impl Lab {
    /// Removes whatever a lab with that name left behind, then brings one up. Returns when every node is ready and has every
    /// image.
    pub fn up(options: LabOptions) -> Result<Self> {
        options.check()?;
        let helper = options.helper()?;
        Self::down(&options.name)?;
        let subnet = options.subnet.unwrap_or_else(|| LabSubnet::of_name(&options.name));
        let filter = options.allowed_calls.map(|list| Filter { helper: helper.clone(), list });
        let (nodes, managers, daemon_args) = (options.nodes, options.managers, options.daemon_args);
        let lab = Self { name: options.name, nodes, managers, subnet, daemon_args, filter };
        fs::create_dir_all(lab.directory()).with_context(|| format!("make {}", lab.directory().display()))?;
        fs::write(lab.directory().join(RECORD), serde_json::to_string_pretty(&lab)?).context("write down what the lab is")?;
        cgroup::prefer_containers(&lab.name)?;
        network::make_parent(&lab.name, subnet)?;
        names::start(&network::parent(&lab.name), &helper, &subnet.gateway())?;
        lab.on_all_nodes(|node| {
            node.write_files(lab.nodes)?;
            node.start(&lab.daemon_args, lab.filter.as_ref())
        })?;
        let loaded = thread::scope(|scope| {
            let loading = scope.spawn(|| lab.load(&options.load));
            let formed = swarm::form(&lab, options.heartbeat_seconds);
            formed.and(loading.join().unwrap_or_else(|_| bail!("loading images broke off")))
        });
        loaded.and_then(|()| lab.await_ready()).with_context(|| format!("bring up lab {}", lab.name))?;
        Ok(lab)
    }

    /// The lab with that name that another process brought up.
    pub fn open(name: &str) -> Result<Self> {
        let record = home_of(name).join(RECORD);
        let text = fs::read_to_string(&record).with_context(|| format!("there is no lab {name:?}"))?;
        serde_json::from_str(&text).with_context(|| format!("read {}", record.display()))
    }

    /// The names of all labs that are up or whose files still exist.
    pub fn names() -> Vec<String> {
        let entries = fs::read_dir(HOME).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Ends the lab with that name and removes all of it. Also cleans up after a crashed run; does nothing if nothing is there.
    pub fn down(name: &str) -> Result<()> {
        let namespaces = network::all_of(name);
        // Nodes first: otherwise the parent's processes (clients, the name server) would see them die.
        for namespace in namespaces.iter().filter(|path| **path != network::parent(name)).chain([&network::parent(name)]) {
            process::end_all(namespace)?;
        }
        for namespace in &namespaces {
            network::remove(namespace)?;
        }
        cgroup::remove(name, None)?;
        match fs::remove_dir_all(home_of(name)) {
            Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
                Err(reason).with_context(|| format!("remove {}", home_of(name).display()))
            }
            _ => Ok(()),
        }
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many nodes the lab has; they are numbered from 1.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many managers the lab was brought up with; they are the first nodes.
    pub fn managers(&self) -> usize {
        self.managers
    }

    /// The address of the parent namespace, from which outside clients connect.
    pub fn gateway(&self) -> String {
        self.subnet.gateway()
    }

    /// `count` (at most 50) further addresses of the parent namespace, each of which acts as a separate client.
    pub fn clients(&self, count: u8) -> Result<Vec<IpAddr>> {
        network::add_clients(&self.name, self.subnet, count)
    }

    /// The address of node `k`, reachable from the parent namespace and from the other nodes.
    pub fn node_ip(&self, k: usize) -> String {
        self.subnet.node(k)
    }

    /// The Docker socket of node `k`, usable from every network namespace.
    pub fn socket(&self, k: usize) -> PathBuf {
        self.node(k).socket()
    }

    /// The Docker API of node `k`.
    pub fn engine(&self, k: usize) -> Result<DockerClient> {
        DockerClient::at(&self.socket(k))
    }

    /// The filtered socket as every node's containers can mount it, if the lab has one.
    pub fn filtered_socket(&self) -> Option<&'static str> {
        self.filter.as_ref().map(|_| node::FILTERED_SOCKET)
    }

    /// The filtered Docker API of node `k`.
    pub fn filtered_engine(&self, k: usize) -> Result<DockerClient> {
        DockerClient::at(&self.node(k).inner_path(node::FILTERED_SOCKET)?)
    }

    /// The content of a file on node `k`, by its path there: of `/proc`, for example.
    pub fn node_file(&self, k: usize, path: &str) -> Result<String> {
        let path = self.node(k).inner_path(path)?;
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    }

    /// The calls that filters have refused since the last call of this function.
    pub fn take_refused_calls(&self) -> Result<Vec<String>> {
        let mut refused = Vec::new();
        for k in 1..=self.nodes {
            let log = self.node(k).refused();
            match fs::read_to_string(&log) {
                Ok(text) => refused.extend(text.lines().map(|call| format!("node{k}: {call}"))),
                Err(reason) if reason.kind() == std::io::ErrorKind::NotFound => continue,
                Err(reason) => return Err(reason).with_context(|| format!("read {}", log.display())),
            }
            fs::remove_file(&log).with_context(|| format!("remove {}", log.display()))?;
        }
        Ok(refused)
    }

    /// Runs the Docker command line against node `k` and returns its output.
    pub fn docker(&self, k: usize, args: &[&str]) -> Result<String> {
        let host = format!("unix://{}", self.socket(k).display());
        run("docker", &[&["-H", &host], args].concat())
    }

    /// Like [`Lab::docker`] for commands that print JSON, such as `service inspect NAME`.
    pub fn docker_json(&self, k: usize, args: &[&str]) -> Result<Value> {
        let text = self.docker(k, args)?;
        serde_json::from_str(&text).with_context(|| format!("`docker {}` printed no JSON", args.join(" ")))
    }

    /// Kills the Docker engine of node `k`. Containers keep running until it starts again (then they are stopped, and the Swarm
    /// creates new tasks: an engine without live-restore does that).
    pub fn kill_daemon(&self, k: usize) -> Result<()> {
        self.node(k).kill_daemon()
    }

    /// Makes the Docker API of node `k` hang. Its containers and their traffic go on; [`Lab::resume_daemon`] undoes it.
    pub fn pause_daemon(&self, k: usize) -> Result<()> {
        self.node(k).pause_daemon()
    }

    /// Undoes [`Lab::pause_daemon`].
    pub fn resume_daemon(&self, k: usize) -> Result<()> {
        self.node(k).resume_daemon()
    }

    /// Ends everything on node `k` at once, as a power cut does.
    pub fn power_off(&self, k: usize) -> Result<()> {
        self.node(k).power_off()
    }

    /// Starts node `k` again, or only its engine, and returns when the engine answers. Does nothing to a running node.
    pub fn start(&self, k: usize) -> Result<()> {
        self.node(k).start(&self.daemon_args, self.filter.as_ref())
    }

    /// Whether node `k` has power.
    pub fn is_on(&self, k: usize) -> bool {
        self.node(k).first_process().is_some()
    }

    /// Silently drops all packets between nodes `a` and `b`, or between `a` and everything else.
    pub fn cut(&self, a: usize, b: Option<usize>) -> Result<()> {
        let others = b.map_or_else(|| (1..=self.nodes).filter(|other| *other != a).collect(), |other| vec![other]);
        for other in others {
            network::drop_from(&self.name, a, &self.node_ip(other))?;
            network::drop_from(&self.name, other, &self.node_ip(a))?;
        }
        if b.is_none() {
            network::drop_from(&self.name, a, &self.gateway())?;
        }
        Ok(())
    }

    /// Undoes every [`Lab::cut`].
    pub fn heal(&self) -> Result<()> {
        (1..=self.nodes).filter(|k| self.is_on(*k)).try_for_each(|k| network::drop_nothing(&self.name, k))
    }

    /// Occupies the number of a VXLAN on node `k`: tasks on the overlay with that number are rejected there.
    pub fn occupy_vxlan(&self, k: usize, number: u32) -> Result<()> {
        network::occupy_vxlan(&self.name, k, number)
    }

    /// Undoes [`Lab::occupy_vxlan`].
    pub fn release_vxlan(&self, k: usize, number: u32) -> Result<()> {
        network::release_vxlan(&self.name, k, number)
    }

    /// Loads image archives on every node that is on.
    pub fn load(&self, archives: &[PathBuf]) -> Result<()> {
        self.on_all_nodes(|node| {
            if node.daemon().is_none() {
                return Ok(());
            }
            let engine = DockerClient::at(&node.socket())?;
            archives.iter().try_for_each(|archive| engine.load(archive).map(drop))
        })
    }

    /// Makes service VIPs and routing-mesh ports work on a kernel without `ip_vs`, until the guard is dropped.
    pub fn vip_shim(&self) -> Result<VipShim> {
        VipShim::start(Self::open(&self.name)?)
    }

    /// Runs `work` on a thread inside the lab's parent namespace, where node addresses can be reached.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        enter::inside(&network::parent(&self.name), work)
    }

    /// One line for each node: address, engine, role in the Swarm, memory.
    pub fn status(&self) -> Vec<String> {
        (1..=self.nodes).map(|k| swarm::describe(self, k)).collect()
    }

    /// Where packets for the published ports of node `k` go: its listeners, its redirects, and the addresses of its containers.
    pub fn published_ports(&self, k: usize) -> Result<String> {
        let containers = "{{range .Containers}}{{.Name}} {{.IPv4Address}}\n{{end}}";
        let addresses = self.docker(k, &["network", "inspect", "docker_gwbridge", "--format", containers])?;
        let containers = self.docker(k, &["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Ports}}"])?;
        Ok([network::redirects(&self.name, k)?, addresses, containers].join("\n"))
    }

    /// Waits until every node is ready.
    pub fn await_ready(&self) -> Result<()> {
        swarm::await_ready(self)
    }

    fn directory(&self) -> PathBuf {
        home_of(&self.name)
    }

    fn node(&self, number: usize) -> LabNode<'_> {
        LabNode { lab: &self.name, subnet: self.subnet, number, directory: self.directory().join(format!("n{number}")) }
    }

    fn on_all_nodes(&self, work: impl Fn(LabNode<'_>) -> Result<()> + Sync) -> Result<()> {
        thread::scope(|scope| {
            let started: Vec<_> = (1..=self.nodes)
                .map(|k| {
                    scope.spawn({
                        let work = &work;
                        move || work(self.node(k))
                    })
                })
                .collect();
            let ended: Vec<_> = started.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a node's thread panicked"))).collect();
            ended.into_iter().collect()
        })
    }
}

fn home_of(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}
