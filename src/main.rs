//! The entry point: wiring only, no decisions.

fn main() -> std::process::ExitCode {
    swarmgate::cli::main()
}
