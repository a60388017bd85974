//! A world at the far end of a serial port and a frame socket.

use std::time::Duration;

use robot::Frame;
use robot::device::{DeviceError, JointBus, Lockstep, Observation};

use super::{LockstepError, VALID_PERIODS, accepted, observed};
use crate::frames::{Delivered, FrameError, FrameSocket};
use crate::serial::SerialLink;

/// A bridge in lockstep, in this process or another.
#[derive(Debug)]
pub struct LockstepLink {
    link: SerialLink,
    frames: FrameSocket,
    period_us: u32,
    timeout_us: u64,
}

impl LockstepLink {
    /// Joins the two sides of one bridge; `timeout` bounds each wait for telemetry. Call [`Lockstep::reset`] next.
    ///
    /// # Errors
    /// [`LockstepError::NotLockstep`] if there is no bridge, or one that runs in real time; [`FrameError`].
    pub fn new(link: SerialLink, mut frames: FrameSocket, timeout: Duration) -> Result<Self, DeviceError> {
        let bridge = frames.describe()?.filter(|bridge| bridge.lockstep);
        let Some(bridge) = bridge else {
            return Err(LockstepError::NotLockstep.into());
        };
        let timeout_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        Ok(Self {
            link: link.with_waiting_world(),
            frames,
            period_us: bridge.period_us,
            timeout_us,
        })
    }

    /// Ends the bridge.
    ///
    /// # Errors
    /// [`FrameError`] if it cannot be told.
    pub fn quit(&mut self) -> Result<(), FrameError> {
        self.frames.quit()
    }

    /// Frame and telemetry come by different ways; waits for the telemetry of the frame's instant.
    fn observe(&mut self, seq: Option<u32>, delivered: Delivered) -> Result<Observation, DeviceError> {
        let telemetry = self
            .link
            .telemetry_since(delivered.device_time_us, self.timeout_us)?;
        if let Some(seq) = seq {
            accepted(&telemetry, seq)?;
        }
        Ok(observed(telemetry, delivered.reward, delivered.ended))
    }
}

impl Lockstep for LockstepLink {
    fn reset(&mut self, seed: u64, frame: &mut Frame) -> Result<Observation, DeviceError> {
        let delivered = self.frames.reset(seed, frame)?;
        self.link.handshake()?;
        self.observe(None, delivered)
    }

    fn step(&mut self, set_point_rad: &[f32], frame: &mut Frame) -> Result<Observation, DeviceError> {
        let seq = self
            .link
            .send_set_point(set_point_rad, self.period_us, VALID_PERIODS * self.period_us)?;
        let delivered = self.frames.step(seq, frame)?;
        self.observe(Some(seq), delivered)
    }

    fn pass(&mut self, frame: &mut Frame) -> Result<Observation, DeviceError> {
        // No sequence number tells when a stop has arrived; the answer to a ping behind it does.
        self.link.sync(self.timeout_us)?;
        let delivered = self.frames.advance(frame)?;
        self.observe(None, delivered)
    }

    fn bus(&mut self) -> &mut dyn JointBus {
        &mut self.link
    }
}
