//! The `armillary` command.

// Everything goes through `armillary::console`, which makes nobody wait while an arm is driven.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
