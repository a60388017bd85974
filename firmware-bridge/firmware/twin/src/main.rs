//! The firmware of an arm's board on this computer, behind a pseudo-terminal: `armillary-twin --serial PATH`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use board::arm::ARM;
use clap::Parser;
use robot::{Config, SystemClock};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use twin::{Body, Twin, differences};

#[derive(Parser)]
#[command(
    name = "armillary-twin",
    about = "The firmware of an arm's board on this computer, with emulated servos, behind a pseudo-terminal"
)]
struct Arguments {
    /// The serial port to make: a symbolic link that `armillary run --port` opens.
    #[arg(long)]
    serial: PathBuf,
    /// Compare this robot file with the arm that is built in, and put the emulated arm into its home pose.
    #[arg(long)]
    robot: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    simple_logger::SimpleLogger::new()
        .with_level(log::LevelFilter::Info)
        .init()?;
    let body = Body::new(&ARM);
    if let Some(path) = &arguments.robot {
        let config = Config::load(path)?;
        let found = differences(&ARM, &config);
        if !found.is_empty() {
            bail!("{}: {}", path.display(), found.join("\n"));
        }
        let home_rad: Vec<f32> = config
            .envelope
            .joints()
            .iter()
            .map(|joint| joint.home_rad)
            .collect();
        body.place(&home_rad);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // A second signal ends the program at once.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot catch the signals that end the program")?;
    }
    let clock = Arc::new(SystemClock::default());
    let twin = Twin::new(ARM, body, &arguments.serial, clock)?
        .context("the arm in the firmware's arm.rs is not sound")?;
    println!("serial port {}", arguments.serial.display());
    twin.serve(&stop)?;
    Ok(())
}
