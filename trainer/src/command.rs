//! The commands of `armillary-train`.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod devices;
pub(crate) mod export;
mod losses;
pub(crate) mod report;
pub(crate) mod train;

use trainer::device;
use trainer::preset::{Precision, Preset};

/// Devices by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DeviceName {
    /// This machine's processor.
    Cpu,
    /// Its first GPU, by a LibTorch that was built for CUDA.
    Cuda,
}

impl DeviceName {
    /// The device, if it is there.
    fn open(self) -> anyhow::Result<tch::Device> {
        match self {
            Self::Cpu => Ok(tch::Device::Cpu),
            Self::Cuda => Ok(device::cuda()?),
        }
    }
}

/// Says so if `preset` computes in a precision that this machine is slow in.
fn warn_of_slow_precision(preset: &Preset, device: tch::Device) {
    let bf16 = preset.optimiser.convolutions == Precision::Bf16;
    if bf16 && device == tch::Device::Cpu && !device::has_bf16() {
        log::warn!(
            "this processor has no 16-bit arithmetic: `optimiser.convolutions: bf16` takes several times as long as `f32` here"
        );
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be 1 or more".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
