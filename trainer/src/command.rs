//! The commands of `armillary-train`.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod devices;
pub(crate) mod export;
mod losses;
pub(crate) mod report;
pub(crate) mod train;

use trainer::device;

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
