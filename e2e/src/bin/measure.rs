//! `measure`: produces the figures in docs/measurements.md, on its own lab, which it removes at the end. It must never send
//! load anywhere but into that lab.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use swarmgate_e2e::measure::{Ingress, changes, follow, idle, websockets};
use swarmgate_e2e::testbed::{Setting, Testbed, repository};

#[derive(Parser)]
#[command(about = "Measures an ingress on a real three-node Swarm on this machine; needs `make tools images` first")]
struct Arguments {
    #[command(subcommand)]
    what: MeasureCommand,
    /// Measure Traefik instead, asking the Swarm every so often (its default is 15s).
    #[arg(long, global = true, value_name = "REFRESH")]
    traefik: Option<String>,
}

#[derive(Subcommand)]
enum MeasureCommand {
    /// Time from a task's RUNNING to the first 200 through the proxy.
    Follow {
        /// How many services, one after the other.
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// Requests that fail during scaling, updates and route changes.
    Changes,
    /// Processor, memory and API calls while nothing happens.
    Idle {
        /// How many labelled services.
        #[arg(long, default_value_t = 5)]
        services: usize,
    },
    /// The Autobahn test suite of websockets, directly and through the proxy.
    Websockets {
        /// The suite's program.
        #[arg(long, value_name = "FILE")]
        wstest: PathBuf,
    },
}

const SETTING: Setting = Setting { name: "measure", nodes: 3, managers: 1, prepare: |_| Ok(()), before: |_| Ok(()) };

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("measure: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let ingress = arguments.traefik.clone().map_or(Ingress::Swarmgate, |refresh| Ingress::Traefik { refresh });
    let testbed = Testbed::up(&SETTING, 0)?;
    let outcome = testbed.lab.inside(|| {
        ingress.deploy(&testbed, &repository().join("target"))?;
        match &arguments.what {
            MeasureCommand::Follow { runs } => follow(&testbed, &ingress, *runs),
            MeasureCommand::Changes => changes(&testbed, &ingress),
            MeasureCommand::Idle { services } => idle(&testbed, &ingress, *services),
            MeasureCommand::Websockets { wstest } => websockets(&testbed, &ingress, wstest, &repository().join("target")),
        }
    });
    testbed.down()?;
    outcome
}
