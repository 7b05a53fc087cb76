//! `swarmlab`: brings up, breaks and removes real Docker Swarms of several nodes on this machine, for experiments. It must
//! never do anything that the library does not: it only parses arguments and prints.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use swarmgate_e2e::lab::{FilterOptions, Lab, LabOptions, LabSubnet, enter_lab_namespace_by_reexec, filter_docker, refuse_names};

#[derive(Parser)]
#[command(about = "A real multi-node Docker Swarm on one machine, with no way out to any network")]
struct Arguments {
    /// Which lab.
    #[arg(long, global = true, env = "SWARMLAB", default_value = "swarmlab")]
    name: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Bring the lab up; whatever was there under its name goes first.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// How many of them are managers.
        #[arg(long, default_value_t = 1)]
        managers: usize,
        /// Image archive to load on every node; repeatable.
        #[arg(long)]
        load: Vec<PathBuf>,
        /// Which /24 of 198.18.0.0/15, from 0 to 511; derived from the name otherwise.
        #[arg(long)]
        subnet_index: Option<u16>,
        /// Seconds between signs of life of a node.
        #[arg(long, default_value_t = 5)]
        heartbeat: u64,
    },
    /// Remove the lab and everything it left.
    Down,
    /// Print the lab's nodes, or the names of all labs when this one is not up.
    Status,
    /// Print the address of node K.
    Address {
        /// The node's number.
        k: usize,
    },
    /// Print the path of the Docker socket of node K.
    Socket {
        /// The node's number.
        k: usize,
    },
    /// Run the Docker command line against node K.
    Docker {
        /// The node's number.
        k: usize,
        /// What comes after `docker`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a command inside the lab's parent namespace: an outside client of the nodes.
    Run {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Kill the engine of node K; its containers live on.
    Kill {
        /// The node's number.
        k: usize,
        /// End everything on the node instead: a power cut.
        #[arg(long)]
        power: bool,
    },
    /// Start node K, or only its engine, again.
    Start {
        /// The node's number.
        k: usize,
    },
    /// Make the Docker API of node K hang.
    Pause {
        /// The node's number.
        k: usize,
    },
    /// Undo `pause`.
    Resume {
        /// The node's number.
        k: usize,
    },
    /// Drop all packets between nodes A and B, or between A and everything.
    Cut {
        /// One node's number.
        a: usize,
        /// The other's.
        b: Option<usize>,
    },
    /// Undo every cut.
    Heal,
    /// Load image archives on every node.
    Load {
        /// The archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Make service VIPs and routing-mesh ports work without `ip_vs`, until killed.
    VipShim,
    /// Let only the calls of a list through to a Docker API, until killed. The lab starts it itself.
    #[command(hide = true)]
    FilterDocker(FilterOptions),
    /// Answer every name look-up with "no such name", until killed. The lab starts it itself.
    #[command(hide = true)]
    RefuseNames {
        /// Where to listen.
        address: String,
    },
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("swarmlab: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(Arguments { name, verb }: Arguments) -> Result<()> {
    match verb {
        Verb::Up { nodes, managers, load, subnet_index, heartbeat } => {
            let options = LabOptions {
                load,
                subnet: subnet_index.map(LabSubnet::number),
                heartbeat_seconds: heartbeat,
                ..LabOptions::new(&name, nodes, managers)
            };
            timed("up", || Lab::up(options))?.status().iter().for_each(|line| println!("{line}"));
            Ok(())
        }
        Verb::Down => timed("down", || Lab::down(&name)),
        Verb::Status => {
            status(&name);
            Ok(())
        }
        Verb::Address { k } => {
            println!("{}", Lab::open(&name)?.node_ip(k));
            Ok(())
        }
        Verb::Socket { k } => {
            println!("{}", Lab::open(&name)?.socket(k).display());
            Ok(())
        }
        Verb::Docker { k, args } => {
            let host = format!("unix://{}", Lab::open(&name)?.socket(k).display());
            Err(Command::new("docker").arg("-H").arg(host).args(args).exec()).context("run docker")
        }
        Verb::Run { command } => {
            enter_lab_namespace_by_reexec(&name)?;
            Err(Command::new(&command[0]).args(&command[1..]).exec()).with_context(|| format!("run {}", command[0]))
        }
        Verb::Kill { k, power: true } => Lab::open(&name)?.power_off(k),
        Verb::Kill { k, power: false } => Lab::open(&name)?.kill_daemon(k),
        Verb::Start { k } => timed("start", || Lab::open(&name)?.start(k)),
        Verb::Pause { k } => Lab::open(&name)?.pause_daemon(k),
        Verb::Resume { k } => Lab::open(&name)?.resume_daemon(k),
        Verb::Cut { a, b } => Lab::open(&name)?.cut(a, b),
        Verb::Heal => Lab::open(&name)?.heal(),
        Verb::Load { archives } => timed("load", || Lab::open(&name)?.load(&archives)),
        Verb::VipShim => follow_vips(&name),
        Verb::FilterDocker(options) => filter_docker(options),
        Verb::RefuseNames { address } => refuse_names(&address),
    }
}

fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let outcome = work()?;
    eprintln!("swarmlab: {what} took {:.1} s", started.elapsed().as_secs_f64());
    Ok(outcome)
}

fn status(name: &str) {
    match Lab::open(name) {
        Ok(lab) => lab.status().iter().for_each(|line| println!("{line}")),
        Err(_) => println!("lab {name} is not up; labs here: {:?}", Lab::names()),
    }
}

fn follow_vips(name: &str) -> Result<()> {
    let shim = Lab::open(name)?.vip_shim()?;
    let mut printed = None;
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let trouble = shim.trouble();
        if trouble != printed {
            eprintln!("swarmlab: vip-shim: {}", trouble.as_deref().unwrap_or("well again"));
            printed = trouble;
        }
    }
}
