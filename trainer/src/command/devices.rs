//! `armillary-train devices`.

use super::DeviceName;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Devices {
    /// Fail unless this one can be had.
    #[arg(long, value_enum)]
    device: Option<DeviceName>,
}

/// Tries them.
pub(crate) fn run(arguments: &Devices) -> anyhow::Result<()> {
    if let Some(device) = arguments.device {
        device.open()?;
    }
    println!("cpu: yes");
    match DeviceName::Cuda.open() {
        Ok(_) => println!("cuda: yes"),
        Err(error) => println!("cuda: no: {error}"),
    }
    Ok(())
}
