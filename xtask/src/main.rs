//! Set-up, tests, cross-checks and the learning loop: `cargo xtask --help`.

mod bench_delay;
mod bench_dmc;
mod bench_peers;
mod bench_quality;
mod bench_train;
mod coverage;
mod crosscheck;
mod curve;
mod curves;
mod debian;
mod deny;
mod faults;
mod firmware;
mod fuzz;
mod install;
mod learn;
mod libtorch;
mod model_check;
mod mutants;
mod numbers;
mod part;
mod python;
mod rig;
mod scratch;
mod tools;
mod vm;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Set-up, tests, cross-checks and the learning loop"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch LibTorch for the trainer (package registry, no root). Done by the others when needed.
    Setup,
    /// Build `armillary`, and `armillary-train` where LibTorch is set up, and put them where the shell finds them (no root).
    Install(install::Install),
    /// Make a Python environment in `.venv-rig` in which dm_control and Gymnasium environments run as arms
    /// (`armillary record --rig dmc:cartpole-balance`). Done by the others when needed.
    Rig,
    /// Test the Python package that makes environments into arms, and the Control Suite through the whole loop.
    TestRig,
    /// Hold LeRobotDatasets against LeRobot's own package, both ways, in a Python environment of its own (8 GB), and also
    /// logs of dm_control.
    CrosscheckLerobot,
    /// Set up, then run the tests of the workspace, trainer included (CONTRIBUTING.md has the longer ones).
    Test {
        /// Passed on to `cargo test`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Learn a task from nothing: record, train, export, evaluate in turn (PlaNet's Algorithm 1). Interrupt and repeat
    /// the command at will.
    Learn(learn::Learn),
    /// Check licences and sources of every dependency with cargo-deny, built into `.tools` when first needed.
    Deny {
        /// Known vulnerabilities too: fetches the advisory database from GitHub.
        #[arg(long)]
        advisories: bool,
    },
    /// Draw the learning curves of several runs into one picture.
    Curves(curves::Curves),
    /// Time our planner beside PyTorch's, onnxruntime's and tract's on the same weights, in a Python environment of its own
    /// (5 GB: PyTorch comes with everything it could need).
    BenchPeers(bench_peers::BenchPeers),
    /// Score a shipped model with pictures that are late, with and without the delay in the robot file (a few minutes).
    BenchDelay(bench_delay::BenchDelay),
    /// PlaNet on a task of the DeepMind Control Suite: trains, evaluates, prints the row beside the paper's. Interrupt and
    /// repeat the command at will.
    BenchDmc(bench_dmc::BenchDmc),
    /// Time our update beside plain PyTorch's, of the same sizes and terms, in the same Python environment.
    BenchTrain(bench_train::BenchTrain),
    /// Score the shipped model against its planner's deadline, for each way to plan (a quarter of an hour).
    BenchQuality(bench_quality::BenchQuality),
    /// Check a bundle with onnx and onnxruntime and a log with the public MCAP reader, in a Python environment of its
    /// own.
    Crosscheck(crosscheck::Crosscheck),
    /// Check cameras and serial ports against the kernel's own drivers, in an emulated machine (no root, no hardware).
    Vm(vm::Vm),
    /// Run the fault table: what goes wrong, what must happen then, and how often it was tried (minutes; `--short`: seconds).
    Faults(faults::Faults),
    /// Drive a simulated arm while something goes wrong every few seconds, in real time, and compare each stop with what went wrong.
    LiveFaults(faults::LiveFaults),
    /// Check hand-overs between threads in every order in which the threads can take turns (a minute).
    ModelCheck(model_check::ModelCheck),
    /// Put faults into what keeps an arm safe, one at a time, and see whether the tests notice (an hour; a part: minutes).
    Mutants(mutants::Mutants),
    /// Count which lines of what keeps an arm safe the tests run: all, but for those that tests/EVIDENCE.md justifies (minutes).
    Coverage(coverage::Coverage),
    /// Feed what reads files, logs, bundles and lines with inputs that a fuzzer makes up (ten minutes a target).
    Fuzz(fuzz::Fuzz),
    /// Build the firmware for a Raspberry Pi Pico, also where Rust's library for its processor cannot be fetched.
    Firmware,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Setup => libtorch::ensure(&root()),
        Task::Install(arguments) => install::run(&arguments, &root()),
        Task::Rig => rig::ensure(&root()),
        Task::TestRig => rig::test(&root()),
        Task::CrosscheckLerobot => crosscheck::lerobot(),
        Task::Test { rest } => test(&rest),
        Task::Learn(arguments) => learn::run(&arguments),
        Task::Deny { advisories } => deny::run(advisories),
        Task::Curves(arguments) => curves::run(&arguments),
        Task::BenchPeers(arguments) => bench_peers::run(&arguments),
        Task::BenchDmc(arguments) => bench_dmc::run(&arguments),
        Task::BenchTrain(arguments) => bench_train::run(&arguments),
        Task::BenchDelay(arguments) => bench_delay::run(&arguments),
        Task::BenchQuality(arguments) => bench_quality::run(&arguments),
        Task::Crosscheck(arguments) => crosscheck::run(&arguments),
        Task::Vm(arguments) => vm::run(&arguments),
        Task::Faults(arguments) => faults::run(&arguments),
        Task::LiveFaults(arguments) => faults::live(&arguments),
        Task::ModelCheck(arguments) => model_check::run(&arguments),
        Task::Mutants(arguments) => mutants::run(&arguments),
        Task::Coverage(arguments) => coverage::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Firmware => firmware::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: this crate's parent.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}

fn test(rest: &[String]) -> anyhow::Result<()> {
    libtorch::ensure(&root())?;
    run(Command::new(cargo())
        // LibTorch is there: the controller's back end on it is tested, too.
        .args([
            "test",
            "--release",
            "--workspace",
            "--features",
            "armillary/libtorch",
        ])
        .args(rest)
        // Programs that only depend on the controller do not know where its LibTorch is.
        .env("LD_LIBRARY_PATH", libtorch::search_path(&root()))
        .current_dir(root()))
}

/// Builds `armillary` and `armillary-train`; always these two together, since another choice of packages would compile what
/// they share anew.
fn build(root: &Path) -> anyhow::Result<()> {
    println!("building");
    run(Command::new(cargo())
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "armillary",
            "--package",
            "armillary-trainer",
        ])
        .current_dir(root))
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// Runs a command to its end, naming it if it fails.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}
