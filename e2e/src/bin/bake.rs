//! `bake`: writes Swarmgate's images and the test images as archives for `docker load`, without an engine or a registry. It
//! must never write anything but the requested archive.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use swarmgate_e2e::image::recipes;
use swarmgate_e2e::image::sbom::{self, Parts};
use swarmgate_e2e::testbed::repository;

#[derive(Parser)]
#[command(about = "Container images from programs on this machine, as archives for `docker load`")]
struct Arguments {
    #[command(subcommand)]
    what: BakeCommand,
    /// Where the archive goes.
    #[arg(long, global = true, default_value = "image.tar")]
    out: PathBuf,
    /// A static busybox, for the images that have a shell.
    #[arg(long, global = true, default_value = "/bin/busybox")]
    busybox: PathBuf,
    /// Where a `CycloneDX` document goes that says what one of our own images is made of.
    #[arg(long, global = true)]
    sbom: Option<PathBuf>,
}

#[derive(Subcommand)]
enum BakeCommand {
    /// swarmgate:dev, the operator.
    Swarmgate {
        /// The `swarmgate` program.
        #[arg(long)]
        binary: PathBuf,
    },
    /// swarmgate-nginx:dev, extension and proxy with nginx.
    SwarmgateNginx {
        /// The `swarmgate` program.
        #[arg(long)]
        binary: PathBuf,
        /// The nginx program.
        #[arg(long)]
        nginx: PathBuf,
    },
    /// stock-nginx:dev, a plain nginx image.
    StockNginx {
        /// The nginx program.
        #[arg(long)]
        nginx: PathBuf,
    },
    /// demo-app:VERSION, the small web server of demos and tests.
    DemoApp {
        /// The `demo-app` program.
        #[arg(long)]
        binary: PathBuf,
        /// Its tag, and what it says about itself.
        #[arg(long = "app-version", default_value = "v1")]
        version: String,
    },
}

fn main() -> ExitCode {
    match bake(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bake: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn bake(Arguments { what, out, busybox, sbom }: &Arguments) -> Result<()> {
    let image = match what {
        BakeCommand::Swarmgate { binary } => recipes::swarmgate(binary),
        BakeCommand::SwarmgateNginx { binary, nginx } => recipes::swarmgate_nginx(binary, nginx),
        BakeCommand::StockNginx { nginx } => recipes::stock_nginx(nginx, busybox),
        BakeCommand::DemoApp { binary, version } => recipes::demo_app(binary, busybox, version),
    }?;
    if let Some(path) = sbom {
        let (name, version) = image.tag.split_once(':').unwrap_or((&image.tag, "dev"));
        sbom::save(&parts(what)?.document(name, version), path)?;
    }
    let id = image.save(out)?;
    println!("{} {id} {}", image.tag, out.display());
    Ok(())
}

/// The components of one of our own images. Both contain a copy of this machine's list of public authorities.
fn parts(what: &BakeCommand) -> Result<Parts> {
    let mut parts = Parts::default();
    let (BakeCommand::Swarmgate { binary } | BakeCommand::SwarmgateNginx { binary, .. }) = what else {
        bail!("test images have no SBOM");
    };
    parts.crates(&repository().join("Cargo.toml"), "swarmgate")?.libraries_of(binary)?.debian("ca-certificates")?;
    if let BakeCommand::SwarmgateNginx { nginx, .. } = what {
        parts.libraries_of(nginx)?.nginx(nginx)?;
    }
    Ok(parts)
}
