//! End-to-end tests on real Swarms. Cases are in `cases/`, one file for each topic, named after what they promise. A case must
//! never depend on another one having run.

mod cases;

use std::process::ExitCode;

fn main() -> ExitCode {
    swarmgate_e2e::testbed::run(cases::all())
}
