//! The command line: converts the arguments to checked values, then calls into the rooms. Makes no decisions of its own.

mod client_command;
mod explain;
mod extension;
mod long_running;
mod operator;
mod operator_client;
mod plan;
mod privileges;
mod proxy;
mod query_target;
mod render;
pub mod schema;
mod status;
mod status_server_options;
mod tables;
mod token;
mod token_file;
pub mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Swarmgate: an ingress operator for Docker Swarm.
#[derive(Debug, Parser)]
#[command(name = "swarmgate", version, max_term_width = 100)]
struct Cli {
    /// Switch from root to this user and group before doing anything else, and keep the group that may use the Docker socket.
    /// The charts set it to 65532:65532
    #[arg(long, global = true, env = "SWARMGATE_RUN_AS", value_name = "USER[:GROUP]")]
    run_as: Option<privileges::ProcessIdentity>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator, which watches a Swarm and manages its service clusters until it is stopped
    Operator(operator::Args),
    /// Run the extension of a cluster, which renders and tests configurations (started by the operator)
    Extension(extension::Args),
    /// Run the agent of a proxy container (started by the operator)
    Proxy(proxy::Args),
    /// Check documents and print every error
    Validate(validate::Args),
    /// Print the JSON Schema of a kind of document, or of a message
    Schema(schema::Args),
    /// Show the state of the clusters, what is not ready yet, and why
    Status(status::Args),
    /// Print the token for the operator's status port (run it in the operator's container)
    Token(token::Args),
    /// Print what the next pass would do, without changing anything
    Plan(plan::Args),
    /// Explain which service answers a request, or exactly why none does; or explain what the labels of a service do
    Explain(explain::Args),
    /// Print the engine configuration of a cluster
    Render(render::Args),
}

/// Runs the program and returns its exit code: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(kept) = settle_privileges(&cli) {
        return client_command::fail(&kept);
    }
    allow_open_files();
    match cli.command {
        Command::Operator(args) => operator::run(args),
        Command::Extension(args) => extension::run(args),
        Command::Proxy(args) => proxy::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Schema(args) => schema::run(&args),
        Command::Status(args) => status::run(args),
        Command::Token(args) => token::run(&args),
        Command::Plan(args) => plan::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Render(args) => render::run(args),
    }
}

/// Raises the limit of open files to the maximum: the usual 1,024 are exhausted by a few hundred proxies, or by a client
/// that opens connections and stays silent. If it cannot be raised, the existing limit is used.
fn allow_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Sets this process's identity before the first thread starts, and ensures that no child process gains privileges.
fn settle_privileges(cli: &Cli) -> Result<(), privileges::RetainedPrivileges> {
    match (cli.run_as, &cli.command) {
        (Some(identity), command) => privileges::switch_user(identity, docker_url(command).as_deref()),
        (None, Command::Extension(_) | Command::Proxy(_)) => privileges::set_no_new_privileges(),
        (None, _) => Ok(()),
    }
}

/// The Docker API that a subcommand may use.
fn docker_url(command: &Command) -> Option<String> {
    let swarm = match command {
        Command::Operator(args) => &args.swarm,
        Command::Plan(args) => &args.swarm,
        Command::Explain(args) => &args.target.swarm,
        Command::Render(args) => &args.target.swarm,
        _ => return None,
    };
    Some(swarm.url().to_owned())
}
