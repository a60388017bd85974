//! `armillary-train bench`: what an update costs.

use std::path::PathBuf;

use trainer::preset::{Precision, Preset};
use trainer::side::Side;

use super::{DeviceName, at_least_one, default_threads, warn_of_slow_precision};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Training preset: sizes, terms of the loss and batch.
    #[arg(long)]
    preset: PathBuf,
    /// Precision of encoder and decoder instead of the preset's.
    #[arg(long, value_enum)]
    convolutions: Option<PrecisionName>,
    /// Width and height of the pictures, in pixels.
    #[arg(long, default_value = "64", value_parser = side)]
    side: Side,
    /// Numbers an action.
    #[arg(long, default_value_t = 3)]
    action: i64,
    /// Updates to time, after as many to warm up.
    #[arg(long, default_value_t = 5)]
    updates: u64,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
    /// CPU threads.
    #[arg(long, default_value_t = default_threads(), value_parser = at_least_one)]
    threads: usize,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Precisions by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PrecisionName {
    F32,
    Bf16,
}

fn side(text: &str) -> Result<Side, String> {
    let pixels: usize = text.parse().map_err(|error| format!("{error}"))?;
    Side::try_from(pixels).map_err(|error| error.to_string())
}

/// Times updates.
pub(crate) fn run(arguments: &Bench) -> anyhow::Result<()> {
    tch::set_num_threads(arguments.threads as i32);
    let mut preset = Preset::load(&arguments.preset)?;
    if let Some(name) = arguments.convolutions {
        preset.optimiser.convolutions = match name {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
        };
    }
    let device = arguments.device.open()?;
    warn_of_slow_precision(&preset, device);
    let profile = trainer::bench::profile(
        preset,
        arguments.side,
        arguments.action,
        device,
        arguments.updates,
    )?;
    if arguments.json {
        println!("{}", serde_json::to_string(&profile)?);
    } else {
        print!("{profile}");
    }
    Ok(())
}
