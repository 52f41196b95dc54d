//! The `millpond` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    millpond::cli::main()
}
