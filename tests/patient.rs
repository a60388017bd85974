//! A link that waits for the arm: where a busy machine has not run the arm's end of the line for a while, this is not counted as a
//! silent arm.

use std::time::{Duration, Instant};

use devices::SerialLink;
use robot::device::{ArmReport, DeviceInfo, JointBus, LinkError};

/// Far longer than a machine lets a thread wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A serial link whose `poll` waits until the arm has spoken.
#[derive(Debug)]
pub(crate) struct PatientLink(pub(crate) SerialLink);

impl JointBus for PatientLink {
    fn port(&self) -> &str {
        self.0.port()
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        self.0.handshake()
    }

    fn send_set_point(&mut self, rad: &[f32], move_us: u32, valid_us: u32) -> Result<u32, LinkError> {
        self.0.send_set_point(rad, move_us, valid_us)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.0.send_stop()
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        self.0.send_release()
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.0.send_e_stop()
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        self.0.send_clear_e_stop()
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        let begun = Instant::now();
        loop {
            let heard = self.0.poll()?;
            if heard.is_some() || begun.elapsed() > PATIENCE {
                return Ok(heard);
            }
            self.0.wait(10_000)?;
        }
    }
}
