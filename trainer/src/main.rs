//! `armillary-train`: learns a world model from run logs and exports it.

mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trainer::device;

use crate::command::{audit, bench, devices, export, report, train};

#[derive(Parser)]
#[command(
    name = "armillary-train",
    version,
    about = "Learns a world model from run logs and exports it"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look through run logs for gaps, frozen pictures and actions that belong to other pictures, before training on them.
    Audit(audit::Audit),
    /// Train on run logs. Resumes from OUT/checkpoint.safetensors if there is one.
    Train(train::Train),
    /// Time updates on a made-up batch, and show where the time goes.
    Bench(bench::Bench),
    /// Say what this machine can compute on, or why not.
    Devices(devices::Devices),
    /// Write a training run's curves and pictures into one HTML page.
    Report(report::Report),
    /// Export a checkpoint as a bundle for the controller, and prove that it computes the same numbers.
    Export(export::Export),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = simple_logger::SimpleLogger::new()
        .with_level(log::LevelFilter::Info)
        .init()
    {
        eprintln!("cannot start logging: {error}");
    }
    tune_allocator();
    device::load_cuda();
    let result = match arguments.command {
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Keeps large tensors' memory instead of returning it after every update: page faults would cost up to 40 %.
fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes the allocator's thresholds, before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
